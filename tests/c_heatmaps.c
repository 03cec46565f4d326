/* heatmaps MODEL.lhr HEIGHT WIDTH IMAGE HEATMAPS [THREADS]: raw floats in, raw floats out; for tests of other builds. */
#include "litehrnet.h"

#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words)
{
    if (count < 6) return 2;
    const int height = atoi(words[2]), width = atoi(words[3]), threads = count > 6 ? atoi(words[6]) : 1;
    lhr_network *network;
    lhr_context *context;
    int code = lhr_load(&network, words[1]);
    if (!code) code = lhr_context_new(&context, network, height, width, threads);
    if (code) return fprintf(stderr, "%s\n", lhr_error_text(code)), 1;
    const size_t floats = (size_t)3 * height * width;
    const size_t maps = (size_t)lhr_joints(network) * ((height + 3) / 4) * ((width + 3) / 4);
    float *image = malloc(floats * sizeof *image), *heatmaps = malloc(maps * sizeof *heatmaps);
    FILE *in = fopen(words[4], "rb"), *out = fopen(words[5], "wb");
    if (!image || !heatmaps || !in || !out || fread(image, sizeof *image, floats, in) != floats) return 1;
    for (int again = 0; again < 2; again++) /* the second time with used buffers */
        if (lhr_run(context, image, 1, heatmaps)) return 1;
    if (fwrite(heatmaps, sizeof *heatmaps, maps, out) != maps || fclose(out)) return 1;
    fclose(in);
    free(image), free(heatmaps);
    lhr_context_free(context);
    lhr_free(network);
    return 0;
}
