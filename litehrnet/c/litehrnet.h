/* Lite-HRNet in C: photograph and box in, joints out. Needs the C library, libm and (unless LHR_NO_THREADS is defined)
 * POSIX threads; nothing else.
 *
 *     lhr_network *network;
 *     lhr_context *context;
 *     if (lhr_load(&network, "my.lhr") || lhr_context_new(&context, network, 256, 192, 1)) ...
 *     lhr_run(context, images, 1, heatmaps);
 *
 * A network holds the weights and is never changed after loading, so any number of threads may share it. A context
 * holds the buffers for one image size; use one context per thread. Running allocates nothing. There is no global
 * state, nothing is printed and nothing aborts: every function that can fail returns LHR_OK (0) or one of the codes
 * below, and lhr_error_text gives its sentence.
 *
 * Sizes are height before width, points x before y. Images are RGB. Integer coordinates are pixel centres.
 */
#ifndef LITEHRNET_H
#define LITEHRNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Hidden unless exported by name, so that a shared library shows these functions and nothing else. */
#ifndef LHR_API
#if defined(__wasm__)
#define LHR_API __attribute__((visibility("default"), used))
#elif defined(__GNUC__)
#define LHR_API __attribute__((visibility("default")))
#else
#define LHR_API
#endif
#endif

enum {
    LHR_OK = 0,
    LHR_NO_FILE,      /* the file cannot be opened or read */
    LHR_NO_MEMORY,    /* there is not enough memory */
    LHR_FOREIGN,      /* not a file of this format */
    LHR_VERSION,      /* a version of the format that this code does not know */
    LHR_DAMAGED,      /* of this format, but cut short or changed */
    LHR_BAD_SIZE,     /* a size at which the network cannot run */
    LHR_BAD_ARGUMENT, /* a null pointer, or a number out of range */
    LHR_NO_THREADS_LEFT, /* a thread cannot be started, or this build has none */
    LHR_OUTSIDE,      /* the box is outside the photograph */
    LHR_NOT_FINITE,   /* the heatmaps hold NaN or infinity */
};

typedef struct lhr_network lhr_network;
typedef struct lhr_context lhr_context;

/* The sentence for a code; never NULL. */
LHR_API const char *lhr_error_text(int code);

/* Load a .lhr file, or one that is in memory already (it is copied). A damaged or foreign file is refused. */
LHR_API int lhr_load(lhr_network **network, const char *path);
LHR_API int lhr_load_memory(lhr_network **network, const void *bytes, size_t size);
LHR_API void lhr_free(lhr_network *network); /* after its contexts; NULL is allowed */

/* What the file says about itself: number of joints, the size that it was trained for, and names ("" where unknown). */
LHR_API int lhr_joints(const lhr_network *network);
LHR_API int lhr_height(const lhr_network *network);
LHR_API int lhr_width(const lhr_network *network);
LHR_API const char *lhr_variant(const lhr_network *network);
LHR_API const char *lhr_joint_name(const lhr_network *network, int joint);

/* The kernels' vector width in floats: 16 (AVX-512), 8 (AVX2) or 4. */
LHR_API int lhr_vector_width(const lhr_network *network);

/* Everything that running at one size needs. Both sides must be 32 m - 3 .. 32 m; threads >= 1. The calling thread is
 * one of them, so 1 starts none. The others go to sleep within a millisecond or so after each run. */
LHR_API int lhr_context_new(lhr_context **context, const lhr_network *network, int height, int width, int threads);
LHR_API void lhr_context_free(lhr_context *context); /* NULL is allowed */
LHR_API size_t lhr_context_bytes(const lhr_context *context);

/* Heatmaps (count, joints, ceil(height / 4), ceil(width / 4)) of normalised images (count, 3, height, width), or of
 * RGB crops (count, height, width, 3), which are normalised inside. */
LHR_API int lhr_run(lhr_context *context, const float *images, int count, float *heatmaps);
LHR_API int lhr_run_rgb(lhr_context *context, const uint8_t *crops, int count, float *heatmaps);

/* Cut a person out of a photograph (photo_height, photo_width, 3). The box is x, y, width, height; it is extended to
 * the crop's aspect and multiplied by padding (1.25 as in training). Writes crop (height, width, 3) and the matrix
 * to_crop (2, 3), which takes (x, y, 1) in the photograph to the crop. */
LHR_API int lhr_crop(const uint8_t *photo, int photo_height, int photo_width, const double box[4], double padding,
                     int height, int width, uint8_t *crop, double to_crop[6]);

/* Each heatmap's peak, moved a quarter of a pixel towards its larger neighbour: joints (count, 2) in crop pixels, x
 * before y, and scores (count), the peaks' values. Count is images times joints. */
LHR_API int lhr_decode(const float *heatmaps, int count, int height, int width, float *joints, float *scores);

/* Joints (count, 2) from the crop back to the photograph. */
LHR_API int lhr_to_image(const float *joints, int count, const double to_crop[6], double *photo_joints);

/* All of it: crop with a padding of 1.25, run, decode, and back. Writes joints (joints, 2) and scores (joints). */
LHR_API int lhr_pose(lhr_context *context, const uint8_t *photo, int photo_height, int photo_width,
                     const double box[4], double *joints, float *scores);

#ifdef __cplusplus
}
#endif
#endif
