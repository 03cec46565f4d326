/* Where the time goes: with -DLHR_PROFILE, litehrnet.c includes this file after its kernels and before the network, and
 * each kernel is a macro that reads the clock before and after. For one thread, and for measuring only: the table is
 * global. Time is exclusive: what a stage does outside of kernels is its kernel "rest". Between two stages it is always
 * the spatial weights' turn. */
#ifndef LITEHRNET_PROFILE_H
#define LITEHRNET_PROFILE_H

#include <time.h>

/* One kernel in one stage. `lane_macs` counts the dead lanes of whole vectors too; `bytes` is what the calls read and
 * wrote, each number once per call, weights included. */
struct lhr_part {
    const char *stage, *kernel;
    double seconds, calls, macs, lane_macs, bytes;
};

enum { PROFILE_STAGES = 12, PRODUCT = 0, DEPTHWISE, WEIGHTED, POOL, UNSHUFFLE, REST, PROFILE_KERNELS };
static struct lhr_part profile_table[PROFILE_STAGES][PROFILE_KERNELS];
static int profile_stage;
static double profile_last, profile_clock;

static double profile_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The time since the last call goes to this kernel, less what reading the clock takes. */
static struct lhr_part *profile_add(int kernel)
{
    struct lhr_part *part = &profile_table[profile_stage][kernel];
    const double now = profile_now();
    part->seconds += now - profile_last - profile_clock;
    profile_last = now;
    return part;
}

static void profile_enter(const char *stage)
{
    static const char *const kernels[] = {"product", "depthwise", "weighted", "pool", "unshuffle", "rest"};
    profile_add(REST);
    for (profile_stage = 0; profile_table[profile_stage][0].stage; profile_stage++)
        if (!strcmp(profile_table[profile_stage][0].stage, stage)) return;
    for (int k = 0; k < PROFILE_KERNELS; k++)
        profile_table[profile_stage][k] = (struct lhr_part){.stage = stage, .kernel = kernels[k]};
}

static void profile_product(const struct product *p, int pixels, const struct target *out)
{
    struct lhr_part *part = profile_add(PRODUCT);
    const double lanes = p->lanes - (p->shared ? V / 2 : 0);
    const int maps = out ? 1 + (out->add != NULL) + (out->up != NULL) : 1;
    part->calls++;
    part->macs += (double)pixels * p->inputs * p->outputs;
    part->lane_macs += pixels * p->inputs * lanes;
    part->bytes += 4.0 * (pixels * ((double)p->inputs + maps * p->lanes) + (p->inputs + 1.0) * p->lanes);
}

static void profile_depthwise(const struct depthwise *d, int width, int stride)
{
    struct lhr_part *part = profile_add(DEPTHWISE);
    const int results = (width + stride - 1) / stride;
    part->calls++;
    part->macs += 9.0 * results * d->channels;
    part->lane_macs += 9.0 * results * d->lanes;
    part->bytes += 4.0 * d->lanes * (3.0 * width + results + 10);
}

static void profile_pass(int kernel, double floats)
{
    struct lhr_part *part = profile_add(kernel);
    part->calls++;
    part->bytes += 4 * floats;
}

#define multiply(p, in, sources, pixels, ...) \
    (profile_add(REST), multiply(p, in, sources, pixels, __VA_ARGS__), profile_product(p, pixels, __VA_ARGS__))
#define multiply_one(p, in, in_step, pixels, ...) \
    (profile_add(REST), multiply_one(p, in, in_step, pixels, __VA_ARGS__), profile_product(p, pixels, NULL))
#define depthwise_row(d, rows, step, width, stride, ...) \
    (profile_add(REST), depthwise_row(d, rows, step, width, stride, __VA_ARGS__), profile_depthwise(d, width, stride))
#define weighted_row(x, step, weight, lanes, width, shift, out) \
    (profile_add(REST), weighted_row(x, step, weight, lanes, width, shift, out), \
     profile_pass(WEIGHTED, (double)(lanes) * (2 * (width) + ((width) >> (shift)))))
#define pool_row(x, lanes, width, ratio, pool) \
    (profile_add(REST), pool_row(x, lanes, width, ratio, pool), \
     profile_pass(POOL, (double)(lanes) * (width) * (1 + 2.0 / (ratio))))
#define unshuffle_row(s, x, lanes, width, out) \
    (profile_add(REST), unshuffle_row(s, x, lanes, width, out), profile_pass(UNSHUFFLE, 2.0 * (lanes) * (width)))
#define run_stage(c, job) (profile_enter(#job), run_stage(c, job), profile_enter("spatial_weights"))

/* Start again at zero. */
LHR_API void lhr_profile_start(void)
{
    memset(profile_table, 0, sizeof profile_table);
    profile_clock = 0, profile_last = profile_now();
    profile_enter("spatial_weights");
    for (int i = 0; i < 1000; i++) profile_add(REST);
    profile_clock = profile_table[0][REST].seconds / 1000;
    profile_table[0][REST].seconds = 0, profile_last = profile_now();
}

/* Part number `index` since the start; NULL after the last. The last call of lhr_run is complete in it. */
LHR_API const struct lhr_part *lhr_profile_part(int index)
{
    const int stage = index / PROFILE_KERNELS;
    if (index < 0 || stage >= PROFILE_STAGES || !profile_table[stage][0].stage) return NULL;
    return &profile_table[stage][index % PROFILE_KERNELS];
}

/* Multiply-accumulates per second that this build can reach, out of nothing but registers: the best of many short runs. */
LHR_API double lhr_profile_peak(void)
{
    volatile float unknown = 1.0f;
    double best = 0;
    for (int run = 0; run < 200; run++) {
        const vf a = all(unknown), b = all(unknown);
        vf s[10];
        for (int i = 0; i < 10; i++) s[i] = all(unknown + (float)i);
        const double start = profile_now();
        for (int k = 0; k < 20000; k++)
            UNROLL for (int i = 0; i < 10; i++) s[i] += a * b;
        const double rate = 20000.0 * 10 * V / (profile_now() - start);
        for (int i = 1; i < 10; i++) s[0] += s[i];
        unknown = s[0][0] > 0 ? 1.0f : 2.0f;
        if (rate > best) best = rate;
    }
    return best;
}

#endif
