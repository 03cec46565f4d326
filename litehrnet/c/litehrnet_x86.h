/* One program for every 64-bit x86 machine: the engine is compiled three times, each time with all its functions static
 * and one table of them (-DLHR_TABLE=...); litehrnet_x86.c has the public functions and picks a table. */
#ifndef LITEHRNET_X86_H
#define LITEHRNET_X86_H

/* F(result, name, parameters, arguments) */
#define LHR_FUNCTIONS(F) \
    F(const char *, lhr_error_text, (int code), (code)) \
    F(int, lhr_load, (lhr_network * *network, const char *path), (network, path)) \
    F(int, lhr_load_memory, (lhr_network * *network, const void *bytes, size_t size), (network, bytes, size)) \
    F(int, lhr_joints, (const lhr_network *network), (network)) \
    F(int, lhr_height, (const lhr_network *network), (network)) \
    F(int, lhr_width, (const lhr_network *network), (network)) \
    F(const char *, lhr_variant, (const lhr_network *network), (network)) \
    F(const char *, lhr_joint_name, (const lhr_network *network, int joint), (network, joint)) \
    F(int, lhr_vector_width, (const lhr_network *network), (network)) \
    F(int, lhr_context_new, \
      (lhr_context * *context, const lhr_network *network, int height, int width, int threads), \
      (context, network, height, width, threads)) \
    F(size_t, lhr_context_bytes, (const lhr_context *context), (context)) \
    F(int, lhr_run, (lhr_context * context, const float *images, int count, float *heatmaps), \
      (context, images, count, heatmaps)) \
    F(int, lhr_run_rgb, (lhr_context * context, const uint8_t *crops, int count, float *heatmaps), \
      (context, crops, count, heatmaps)) \
    F(int, lhr_crop, \
      (const uint8_t *photo, int photo_height, int photo_width, const double box[4], double padding, int height, \
       int width, uint8_t *crop, double to_crop[6]), \
      (photo, photo_height, photo_width, box, padding, height, width, crop, to_crop)) \
    F(int, lhr_decode, (const float *heatmaps, int count, int height, int width, float *joints, float *scores), \
      (heatmaps, count, height, width, joints, scores)) \
    F(int, lhr_to_image, (const float *joints, int count, const double to_crop[6], double *photo_joints), \
      (joints, count, to_crop, photo_joints)) \
    F(int, lhr_pose, \
      (lhr_context * context, const uint8_t *photo, int photo_height, int photo_width, const double box[4], \
       double *joints, float *scores), \
      (context, photo, photo_height, photo_width, box, joints, scores))

struct lhr_table {
#define LHR_MEMBER(result, name, parameters, arguments) result(*name) parameters;
    LHR_FUNCTIONS(LHR_MEMBER)
#undef LHR_MEMBER
    void (*lhr_free)(lhr_network *network);
    void (*lhr_context_free)(lhr_context *context);
};

#endif
