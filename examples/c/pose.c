/* Joints of a person in a photograph:  pose MODEL.lhr PHOTO.ppm X Y WIDTH HEIGHT
 *
 * The photograph is a binary PPM ("P6", one byte per colour), which any tool writes: magick photo.jpg photo.ppm */
#include "litehrnet.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what)
{
    fprintf(stderr, "pose: %s\n", what);
    return 1;
}

/* The next number of a PPM header; comments run from # to the end of the line. */
static int number(FILE *file)
{
    int c = getc(file), value = 0;
    for (; c == '#' || isspace(c); c = getc(file))
        if (c == '#')
            while (c != '\n' && c != EOF) c = getc(file);
    for (; isdigit(c) && value < 100000; c = getc(file)) value = 10 * value + c - '0';
    return isspace(c) ? value : 0;
}

int main(int count, char **words)
{
    if (count != 7) return fail("usage: pose MODEL.lhr PHOTO.ppm X Y WIDTH HEIGHT");
    FILE *file = fopen(words[2], "rb");
    if (!file || getc(file) != 'P' || getc(file) != '6') return fail("the photograph is not a binary PPM file");
    const int width = number(file), height = number(file), greatest = number(file);
    const size_t bytes = (size_t)3 * width * height;
    uint8_t *photo = malloc(bytes + 1);
    if (!photo || greatest != 255 || fread(photo, 1, bytes, file) != bytes) return fail("the PPM file is damaged");
    fclose(file);

    lhr_network *network;
    lhr_context *context;
    int code = lhr_load(&network, words[1]);
    if (!code) code = lhr_context_new(&context, network, lhr_height(network), lhr_width(network), 1);
    if (code) return fail(lhr_error_text(code));
    const int joints = lhr_joints(network);
    const double box[4] = {atof(words[3]), atof(words[4]), atof(words[5]), atof(words[6])};
    double *places = malloc(joints * 2 * sizeof *places);
    float *scores = malloc(joints * sizeof *scores);
    if (!places || !scores) return fail(lhr_error_text(LHR_NO_MEMORY));
    code = lhr_pose(context, photo, height, width, box, places, scores);
    if (code) return fail(lhr_error_text(code));
    for (int k = 0; k < joints; k++)
        printf("%-16s x %8.2f  y %8.2f  score %.3f\n", lhr_joint_name(network, k), places[2 * k], places[2 * k + 1],
               scores[k]);
    free(scores), free(places), free(photo);
    lhr_context_free(context);
    lhr_free(network);
    return 0;
}
