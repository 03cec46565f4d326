/* Lite-HRNet in one C file. Read it from top to bottom:
 *
 *     1. vectors      one type, compiled to AVX-512, AVX2, SSE, NEON or WebAssembly's SIMD
 *     2. kernels      the product, the depthwise row, and the small passes between them
 *     3. the file     from bytes to packed weights, every length checked
 *     4. the plan     buffers for one image size, and the threads
 *     5. the network  stem, transitions, blocks, fuse step, head
 *     6. pictures     crop, decode, back to the photograph
 *
 * Where and how the network is computed is in 1, 2 and 5; skip the rest at first. lhr_run, at the end of 5, is where a
 * run begins.
 *
 * Every map is stored channels last: the value of channel c at pixel (y, x) is map[(y * width + x) * lanes + c], where
 * `lanes` is the number of channels rounded up to the vector width V. The lanes above the last channel are dead: no
 * result depends on what they hold. Branch 0 is the largest map, with a quarter of the image's height and width; branch
 * i has half the height and width of branch i - 1. So one row of the smallest map, branch 3, goes with 8 rows of branch
 * 0, 4 of branch 1 and 2 of branch 2: a stripe. Threads share the work by stripes.
 *
 * The weights arrive with batch norms folded and channels in this engine's order (litehrnet/export/c.py). Each of the
 * two blocks of a module works on one half of a branch's channels, and then the network shuffles them all. Instead of
 * moving channels, the engine sorts them by the blocks that work on them, into four groups in the order
 *
 *     A: neither    B: second only    D: both    C: first only
 *
 * so that both blocks work on neighbouring channels (D C at the end, then B D in the middle). Both shuffles are made up
 * for once per module, by `unshuffle_row`, on the way into the fuse step.
 */
#define _POSIX_C_SOURCE 200809L /* threads, which C11 does not have everywhere */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* on which core a thread is, and where it may be */
#endif
#ifdef LHR_TABLE
#define LHR_API static
#endif
#include "litehrnet.h"

#ifdef __wasm__
#include "litehrnet_wasm.h"
#define LHR_NO_THREADS
#else
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#endif
#ifndef LHR_NO_THREADS
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#endif

/* ---------------------------------------------------------------------------------------------------- 1. vectors */

/* V floats make a vector. The product keeps a tile of sums in registers: ROWS(wide) pixels by `wide` vectors. AVX-512
 * and 64-bit ARM have 32 registers, which hold 8 x 3 sums, 3 weights and a pixel; 16 registers hold 4 x 3 sums. SSE and
 * WebAssembly multiply and add in two steps, so each product needs a register on its way to its sum: 3 x 3 sums there,
 * or a tile's sums would move to memory and back. A narrower tile has more rows: a multiply-add takes about four cycles
 * and two can start in each, so with fewer than eight independent sums they would wait for each other. */
#if defined(__AVX512F__)
#define V 16
#elif defined(__AVX__)
#define V 8
#else
#define V 4
#endif
#define WIDEST 3
#if defined(__AVX512F__) || defined(__aarch64__)
#define MOST_ROWS 16
#elif V > 4 || defined(__ARM_NEON)
#define MOST_ROWS 8
#else
#define MOST_ROWS 6
#endif
#define SHARED (V > 4) /* whether two pixels may share a vector, see struct product: with an even number of rows */
#define ROWS(wide) ((wide) == 3 ? MOST_ROWS / 2 : (wide) == 2 ? MOST_ROWS * 3 / 4 : MOST_ROWS)

typedef float vf __attribute__((vector_size(V * 4)));
typedef int32_t vi __attribute__((vector_size(V * 4)));
typedef uint32_t vu __attribute__((vector_size(V * 4))); /* for arithmetic on bits that may overflow, such as NaN's */
typedef float vf_anywhere __attribute__((vector_size(V * 4), aligned(4), may_alias));
#define LOAD(p) (*(const vf_anywhere *)(p))
#define STORE(p, v) (*(vf_anywhere *)(p) = (v))
#define INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* JOIN: the lower half of one vector and the upper half of another; SWAP: a vector's halves in the other order. */
#if V == 16
#define HALF (vi){-1, -1, -1, -1, -1, -1, -1, -1}
#define SWAPPED 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7
#elif V == 8
#define HALF (vi){-1, -1, -1, -1}
#define SWAPPED 4, 5, 6, 7, 0, 1, 2, 3
#else
#define HALF (vi){-1, -1}
#define SWAPPED 2, 3, 0, 1
#endif
#define JOIN(a, b) (vf)((vi)(b) ^ (((vi)(a) ^ (vi)(b)) & HALF)) /* one instruction with AVX-512 */
#define SWAP(a) SHUFFLE(vi, a, a, SWAPPED)

/* Vectors of up to eight floats, to move single channels: longer ones would mostly lie across two cache lines. */
#if V >= 8
#define W 8
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#else
#define W 4
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#endif
typedef float vw __attribute__((vector_size(W * 4)));
typedef int32_t iw __attribute__((vector_size(W * 4)));
typedef float vw_anywhere __attribute__((vector_size(W * 4), aligned(4), may_alias));

/* `integers` is the type of the positions, which only GCC before version 12 has to be told. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(integers, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(integers, a, b, ...) __builtin_shuffle(a, b, (integers){__VA_ARGS__})
#endif

INLINE vf all(float value) { return value - (vf){0}; }

/* max(x, 0), but NaN stays NaN: a broken input must not come out as a pose. */
INLINE vf relu(vf x) { return (vf)((vi)x & ~(vi)(x <= (vf){0})); }

/* 1 / (1 + exp(-x)). exp(z) = 2^n exp(r) with z = n ln 2 + r and |r| <= ln 2 / 2; adding 1.5 * 2^23 rounds to a whole
 * number and leaves it in the low bits. Good to 2e-7; exactly 1 from x = 18 on. */
INLINE vf sigmoid(vf x)
{
    vi low = x < all(-87.0f), high = x > all(87.0f); /* beyond these, float does not hold the power; NaN is neither */
    vf z = (vf)(((vi)-x & ~(low | high)) | ((vi)all(87.0f) & low) | ((vi)all(-87.0f) & high));
    vf shifted = z * 1.44269504f + 12582912.0f;
    vf n = shifted - 12582912.0f;
    vf r = z - n * 0.693359375f + n * 2.12194440e-4f;
    vf e = r * (1.0f / 720) + 1.0f / 120;
    e = e * r + 1.0f / 24;
    e = e * r + 1.0f / 6;
    e = e * r + 0.5f;
    e = e * r + 1.0f;
    e = e * r + 1.0f;
    vu exponent = (vu)shifted - (0x4B400000 - 127);
    return 1.0f / (1.0f + e * (vf)(exponent << 23));
}

static int whole_vectors(int channels) { return (channels + V - 1) / V * V; }

/* ---------------------------------------------------------------------------------------------------- 2. kernels */

/* A 1x1 convolution. The weights are packed tile by tile, each tile [inputs][vectors of the tile][V], in the order in
 * which the product reads them. Where the last vector is at most half full, as with 40 channels and V = 16, its lower
 * half is stored twice, and two pixels share it: 2.5 vectors of work instead of 3. */
struct product {
    const float *weight, *bias; /* (inputs x lanes), (lanes) */
    int inputs, outputs, lanes, shared;
};

/* A depthwise 3x3 convolution: nine rows of weights and one of biases, [10][lanes]. */
struct depthwise {
    const float *taps;
    int channels, lanes;
};

/* Where a product reads: `count` neighbouring channels of each pixel, pixels `step` floats apart. A product that reads
 * several maps has several of these, and its weights follow one another. */
struct source {
    const float *at;
    int step, count;
};

/* Where a product writes, and what it adds while the sums are still in registers:
 * y = act(sums + bias + add * keep + up[parent]), with act ReLU or nothing. */
struct target {
    float *at;
    int step;
    const float *add, *keep; /* same size as the result, `step` apart too; keep: one factor per lane, or NULL for 1 */
    const float *up;         /* a map of half the size, upsampled by repeating its pixels */
    int up_step;
    const int *parent; /* pixel of the result -> pixel of `up` */
    int relu;
};

INLINE int tile_width(int vectors) { return vectors == 4 ? 2 : vectors < WIDEST ? vectors : WIDEST; }

/* `rows` pixels by `wide` vectors of a product, all sums in registers; two pixels share the last vector if `shared`.
 * These three are constants wherever it is inlined. */
INLINE void tile(const int rows, const int wide, const int shared, const struct source *in, int sources, size_t pixel,
                 const float *w, const float *bias, const struct target *to, int lane)
{
    const struct target out = *to; /* a copy, which no STORE can change */
    vf sum[MOST_ROWS][WIDEST], pair[MOST_ROWS / 2];
    const int full = wide - shared;
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < full; j++) sum[i][j] = LOAD(bias + j * V);
    if (shared) UNROLL for (int i = 0; i < rows / 2; i++) pair[i] = LOAD(bias + full * V);
    for (int s = 0; s < sources; s++) {
        const int step = in[s].step, count = in[s].count;
        const float *x = in[s].at + pixel * step;
        for (int k = 0; k < count; k++, w += wide * V) {
            vf weight[WIDEST], value[MOST_ROWS];
            UNROLL for (int j = 0; j < wide; j++) weight[j] = LOAD(w + j * V);
            UNROLL for (int i = 0; i < rows; i++) {
                value[i] = all(x[i * step + k]);
                UNROLL for (int j = 0; j < full; j++) sum[i][j] += value[i] * weight[j];
                if (shared && i % 2) pair[i / 2] += JOIN(value[i - 1], value[i]) * weight[full];
            }
        }
    }
    if (shared) UNROLL for (int i = 0; i < rows; i++) sum[i][full] = i % 2 ? SWAP(pair[i / 2]) : pair[i / 2];
    UNROLL for (int i = 0; i < rows; i++) {
        const size_t at = (pixel + i) * out.step + lane;
        if (out.add)
            UNROLL for (int j = 0; j < wide; j++) {
                vf more = LOAD(out.add + at + j * V);
                sum[i][j] += out.keep ? more * LOAD(out.keep + lane + j * V) : more;
            }
        if (out.up) {
            const float *up = out.up + (size_t)out.parent[pixel + i] * out.up_step + lane;
            UNROLL for (int j = 0; j < wide; j++) sum[i][j] += LOAD(up + j * V);
        }
        UNROLL for (int j = 0; j < wide; j++) STORE(out.at + at + j * V, out.relu ? relu(sum[i][j]) : sum[i][j]);
    }
}

/* All pixels of a product. If the last tile would not be full, it is moved back: some pixels are then computed twice,
 * with the same result, which is cheaper than a kernel for every remainder. */
static void multiply(const struct product *p, const struct source *in, int sources, int pixels,
                     const struct target *out)
{
    const float *w = p->weight;
    for (int lane = 0, wide; lane < p->lanes; w += (size_t)p->inputs * wide * V, lane += wide * V) {
        wide = tile_width((p->lanes - lane) / V);
        const float *bias = p->bias + lane;
        const int shared = SHARED && p->shared && lane + wide * V == p->lanes;
        const int most = ROWS(wide), rows = pixels < most ? 1 : most;
        for (int next = 0; next < pixels; next += rows) {
            const int m = next + rows > pixels ? pixels - rows : next;
#define TILE(rows, wide, shared) tile(rows, wide, shared, in, sources, m, w, bias, out, lane)
            if (rows == 1 && wide == 3) TILE(1, 3, 0);
            else if (rows == 1 && wide == 2) TILE(1, 2, 0);
            else if (rows == 1) TILE(1, 1, 0);
            else if (wide == 3 && shared) TILE(ROWS(3), 3, 1);
            else if (wide == 3) TILE(ROWS(3), 3, 0);
            else if (wide == 2 && shared) TILE(ROWS(2), 2, 1);
            else if (wide == 2) TILE(ROWS(2), 2, 0);
            else TILE(ROWS(1), 1, 0);
#undef TILE
        }
    }
}

static void multiply_one(const struct product *p, const float *in, int in_step, int pixels, float *out, int out_step,
                         int with_relu)
{
    struct source source = {in, in_step, p->inputs};
    struct target target = {.at = out, .step = out_step, .relu = with_relu};
    multiply(p, &source, 1, pixels, &target);
}

/* One row of a depthwise 3x3 convolution, stride 1 or 2, from three rows of a map (above and below a map, zeros). Each
 * column of the three rows is loaded once and adds to the results on its left, at its place and on its right, so the
 * sides need no padding. With `pool`, `ratio` neighbouring results add to one pixel of a smaller map. */
static void depthwise_row(const struct depthwise *d, const float *const rows[3], int step, int width, int stride,
                          float *out, int out_step, float *pool, int pool_step, int ratio)
{
    for (int lane = 0; lane < d->lanes; lane += V) {
        vf k[9], bias = LOAD(d->taps + 9 * d->lanes + lane);
        for (int i = 0; i < 9; i++) k[i] = LOAD(d->taps + i * d->lanes + lane);
        const float *r0 = rows[0] + lane, *r1 = rows[1] + lane, *r2 = rows[2] + lane;
        float *y = out + lane;
#define COLUMN(x) vf a = LOAD(r0 + (size_t)(x)*step), b = LOAD(r1 + (size_t)(x)*step), c = LOAD(r2 + (size_t)(x)*step)
#define TAPS(sum, i) (sum) + k[i] * a + k[3 + i] * b + k[6 + i] * c
        if (stride == 2) {
            vf now = bias;
            for (int x = 0; x < width; x += 2, y += out_step) {
                vf next = bias;
                { COLUMN(x); now = TAPS(now, 1); }
                if (x + 1 < width) {
                    COLUMN(x + 1);
                    now = TAPS(now, 2);
                    next = TAPS(bias, 0);
                }
                STORE(y, now);
                now = next;
            }
            continue;
        }
        vf before, now = bias, pooled = (vf){0};
        {
            COLUMN(0);
            before = TAPS(now, 1);
            now = TAPS(bias, 0);
        }
        float *p = pool ? pool + lane : NULL;
        int left = ratio;
        for (int x = 1; x <= width; x++, y += out_step) {
            vf next = bias;
            if (x < width) {
                COLUMN(x);
                before = TAPS(before, 2);
                now = TAPS(now, 1);
                next = TAPS(bias, 0);
            }
            STORE(y, before);
            if (p) {
                pooled += before;
                if (--left == 0) {
                    STORE(p, LOAD(p) + pooled);
                    pooled = (vf){0};
                    left = ratio;
                    p += pool_step;
                }
            }
            before = now;
            now = next;
        }
#undef TAPS
#undef COLUMN
    }
}

/* out = x * weight, where each pixel of `weight` covers 2^shift pixels of the row. */
static void weighted_row(const float *x, int step, const float *weight, int lanes, int width, int shift, float *out)
{
    for (int at = 0; at < width; at++, x += step, out += lanes) {
        const float *w = weight + (size_t)(at >> shift) * lanes;
        for (int lane = 0; lane < lanes; lane += V) STORE(out + lane, LOAD(x + lane) * LOAD(w + lane));
    }
}

/* out = x * scale * factor for exactly `count` channels; what follows them in `out` is another branch's. */
static void scaled(const float *restrict x, const float *restrict scale, float factor, int count, float *restrict out)
{
    for (int k = 0; k < count; k++) out[k] = x[k] * scale[k] * factor;
}

/* Add each run of `ratio` pixels of a row to one pixel of `pool`. */
static void pool_row(const float *x, int lanes, int width, int ratio, float *pool)
{
    for (int at = 0; at < width; at += ratio, pool += lanes)
        for (int lane = 0; lane < lanes; lane += V) {
            vf sum = LOAD(pool + lane);
            for (int i = 0; i < ratio; i++) sum += LOAD(x + (size_t)(at + i) * lanes + lane);
            STORE(pool + lane, sum);
        }
}

/* How the two shuffles of a module move the channels of a branch. */
struct shuffle {
    int length[4];      /* channels in the groups A B D C */
    size_t place[4][4]; /* where the first four channels of each group of the next module come from */
};

static struct shuffle shuffle_of(int channels)
{
    const int half = channels / 2, b = half / 2, a = half - b;
    const int first[4] = {0, a, half + b, half}; /* the groups' first channels, as the network counts them */
    struct shuffle s = {.length = {a, b, a, b}};
    for (int g = 0; g < 4; g++)
        for (int i = 0; i < 4; i++) {
            int t = first[g] + i;
            for (int block = 0; block < 2; block++) t = t % 2 ? half + t / 2 : t / 2; /* where a shuffle took it from */
            s.place[g][i] = (size_t)(t < half ? t : t - half < b ? t + a : t - b); /* D is stored before C */
        }
    return s;
}

/* One row through both shuffles. Four channels that are neighbours afterwards come from the four groups, one from each;
 * so W of each are woven into 4 W. Writes up to W - 1 floats beyond the row. */
static void unshuffle_row(const struct shuffle *restrict s, const float *restrict x, int lanes, int width,
                          float *restrict out)
{
    for (int pixel = 0; pixel < width; pixel++, x += lanes, out += lanes) {
        float *y = out;
        UNROLL for (int g = 0; g < 4; g++) {
            const size_t *place = s->place[g];
            const int length = s->length[g];
            for (int i = 0; i < length; i += 4 * W) {
                vw from[4];
                for (int k = 0; k < 4; k++) from[k] = *(const vw_anywhere *)(x + i / 4 + place[k]);
                vw even = SHUFFLE(iw, from[0], from[2], LOWER), odd = SHUFFLE(iw, from[1], from[3], LOWER);
                vw_anywhere *to = (vw_anywhere *)(y + i);
                to[0] = SHUFFLE(iw, even, odd, LOWER);
                if (i + W < length) to[1] = SHUFFLE(iw, even, odd, UPPER);
                if (i + 2 * W >= length) break;
                even = SHUFFLE(iw, from[0], from[2], UPPER), odd = SHUFFLE(iw, from[1], from[3], UPPER);
                to[2] = SHUFFLE(iw, even, odd, LOWER);
                if (i + 3 * W < length) to[3] = SHUFFLE(iw, even, odd, UPPER);
            }
            y += length;
        }
    }
}

/* --------------------------------------------------------------------------------------------------- 3. the file */

/* Little-endian throughout.
 *
 *     0    8   magic "lhrnet\x1a\n"            24  4x3   modules of the three stages
 *     8    4   version of the format, 1        36  4x4   channels of the four branches
 *     12   4   CRC-32 of all that follows      52  4     channels after the stem, 32
 *     16   4   bytes of a weight: 4 or 2       56  4     joints
 *     20   4   1: channel weighting, 0: naive  60  4x2   height and width that it was trained for
 *     68  4x3  mean, 80 4x3 deviation (RGB, on the scale 0..255)
 *     92   32  name of the variant, ended by a zero byte
 *     124  4   bytes of the joints' names: UTF-8, each ended by a zero byte, as many as joints
 *     128  4   bytes of what only Python reads: JSON
 *     132      names, JSON, zero bytes up to a multiple of 4
 *              weights, in the order in which `read_network` asks for them
 */
#define HEADER 132
#define MAX_CHANNELS 2048
#define MAX_MODULES 64
#define MAX_JOINTS 4096
#define MAX_SIDE 8192
static const char MAGIC[8] = {'l', 'h', 'r', 'n', 'e', 't', 0x1a, '\n'};

struct block {
    struct product squeeze, expand[4]; /* cross-resolution weights: all branches to few channels, and to each branch */
    struct product first[4], last[4];  /* shuffle block: before and after the depthwise convolution */
    struct depthwise depthwise[4];
    struct product down[4], up[4]; /* spatial weights */
    float *processed[4], *passes[4]; /* per lane 1 where this block works, and where a channel passes */
};

struct module {
    int branches;
    struct block block[2];
    /* The fuse step. up[i][j]: from the smaller map j to row i. From a larger map j to row i there are i - j steps with
     * stride 2; the last product of all of them is one product, row[i], which reads them side by side. */
    struct product up[4][4], step[4][4][3], row[4];
    struct depthwise shrink[4][4][3];
};

struct lhr_network {
    int weighting, modules[3], channels[4], lanes[4], joints, height, width;
    float mean[3], deviation[3];
    char variant[32];
    char *names; /* joints strings, one after the other */
    struct product stem, stem_first, stem_expand, stem_second;
    struct depthwise stem_first_depthwise, stem_second_depthwise;
    struct depthwise adapt_depthwise, grow_depthwise[3]; /* transitions: branch 0 after the stem, and new branches */
    struct product adapt, grow[3];
    struct module *module;
    struct depthwise head_depthwise[4];
    struct product head[4], final;
    struct shuffle shuffle[4];
    float *memory; /* all packed weights */
};

/* Reads numbers from the file into packed weights: a first time without memory, to learn how much is needed and whether
 * the file is as long as its header says, and a second time with memory. */
struct reader {
    const uint8_t *bytes;
    size_t left, used; /* numbers left in the file, floats used of the memory */
    int size, failed;
    float *memory;
};

static uint32_t read_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float as_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static float half_to_float(uint32_t half)
{
    uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) return as_float(sign | 0x7f800000 | fraction << 13);
    if (exponent) return as_float(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f; /* a subnormal half */
    return sign ? -small : small;
}

static float next_number(struct reader *r)
{
    float value = r->size == 4 ? as_float(read_u32(r->bytes)) : half_to_float(r->bytes[0] | (uint32_t)r->bytes[1] << 8);
    r->bytes += r->size;
    return value;
}

static int take(struct reader *r, size_t numbers)
{
    if (r->failed || numbers > r->left) return r->failed = 1, 0;
    r->left -= numbers;
    return r->memory != NULL;
}

static float *room(struct reader *r, size_t floats)
{
    float *at = r->memory ? r->memory + r->used : NULL;
    r->used += (floats + 15) / 16 * 16;
    return at;
}

/* A product from the file's [inputs][outputs] and [outputs]. Its results go to the lanes from `first` on; the other
 * lanes of these whole vectors get no weights and the bias `idle`. Lanes from `first + outputs` on are dead, or from
 * `total` on if that is more. */
static struct product read_product(struct reader *r, int inputs, int outputs, int first, int total, float idle)
{
    struct product p = {.inputs = inputs, .outputs = outputs, .lanes = whole_vectors(first + outputs)};
    const int half = p.lanes - V / 2; /* from this lane on the last vector may repeat its first half */
    p.shared = SHARED && first + outputs <= half && total <= half;
    float *weight = room(r, (size_t)inputs * p.lanes), *bias = room(r, p.lanes);
    p.weight = weight, p.bias = bias;
    if (!take(r, (size_t)inputs * outputs + outputs)) return p;
    memset(weight, 0, (size_t)inputs * p.lanes * sizeof(float));
    for (int i = 0; i < inputs; i++)
        for (int lane = 0, wide; lane < p.lanes; lane += wide * V) {
            wide = tile_width((p.lanes - lane) / V);
            float *at = weight + (size_t)inputs * lane + (size_t)i * wide * V;
            for (int j = 0; j < wide * V; j++)
                if (lane + j >= first && lane + j < first + outputs) at[j] = next_number(r);
                else if (p.shared && lane + j >= half) at[j] = at[j - V / 2];
        }
    for (int lane = 0; lane < p.lanes; lane++)
        bias[lane] = lane >= first && lane < first + outputs ? next_number(r)
                     : p.shared && lane >= half              ? bias[lane - V / 2]
                                                             : idle;
    return p;
}

/* A depthwise convolution from the file's [9][channels] and [channels], to the lanes from `first` on; the lanes before
 * and after them, up to `total`, pass unchanged: their kernel is 1 in the centre. */
static struct depthwise read_depthwise(struct reader *r, int channels, int first, int total)
{
    struct depthwise d = {.channels = channels, .lanes = whole_vectors(first + channels)};
    float *taps = room(r, (size_t)10 * d.lanes);
    d.taps = taps;
    if (!take(r, (size_t)10 * channels)) return d;
    for (int tap = 0; tap < 10; tap++)
        for (int lane = 0; lane < d.lanes; lane++)
            taps[tap * d.lanes + lane] = lane >= first && lane < first + channels ? next_number(r)
                                         : tap == 4 && lane < total              ? 1.0f
                                                                                 : 0.0f;
    return d;
}

/* The channels that block k of a module works on start here; they are half of all. */
static int block_start(int channels, int k) { return k == 0 ? channels / 2 : channels / 2 - channels / 4; }

/* Work is done on whole vectors: from this lane on. */
static int block_lane(int channels, int k) { return block_start(channels, k) / V * V; }

static int block_lanes(int channels, int k)
{
    return whole_vectors(block_start(channels, k) + channels / 2) - block_lane(channels, k);
}

static void read_block(struct reader *r, const lhr_network *net, int branches, int k, struct block *b)
{
    int all_halves = 0;
    for (int i = 0; i < branches; i++) all_halves += net->channels[i] / 2;
    if (net->weighting) b->squeeze = read_product(r, all_halves, all_halves / 8, 0, 0, 0);
    for (int i = 0; i < branches; i++) {
        const int c = net->channels[i], half = c / 2, from = block_lane(c, k), first = block_start(c, k) - from;
        if (net->weighting) {
            b->expand[i] = read_product(r, all_halves / 8, half, first, c - from, 40); /* sigmoid(40) is exactly 1 */
            b->depthwise[i] = read_depthwise(r, half, first, c - from);
            b->down[i] = read_product(r, half, half / 4, 0, 0, 0);
            b->up[i] = read_product(r, half / 4, half, 0, 0, 0);
        } else {
            b->first[i] = read_product(r, half, half, 0, 0, 0);
            b->depthwise[i] = read_depthwise(r, half, 0, half);
            b->last[i] = read_product(r, half, half, first, c - from, 0);
        }
        b->processed[i] = room(r, block_lanes(c, k));
        b->passes[i] = room(r, block_lanes(c, k));
        for (int lane = 0; r->memory && lane < block_lanes(c, k); lane++) {
            b->processed[i][lane] = lane >= first && lane < first + half;
            b->passes[i][lane] = 1 - b->processed[i][lane];
        }
    }
}

static void read_module(struct reader *r, const lhr_network *net, int branches, struct module *m)
{
    const int *c = net->channels;
    m->branches = branches;
    for (int k = 0; k < 2; k++) read_block(r, net, branches, k, &m->block[k]);
    for (int i = 0, before = 0; i < branches; before += c[i++]) {
        for (int j = 0; j < i; j++)
            for (int s = 0; s < i - j; s++) {
                m->shrink[i][j][s] = read_depthwise(r, c[j], 0, c[j]);
                if (s + 1 < i - j) m->step[i][j][s] = read_product(r, c[j], c[j], 0, 0, 0);
            }
        if (i) m->row[i] = read_product(r, before, c[i], 0, 0, 0);
        for (int j = i + 1; j < branches; j++) m->up[i][j] = read_product(r, c[j], c[i], 0, 0, 0);
    }
}

static void read_network(struct reader *r, lhr_network *net)
{
    const int *c = net->channels;
    net->stem = read_product(r, 27, 32, 0, 0, 0);
    net->stem_first_depthwise = read_depthwise(r, 16, 0, 16);
    net->stem_first = read_product(r, 16, 16, 0, 0, 0);
    net->stem_expand = read_product(r, 16, 32, 0, 0, 0);
    net->stem_second_depthwise = read_depthwise(r, 32, 0, 32);
    net->stem_second = read_product(r, 32, 16, 0, 0, 0);
    struct module *m = net->module;
    for (int stage = 0; stage < 3; stage++) {
        const int from = stage ? c[stage] : 32;
        if (stage == 0) {
            net->adapt_depthwise = read_depthwise(r, 32, 0, 32);
            net->adapt = read_product(r, 32, c[0], 0, 0, 0);
        }
        net->grow_depthwise[stage] = read_depthwise(r, from, 0, from);
        net->grow[stage] = read_product(r, from, c[stage + 1], 0, 0, 0);
        for (int k = 0; k < net->modules[stage]; k++) read_module(r, net, stage + 2, m++);
    }
    for (int i = 3; i >= 0; i--) {
        net->head_depthwise[i] = read_depthwise(r, c[i], 0, c[i]);
        net->head[i] = read_product(r, c[i], c[i ? i - 1 : 0], 0, 0, 0);
    }
    net->final = read_product(r, c[0], net->joints, 0, 0, 0);
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t table[256], crc = 0xffffffff;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
        table[i] = c;
    }
    for (size_t i = 0; i < size; i++) crc = table[(crc ^ bytes[i]) & 255] ^ crc >> 8;
    return ~crc;
}

static int legal_side(int side) { return side >= 29 && side <= MAX_SIDE && (32 - side % 32) % 32 <= 3; }

static int within(uint32_t value, uint32_t low, uint32_t high) { return value >= low && value <= high; }

/* The header into `net`, and `r` to where the weights begin. Everything that later becomes a length is bounded here. */
static int read_header(lhr_network *net, const uint8_t *p, size_t size, struct reader *r)
{
    if (size < 12 || memcmp(p, MAGIC, sizeof MAGIC)) return LHR_FOREIGN;
    if (read_u32(p + 8) != 1) return LHR_VERSION;
    if (size < HEADER) return LHR_DAMAGED;
    uint32_t word[HEADER / 4]; /* word[i] is at byte 4 i; see the table above */
    for (int i = 0; i < HEADER / 4; i++) word[i] = read_u32(p + 4 * i);
    const uint32_t number_size = word[4], weighting = word[5], *modules = word + 6, *channels = word + 9;
    const uint32_t joints = word[14], height = word[15], width = word[16], names = word[31], json = word[32];
    int good = (number_size == 4 || number_size == 2) && weighting <= 1 && word[13] == 32 && p[92 + 31] == 0;
    for (int i = 0; i < 3; i++) good &= within(modules[i], 1, MAX_MODULES);
    for (int i = 0; i < 4; i++) good &= within(channels[i], 8, MAX_CHANNELS) && channels[i] % 2 == 0;
    good &= within(joints, 1, MAX_JOINTS);
    good &= within(height, 1, MAX_SIDE) && within(width, 1, MAX_SIDE);
    good = good && legal_side((int)height) && legal_side((int)width);
    good &= names <= size - HEADER && json <= size - HEADER - names;
    if (!good) return LHR_DAMAGED;
    const size_t start = ((size_t)HEADER + names + json + 3) / 4 * 4;
    if (start > size || (size - start) % number_size) return LHR_DAMAGED;
    size_t ends = 0;
    for (size_t i = 0; i < names; i++) ends += p[HEADER + i] == 0;
    if (ends != joints || p[HEADER + names - 1]) return LHR_DAMAGED;

    net->weighting = (int)weighting, net->joints = (int)joints, net->height = (int)height, net->width = (int)width;
    for (int i = 0; i < 3; i++) {
        net->modules[i] = (int)modules[i];
        net->mean[i] = as_float(word[17 + i]), net->deviation[i] = as_float(word[20 + i]);
        if (!isfinite(net->mean[i]) || !isfinite(net->deviation[i]) || net->deviation[i] <= 0) return LHR_DAMAGED;
    }
    for (int i = 0; i < 4; i++) {
        net->channels[i] = (int)channels[i];
        net->lanes[i] = whole_vectors(net->channels[i]);
        net->shuffle[i] = shuffle_of(net->channels[i]);
    }
    memcpy(net->variant, p + 92, sizeof net->variant);
    r->bytes = p + start, r->left = (size - start) / number_size, r->size = (int)number_size;
    return LHR_OK;
}

static int load_parts(lhr_network *net, const uint8_t *bytes, size_t size)
{
    struct reader r = {0};
    int code = read_header(net, bytes, size, &r);
    if (code) return code;
    const int modules = net->modules[0] + net->modules[1] + net->modules[2];
    net->module = calloc((size_t)modules, sizeof *net->module);
    if (!net->module) return LHR_NO_MEMORY;
    struct reader counting = r;
    read_network(&counting, net);
    if (counting.failed || counting.left) return LHR_DAMAGED;
    if (read_u32(bytes + 12) != crc32_of(bytes + 16, size - 16)) return LHR_DAMAGED;
    const size_t names = read_u32(bytes + 124);
    net->names = malloc(names);
    net->memory = aligned_alloc(64, counting.used * sizeof(float));
    if (!net->names || !net->memory) return LHR_NO_MEMORY;
    memcpy(net->names, bytes + HEADER, names);
    r.memory = net->memory;
    read_network(&r, net);
    return LHR_OK;
}

int lhr_load_memory(lhr_network **network, const void *bytes, size_t size)
{
    if (!network || !bytes) return LHR_BAD_ARGUMENT;
    *network = NULL;
    lhr_network *net = calloc(1, sizeof *net);
    if (!net) return LHR_NO_MEMORY;
    int code = load_parts(net, bytes, size);
    if (code) lhr_free(net);
    else *network = net;
    return code;
}

#ifndef __wasm__ /* there are no files in a browser */
int lhr_load(lhr_network **network, const char *path)
{
    if (!network || !path) return LHR_BAD_ARGUMENT;
    *network = NULL;
    FILE *file = fopen(path, "rb");
    if (!file) return LHR_NO_FILE;
    uint8_t *bytes = NULL;
    size_t size = 0, space = 0;
    int code = LHR_OK;
    for (size_t got = 1; got && !code;) {
        if (size == space) {
            uint8_t *more = realloc(bytes, space = space ? 2 * space : 1 << 16);
            if (!more) { code = LHR_NO_MEMORY; break; }
            bytes = more;
        }
        size += got = fread(bytes + size, 1, space - size, file);
    }
    if (ferror(file)) code = LHR_NO_FILE; /* for example, a folder */
    fclose(file);
    if (!code) code = lhr_load_memory(network, bytes, size);
    free(bytes);
    return code;
}
#endif

void lhr_free(lhr_network *net)
{
    if (!net) return;
    free(net->module);
    free(net->names);
    free(net->memory);
    free(net);
}

const char *lhr_error_text(int code)
{
    switch (code) {
    case LHR_OK: return "no error";
    case LHR_NO_FILE: return "the file cannot be opened or read";
    case LHR_NO_MEMORY: return "there is not enough memory";
    case LHR_FOREIGN: return "this is not a .lhr file";
    case LHR_VERSION: return "this .lhr file has a version that this program does not know";
    case LHR_DAMAGED: return "this .lhr file is damaged or cut short";
    case LHR_BAD_SIZE: return "the network cannot run at this size: each side must be a multiple of 32, or up to 3 less";
    case LHR_BAD_ARGUMENT: return "an argument is null or out of range";
    case LHR_NO_THREADS_LEFT: return "a thread cannot be started";
    case LHR_OUTSIDE: return "the box is outside the photograph";
    case LHR_NOT_FINITE: return "the heatmaps hold NaN or infinity";
    default: return "unknown error";
    }
}

int lhr_joints(const lhr_network *net) { return net->joints; }
int lhr_height(const lhr_network *net) { return net->height; }
int lhr_width(const lhr_network *net) { return net->width; }
const char *lhr_variant(const lhr_network *net) { return net->variant; }

int lhr_vector_width(const lhr_network *net)
{
    (void)net;
    return V;
}

const char *lhr_joint_name(const lhr_network *net, int joint)
{
    if (joint < 0 || joint >= net->joints) return "";
    const char *name = net->names;
    while (joint--) name += strlen(name) + 1;
    return name;
}

/* --------------------------------------------------------------------------------------------------- 4. the plan */

/* A share of the stripes, and what working on it takes: mostly rows. There are as many shares as threads. */
struct worker {
    struct lhr_context *context;
    int first, last;        /* its stripes, first .. last - 1 */
    float *ring;            /* three rows of any map, for what is computed row by row */
    float *ring2, *input;   /* the stem's: rows after its expansion, rows of the image */
    float *rows;            /* depthwise results of a few rows, on their way into a product */
    float *results;         /* products of a few rows, on their way into another */
    float *edge[4][2];      /* the rows above and below its stripes, before the neighbours change them */
    float *hidden;          /* spatial weights */
#ifndef LHR_NO_THREADS
    pthread_t thread;
    atomic_uint taken; /* the last round in which a thread took these stripes */
#endif
};

typedef void stage(struct worker *w, int first, int last);

struct lhr_context {
    const lhr_network *net;
    int height, width, half_height, half_width; /* of the image, and after the stem's first convolution */
    int h[4], w[4];                             /* of the branches */
    int threads;
    struct worker *worker;
    float *memory;
    size_t bytes;
    float *stem, *x[4], *z[4], *zeros; /* maps after the stem, the branches, the settled branches; a row of zeros */
    float *pool[4], *scale[4], *settled[4]; /* pooled branches; per lane the delayed spatial weight, before and after
                                               the shuffles */
    float *joined, *squeezed, *weights[4];  /* cross-resolution weights on their way */
    float *up[4][4], *step[4][4][2];        /* the fuse step's small sums, and maps between its steps down */
    float *below[4];                        /* the head's results */
    float *heatmaps, *found; /* what lhr_pose needs between its steps */
    uint8_t *crop;
    int *parent[4];          /* pixel of branch i -> pixel of branch i + 1 above it */
    float normalised[3][256]; /* (value - mean) / deviation */
    /* what the present stage works on */
    const float *images;
    const uint8_t *crops;
    float *answer;
    const struct module *module;
    int k;
#ifndef LHR_NO_THREADS
    pthread_mutex_t lock;
    pthread_cond_t wake;
    stage *job;
    atomic_uint round;              /* counts stages */
    atomic_int busy, asleep, stop;  /* shares that are not done; whether a thread may be asleep; whether to end */
    atomic_int core;                /* where the calling thread was when it last woke the others */
    int started;                    /* threads */
#endif
};

/* Buffers come from one block. As with the weights, the first pass counts, and the second hands out. */
static float *part(struct lhr_context *c, float *base, size_t floats)
{
    float *at = base ? base + c->bytes / sizeof(float) : NULL;
    c->bytes += (floats + V + 15) / 16 * 16 * sizeof(float); /* V more: a last vector may reach beyond its map */
    return at;
}

/* How many rows of a map of this width to work on together, so that the product's tiles are full. */
static int rows_together(int width)
{
    int rows = 1;
    while (rows < 8 && rows * width < 40) rows *= 2;
    return rows;
}

static size_t at_least(size_t a, size_t b) { return a > b ? a : b; }

static void plan(struct lhr_context *c, float *base)
{
    const lhr_network *net = c->net;
    const int *lanes = net->lanes;
    size_t pixels[4], halves = 0, joined = 0, squeezed = 0;
    size_t row = (size_t)c->half_width * 32, together = 0, lanes_of_all = 0, mixed = 0;
    for (int i = 0; i < 4; i++) pixels[i] = (size_t)c->h[i] * c->w[i];
    c->bytes = 0;
    c->stem = part(c, base, pixels[0] * 32);
    for (int i = 0; i < 4; i++) {
        c->x[i] = part(c, base, pixels[i] * lanes[i]);
        c->z[i] = part(c, base, pixels[i] * lanes[i]);
        c->scale[i] = part(c, base, lanes[i]);
        c->settled[i] = part(c, base, lanes[i]);
        c->parent[i] = (int *)part(c, base, pixels[i]);
        const size_t smallest = pixels[i ? i : 1]; /* the smallest map of the first stage that has this branch */
        c->pool[i] = part(c, base, smallest * lanes[i]);
        c->weights[i] = part(c, base, smallest * lanes[i]);
        halves += (size_t)net->channels[i] / 2;
        if (i) {
            joined = at_least(joined, halves * pixels[i]);
            squeezed = at_least(squeezed, (size_t)whole_vectors((int)halves / 8) * pixels[i]);
            mixed = at_least(mixed, (size_t)c->w[i] * lanes[i - 1]);
            c->below[i] = part(c, base, pixels[i] * lanes[i - 1]);
        }
        for (int j = i + 1; j < 4; j++) c->up[i][j] = part(c, base, pixels[j] * lanes[i]);
        for (int j = 0; j + 1 < i; j++)
            for (int s = 0; s + 1 < i - j; s++) c->step[i][j][s] = part(c, base, pixels[j + s + 1] * lanes[j]);
        row = at_least(row, (size_t)c->w[i] * at_least(lanes[i], 32));
        together = at_least(together, (size_t)c->w[i] * rows_together(c->w[i]));
        lanes_of_all += at_least(lanes[i], 32);
    }
    c->joined = part(c, base, joined);
    c->squeezed = part(c, base, squeezed);
    c->zeros = part(c, base, row);
    for (int t = 0; t < c->threads; t++) {
        struct worker *w = &c->worker[t];
        w->ring = part(c, base, 3 * row);
        w->ring2 = part(c, base, (size_t)3 * c->half_width * 32);
        w->input = part(c, base, (size_t)3 * 3 * (c->width + 2));
        w->rows = part(c, base, together * at_least(lanes_of_all, 3 * (size_t)lanes[0]));
        w->results = part(c, base, at_least(mixed, together * at_least(whole_vectors(net->joints), lanes[0])));
        w->hidden = part(c, base, 2 * MAX_CHANNELS);
        for (int i = 0; i < 4; i++)
            for (int side = 0; side < 2; side++) w->edge[i][side] = part(c, base, (size_t)c->w[i] * lanes[i]);
    }
    c->heatmaps = part(c, base, pixels[0] * net->joints);
    c->found = part(c, base, (size_t)net->joints * 2);
    c->crop = (uint8_t *)part(c, base, ((size_t)c->height * c->width * 3 + 3) / 4);
}

/* Threads. A stage takes microseconds, so a thread that is done watches for the next one for a while before it goes to
 * sleep. Each thread begins with its own share; then it takes those that no other has begun. So nobody waits for a
 * thread that wakes up late, or whose core is busy with something else. */
static void do_stripes(struct worker *w, stage *job)
{
    if (w->first < w->last) job(w, w->first, w->last);
}

#ifdef LHR_NO_THREADS
static int start_threads(struct lhr_context *c) { return c->threads > 1 ? LHR_NO_THREADS_LEFT : LHR_OK; }
static void stop_threads(struct lhr_context *c) { (void)c; }
static void run_stage(struct lhr_context *c, stage *job) { do_stripes(&c->worker[0], job); }
#else
/* Linux may wake a thread on the core of the one that wakes it although others are idle, and leave both there for
 * longer than a run takes. A thread that finds itself there moves: for a moment, that core is forbidden to it. */
#ifdef __linux__
static int this_core(void) { return sched_getcpu(); }

static void leave_core(const struct lhr_context *c)
{
    const int core = atomic_load(&c->core);
    cpu_set_t allowed, others;
    if (core < 0 || sched_getcpu() != core || sched_getaffinity(0, sizeof allowed, &allowed)) return;
    if (CPU_COUNT(&allowed) < c->threads) return; /* some will share a core anyway; let the system decide which */
    others = allowed;
    CPU_CLR(core, &others);
    if (!sched_setaffinity(0, sizeof others, &others)) sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
static int this_core(void) { return 0; }
static void leave_core(const struct lhr_context *c) { (void)c; }
#endif

/* Wait a little; after a while, offer the core to others: the thread that is waited for may need this very core. */
static void spin(int turn)
{
    if (turn > 200) sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    else __builtin_ia32_pause();
#elif defined(__aarch64__)
    else __asm__ volatile("isb");
#endif
}

/* All shares of this round that no other thread has taken, from number `own` on. What belongs to the round, such as
 * c->job, may be read only after one was taken: until that is done, the round is not over. */
static void do_shares(struct lhr_context *c, unsigned round, int own)
{
    for (int i = 0; i < c->threads; i++) {
        struct worker *w = &c->worker[(own + i) % c->threads];
        unsigned before = round - 1;
        if (!atomic_compare_exchange_strong(&w->taken, &before, round)) continue;
        do_stripes(w, c->job);
        atomic_fetch_sub(&c->busy, 1);
    }
}

static void wake_all(struct lhr_context *c)
{
    atomic_store(&c->core, this_core());
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->asleep, 0);
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    sched_yield(); /* to a thread on this core, so that it can leave */
}

static void sleep_until_next(struct lhr_context *c, unsigned seen)
{
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->asleep, 1); /* before it looks at the round; `run_stage` begins a round before it looks at this */
    while (atomic_load(&c->round) == seen) pthread_cond_wait(&c->wake, &c->lock);
    pthread_mutex_unlock(&c->lock);
    leave_core(c);
}

static void *work(void *argument)
{
    struct worker *w = argument;
    struct lhr_context *c = w->context;
    for (unsigned seen = 0; !atomic_load(&c->stop);) {
        for (int turn = 0; turn < 2000 && atomic_load(&c->round) == seen; turn++) spin(turn);
        if (atomic_load(&c->round) == seen) sleep_until_next(c, seen);
        seen = atomic_load(&c->round);
        do_shares(c, seen, (int)(w - c->worker));
    }
    return NULL;
}

static int start_threads(struct lhr_context *c)
{
    if (c->threads == 1) return LHR_OK;
    if (pthread_mutex_init(&c->lock, NULL)) return LHR_NO_THREADS_LEFT;
    if (pthread_cond_init(&c->wake, NULL)) return pthread_mutex_destroy(&c->lock), LHR_NO_THREADS_LEFT;
    for (c->started = 1; c->started < c->threads; c->started++)
        if (pthread_create(&c->worker[c->started].thread, NULL, work, &c->worker[c->started]))
            return LHR_NO_THREADS_LEFT;
    return LHR_OK;
}

static void stop_threads(struct lhr_context *c)
{
    if (!c->started) return;
    atomic_store(&c->stop, 1);
    atomic_fetch_add(&c->round, 2); /* a round without shares: `taken` is behind by two */
    wake_all(c);
    for (int t = 1; t < c->started; t++) pthread_join(c->worker[t].thread, NULL);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
}

/* Run a stage on all stripes, and wait until it is done everywhere. */
static void run_stage(struct lhr_context *c, stage *job)
{
    if (c->threads == 1) {
        do_stripes(&c->worker[0], job);
        return;
    }
    c->job = job;
    atomic_store(&c->busy, c->threads);
    const unsigned round = atomic_fetch_add(&c->round, 1) + 1;
    if (atomic_load(&c->asleep)) wake_all(c);
    do_shares(c, round, 0);
    for (int turn = 0; atomic_load(&c->busy); turn++) spin(turn);
}
#endif

int lhr_context_new(lhr_context **context, const lhr_network *net, int height, int width, int threads)
{
    if (!context || !net || threads < 1 || threads > 1024) return LHR_BAD_ARGUMENT;
    *context = NULL;
    if (!legal_side(height) || !legal_side(width)) return LHR_BAD_SIZE;
    struct lhr_context *c = calloc(1, sizeof *c);
    struct worker *workers = calloc((size_t)threads, sizeof *workers);
    if (!c || !workers) return free(c), free(workers), LHR_NO_MEMORY;
    c->net = net, c->height = height, c->width = width, c->threads = threads, c->worker = workers;
    c->half_height = (height + 1) / 2, c->half_width = (width + 1) / 2;
    for (int i = 0; i < 4; i++) c->h[i] = ((height + 3) / 4) >> i, c->w[i] = ((width + 3) / 4) >> i;
    plan(c, NULL);
    c->memory = aligned_alloc(64, c->bytes);
    if (!c->memory) return lhr_context_free(c), LHR_NO_MEMORY;
    memset(c->memory, 0, c->bytes);
    plan(c, c->memory);
    for (int i = 0; i < 3; i++)
        for (int y = 0; y < c->h[i]; y++)
            for (int x = 0; x < c->w[i]; x++) c->parent[i][y * c->w[i] + x] = y / 2 * c->w[i + 1] + x / 2;
    for (int i = 0; i < 3; i++)
        for (int v = 0; v < 256; v++) c->normalised[i][v] = ((float)v - net->mean[i]) / net->deviation[i];
    for (int t = 0; t < threads; t++) {
        workers[t].context = c;
        workers[t].first = c->h[3] * t / threads, workers[t].last = c->h[3] * (t + 1) / threads;
    }
    int code = start_threads(c);
    if (code) return lhr_context_free(c), code;
    *context = c;
    return LHR_OK;
}

void lhr_context_free(lhr_context *c)
{
    if (!c) return;
    stop_threads(c);
    free(c->worker);
    free(c->memory);
    free(c);
}

size_t lhr_context_bytes(const lhr_context *c) { return c->bytes; }

/* ------------------------------------------------------------------------------------------------ 5. the network */

#ifdef LHR_PROFILE /* clocks around the kernels above */
#include "litehrnet_profile.h"
#endif

/* A ring keeps the last three rows that were computed, of `floats` floats each: row y takes the place of row y - 3. */
static float *ring_row(float *ring, int y, size_t floats) { return ring + (size_t)((y + 3) % 3) * floats; }

/* Rows y - 1, y and y + 1 of a ring. */
static void ring_rows(float *ring, int y, size_t floats, const float *three[3])
{
    for (int i = 0; i < 3; i++) three[i] = ring_row(ring, y - 1 + i, floats);
}

/* Depthwise rows first .. first + rows - 1 of a map that is in memory, into `out`. Beyond the map are zeros. */
static void depthwise_rows(struct lhr_context *c, const struct depthwise *d, const float *map, int height, int width,
                           int step, int stride, int first, int rows, float *out)
{
    for (int y = first; y < first + rows; y++) {
        const float *three[3];
        for (int i = 0; i < 3; i++) {
            const int from = y * stride - 1 + i;
            three[i] = from < 0 || from >= height ? c->zeros : map + (size_t)from * width * step;
        }
        depthwise_row(d, three, step, width, stride, out, d->lanes, NULL, 0, 0);
        out += (size_t)((width + stride - 1) / stride) * d->lanes;
    }
}

/* Depthwise and product: from a map of branch `from`'s size to rows first .. last - 1 of branch `to`, a few at a time.
 * `whole` is where the product would write row 0. */
static void separable(struct worker *w, const struct depthwise *d, const struct product *p, const float *map, int from,
                      int step, int to, const struct target *whole, int first, int last)
{
    struct lhr_context *c = w->context;
    const int width = c->w[to], together = rows_together(width);
    for (int y = first; y < last; y += together) {
        const int rows = last - y < together ? last - y : together;
        const size_t at = (size_t)y * width * whole->step;
        struct source in = {w->rows, d->lanes, p->inputs};
        struct target out = *whole;
        out.at += at;
        if (out.add) out.add += at;
        depthwise_rows(c, d, map, c->h[from], c->w[from], step, to > from ? 2 : 1, y, rows, w->rows);
        multiply(p, &in, 1, rows * width, &out);
    }
}

/* Row y of the image, pixel after pixel, with a black pixel on either side: (width + 2) x 3. */
static void input_row(struct worker *w, int y)
{
    struct lhr_context *c = w->context;
    const int width = c->width;
    float *out = ring_row(w->input, y, (size_t)3 * (width + 2));
    memset(out, 0, (size_t)3 * (width + 2) * sizeof(float));
    if (y < 0 || y >= c->height) return;
    out += 3;
    if (c->crops) {
        const uint8_t *from = c->crops + (size_t)y * width * 3;
        for (int x = 0; x < 3 * width; x += 3)
            for (int i = 0; i < 3; i++) out[x + i] = c->normalised[i][from[x + i]];
        return;
    }
    const size_t plane = (size_t)c->height * width;
    const float *from = c->images + (size_t)y * width;
    for (int x = 0; x < width; x++)
        for (int i = 0; i < 3; i++) out[3 * x + i] = from[i * plane + x];
}

/* Stem: a convolution with stride 2, of whose result only three rows are in memory at a time; then one half of the
 * channels goes through a separable convolution with stride 2, the other through one with an expansion before it. */
static void stem_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const lhr_network *net = c->net;
    const int width = c->half_width, height = c->half_height;
    const size_t row = (size_t)width * 32, line = (size_t)3 * (c->width + 2);
    for (int y = 8 * first; y < 8 * last; y++) {
        for (int at = y == 8 * first ? 2 * y - 1 : 2 * y; at <= 2 * y + 1; at++) {
            float *half = ring_row(w->ring, at, row), *expanded = ring_row(w->ring2, at, row);
            if (at < 0 || at >= height) {
                memset(half, 0, row * sizeof(float));
                memset(expanded, 0, row * sizeof(float));
                continue;
            }
            for (int i = at == 2 * y - 1 || at == 0 ? -1 : 0; i <= 1; i++) input_row(w, 2 * at + i);
            /* Three neighbouring pixels of a row are nine neighbouring floats, and two pixels on is six floats on. */
            struct source in[3];
            for (int i = 0; i < 3; i++) in[i] = (struct source){ring_row(w->input, 2 * at - 1 + i, line), 6, 9};
            multiply(&net->stem, in, 3, width, &(struct target){.at = half, .step = 32, .relu = 1});
            multiply_one(&net->stem_expand, half + 16, 32, width, expanded, 32, 1);
        }
        const float *halves[3], *expanded[3];
        ring_rows(w->ring, 2 * y, row, halves);
        ring_rows(w->ring2, 2 * y, row, expanded);
        float *out = c->stem + (size_t)y * c->w[0] * 32;
        depthwise_row(&net->stem_first_depthwise, halves, 32, width, 2, w->rows, 16, NULL, 0, 0);
        multiply_one(&net->stem_first, w->rows, 16, c->w[0], out, 32, 1);
        depthwise_row(&net->stem_second_depthwise, expanded, 32, width, 2, w->rows, 32, NULL, 0, 0);
        multiply_one(&net->stem_second, w->rows, 32, c->w[0], out + 16, 32, 1);
    }
}

/* Transition k: a new, smaller branch grows out of the smallest; after the stem, branch 0 changes its channels too. */
static void transition_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const lhr_network *net = c->net;
    const int n = c->k + 1, *lanes = net->lanes;
    const float *from = c->k ? c->x[c->k] : c->stem;
    struct target same = {.at = c->x[0], .step = lanes[0], .relu = 1};
    struct target next = {.at = c->x[n], .step = lanes[n], .relu = 1};
    if (c->k == 0)
        separable(w, &net->adapt_depthwise, &net->adapt, from, 0, 32, 0, &same, 8 * first, 8 * last);
    separable(w, &net->grow_depthwise[c->k], &net->grow[c->k], from, c->k, c->k ? lanes[c->k] : 32, n, &next,
              (8 >> n) * first, (8 >> n) * last);
}

/* Weighting block, first half: pool all branches to the smallest map, and compute the weights there. A spatial weight
 * that is still owed (`scale`) goes into the small maps instead of the large ones. */
static void weights_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const lhr_network *net = c->net;
    const struct block *b = &c->module->block[c->k];
    const int n = c->module->branches, rows = 8 >> (n - 1), width = c->w[n - 1];
    const int from = first * rows * width, pixels = (last - first) * rows * width; /* of the smallest map */
    const int joined = b->squeeze.inputs, squeezed = b->squeeze.lanes;
    for (int i = 0, column = 0; i < n; column += net->channels[i++] / 2) {
        const int lanes = net->lanes[i], ratio = 1 << (n - 1 - i), top = first * (8 >> i), bottom = last * (8 >> i);
        const size_t row = (size_t)c->w[i] * lanes;
        float *pool = c->pool[i];
        if (c->k == 0) { /* the second block finds its pooled maps ready */
            memset(pool + (size_t)from * lanes, 0, (size_t)pixels * lanes * sizeof(float));
            for (int y = top; y < bottom; y++)
                pool_row(c->x[i] + y * row, lanes, c->w[i], ratio, pool + (size_t)(y / ratio) * width * lanes);
        }
        if (top > 0) memcpy(w->edge[i][0], c->x[i] + (top - 1) * row, row * sizeof(float));
        if (bottom < c->h[i]) memcpy(w->edge[i][1], c->x[i] + bottom * row, row * sizeof(float));
        const int start = block_start(net->channels[i], c->k);
        const float mean = 1.0f / (float)(ratio * ratio);
        for (int m = from; m < from + pixels; m++)
            scaled(pool + (size_t)m * lanes + start, c->scale[i] + start, mean, net->channels[i] / 2,
                   c->joined + (size_t)m * joined + column);
    }
    multiply_one(&b->squeeze, c->joined + (size_t)from * joined, joined, pixels, c->squeezed + (size_t)from * squeezed,
                 squeezed, 1);
    for (int i = 0; i < n; i++) {
        const int lanes = b->expand[i].lanes, lane = block_lane(net->channels[i], c->k);
        float *weights = c->weights[i] + (size_t)from * lanes;
        multiply_one(&b->expand[i], c->squeezed + (size_t)from * squeezed, squeezed, pixels, weights, lanes, 0);
        for (int k = 0; k < lanes; k += V) {
            vf one = LOAD(b->processed[i] + k), scale = LOAD(c->scale[i] + lane + k) * one + (1.0f - one);
            for (int m = 0; m < pixels; m++) {
                float *at = weights + (size_t)m * lanes + k;
                STORE(at, sigmoid(LOAD(at)) * scale);
            }
        }
    }
}

/* Weighting block, second half: multiply by the upsampled weights on the way into three rows, convolve those, write
 * back in place, and pool what is written. Whole vectors are worked on; a channel of them that should pass has the
 * weight 1 and the kernel 1, and is written as it was. */
static void depthwise_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const struct block *b = &c->module->block[c->k];
    const int n = c->module->branches, small = c->w[n - 1];
    for (int i = 0; i < n; i++) {
        const int step = c->net->lanes[i], lane = block_lane(c->net->channels[i], c->k), lanes = b->depthwise[i].lanes;
        const int ratio = 1 << (n - 1 - i), top = first * (8 >> i), bottom = last * (8 >> i), width = c->w[i];
        const size_t row = (size_t)width * step, ring = (size_t)width * lanes;
        for (int y = top - 1; y <= bottom; y++) { /* y: the row that enters the ring */
            float *into = ring_row(w->ring, y, ring);
            const float *from = y < top ? w->edge[i][0] : y < bottom ? c->x[i] + y * row : w->edge[i][1];
            const float *weights = c->weights[i] + (size_t)(y / ratio) * small * lanes;
            if (y < 0 || y >= c->h[i]) memset(into, 0, ring * sizeof(float));
            else weighted_row(from + lane, step, weights, lanes, width, n - 1 - i, into);
            const int at = y - 1;
            if (at < top) continue;
            float *pool = c->pool[i] + (size_t)(at / ratio) * small * step + lane;
            if (at % ratio == 0)
                for (int m = 0; m < small; m++) memset(pool + (size_t)m * step, 0, (size_t)lanes * sizeof(float));
            const float *three[3];
            ring_rows(w->ring, at, ring, three);
            depthwise_row(&b->depthwise[i], three, lanes, width, 1, c->x[i] + at * row + lane, step, pool, step, ratio);
        }
    }
}

/* Spatial weights, from the average of the whole map, which is that of the pooled map. They are not multiplied in yet:
 * `scale` remembers them as owed. */
static void spatial_weights(struct lhr_context *c)
{
    const struct block *b = &c->module->block[c->k];
    const int n = c->module->branches, pixels = c->h[n - 1] * c->w[n - 1];
    for (int i = 0; i < n; i++) {
        const int step = c->net->lanes[i], half = c->net->channels[i] / 2;
        const int start = block_start(c->net->channels[i], c->k);
        float *mean = c->worker[0].rows, *hidden = c->worker[0].hidden, *scale = hidden + MAX_CHANNELS;
        const float share = 1.0f / ((float)c->h[i] * (float)c->w[i]);
        for (int k = 0; k < half; k += V) {
            const float *pool = c->pool[i] + start + k;
            vf sum = (vf){0}, other = (vf){0}; /* two, because an addition takes longer than a load */
            int m = 0;
            for (; m + 1 < pixels; m += 2, pool += 2 * step) sum += LOAD(pool), other += LOAD(pool + step);
            if (m < pixels) sum += LOAD(pool);
            STORE(mean + k, (sum + other) * share);
        }
        multiply_one(&b->down[i], mean, 0, 1, hidden, 0, 1);
        multiply_one(&b->up[i], hidden, 0, 1, scale, 0, 0);
        for (int k = 0; k < half; k += V) STORE(scale + k, sigmoid(LOAD(scale + k)));
        memcpy(c->scale[i] + start, scale, (size_t)half * sizeof(float));
    }
}

/* Shuffle block, first half: the product before the depthwise convolution, into the branch's second buffer. */
static void shuffle_first_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const struct block *b = &c->module->block[c->k];
    for (int i = 0; i < c->module->branches; i++) {
        const int step = c->net->lanes[i], lanes = b->first[i].lanes;
        const size_t from = (size_t)first * (8 >> i) * c->w[i], pixels = (size_t)(last - first) * (8 >> i) * c->w[i];
        multiply_one(&b->first[i], c->x[i] + from * step + block_start(c->net->channels[i], c->k), step, (int)pixels,
                     c->z[i] + from * lanes, lanes, 1);
    }
}

/* Second half: depthwise and product, back in place. The product adds 0 to the lanes that pass, and their values, which
 * are never negative, survive the ReLU. */
static void shuffle_last_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const struct block *b = &c->module->block[c->k];
    for (int i = 0; i < c->module->branches; i++) {
        const int step = c->net->lanes[i], lane = block_lane(c->net->channels[i], c->k), lanes = b->depthwise[i].lanes;
        float *at = c->x[i] + lane;
        struct target out = {.at = at, .step = step, .add = at, .keep = b->passes[i], .relu = 1};
        separable(w, &b->depthwise[i], &b->last[i], c->z[i], i, lanes, i, &out, first * (8 >> i), last * (8 >> i));
    }
}

/* Fuse step, first part: branches 1 and up are unshuffled and multiplied by the spatial weights that are owed; then
 * come their sums for the rows above, each at the smaller of the two sizes:
 *     up[i][j] = f_ij(x_j) + upsampled up[i][j + 1]. */
static void settle_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const struct module *m = c->module;
    const int *lanes = c->net->lanes;
    if (first > 0) { /* for `fused_row` */
        const size_t row = (size_t)c->w[0] * lanes[0];
        memcpy(w->edge[0][0], c->x[0] + (first * 8 - 1) * row, row * sizeof(float));
    }
    for (int j = m->branches - 1; j > 0; j--) {
        const int top = first * (8 >> j), bottom = last * (8 >> j), width = c->w[j], from = top * width;
        for (int y = top; y < bottom; y++) {
            const size_t row = (size_t)y * width * lanes[j];
            unshuffle_row(&c->net->shuffle[j], c->x[j] + row, lanes[j], width, w->ring);
            for (int pixel = 0; pixel < width; pixel++)
                for (int k = 0; k < lanes[j]; k += V)
                    STORE(c->z[j] + row + (size_t)pixel * lanes[j] + k,
                          LOAD(w->ring + (size_t)pixel * lanes[j] + k) * LOAD(c->settled[j] + k));
        }
        for (int i = 0; i < j; i++) {
            struct source in = {c->z[j] + (size_t)from * lanes[j], lanes[j], m->up[i][j].inputs};
            struct target out = {.at = c->up[i][j] + (size_t)from * lanes[i], .step = lanes[i]};
            if (j + 1 < m->branches) {
                out.up = c->up[i][j + 1], out.up_step = lanes[i], out.parent = c->parent[j] + from;
            }
            multiply(&m->up[i][j], &in, 1, (bottom - top) * width, &out);
        }
    }
}

/* Row y of the new branch 0: 2 x_0 + upsampled up[0][1]. As it is, for the rows below, it goes into the ring; through
 * the ReLU, it replaces the old row if that is this worker's own. (In place, because the second-level cache would not
 * hold two of the large maps. `settle_stage` kept the row above this worker's own before its owner changed it.) */
static void fused_row(struct worker *w, int y, int own)
{
    struct lhr_context *c = w->context;
    const int lanes = c->net->lanes[0], width = c->w[0];
    float *into = ring_row(w->ring, y, (size_t)width * lanes);
    if (y < 0) {
        memset(into, 0, (size_t)width * lanes * sizeof(float));
        return;
    }
    float *x = own ? c->x[0] + (size_t)y * width * lanes : w->edge[0][0], *from = x, *plain = w->results;
    const float *up = c->up[0][1] + (size_t)(y / 2) * c->w[1] * lanes;
    if (y == 8 * w->last - 1) /* the last vector reaches into the next row, which may be another worker's */
        from = memcpy(w->edge[0][1], x, (size_t)width * lanes * sizeof(float));
    unshuffle_row(&c->net->shuffle[0], from, lanes, width, plain);
    for (int pixel = 0; pixel < width; pixel++)
        for (int k = 0; k < lanes; k += V) {
            const size_t at = (size_t)pixel * lanes + k;
            vf sum = LOAD(plain + at) * LOAD(c->settled[0] + k) * 2.0f + LOAD(up + (size_t)(pixel / 2) * lanes + k);
            STORE(into + at, sum);
            if (own) STORE(x + at, relu(sum));
        }
}

/* Fuse step, the part that ends at branch t: every path from a larger map to a row i >= t takes its step to that size.
 * The paths to row t end there: one product makes the row of their depthwise results, side by side. */
static void down_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const struct module *m = c->module;
    const int t = c->k, n = m->branches, *lanes = c->net->lanes, width = c->w[t], together = rows_together(width);
    const int top = first * (8 >> t), bottom = last * (8 >> t);
    for (int y = top; y < bottom; y += together) {
        const int rows = bottom - y < together ? bottom - y : together;
        const size_t from = (size_t)y * width, block = (size_t)rows * width;
        struct source in[3];
        if (t == 1) { /* branch 0's row is made here, two rows for each row of branch 1 */
            for (int r = 0; r < rows; r++) {
                for (int at = 2 * (y + r) - (y == top && r == 0); at <= 2 * (y + r) + 1; at++)
                    fused_row(w, at, at >= 2 * top);
                const float *three[3];
                ring_rows(w->ring, 2 * (y + r), (size_t)c->w[0] * lanes[0], three);
                for (int i = 1; i < n; i++)
                    depthwise_row(&m->shrink[i][0][0], three, lanes[0], c->w[0], 2,
                                  w->rows + ((i - 1) * block + (size_t)r * width) * lanes[0], lanes[0], NULL, 0, 0);
            }
            for (int i = 2; i < n; i++)
                multiply_one(&m->step[i][0][0], w->rows + (i - 1) * block * lanes[0], lanes[0], (int)block,
                             c->step[i][0][0] + from * lanes[0], lanes[0], 1);
            in[0] = (struct source){w->rows, lanes[0], c->net->channels[0]};
        } else {
            float *into = w->rows;
            for (int j = 0; j < t; j++) {
                const int s = t - 1 - j; /* this step's number on the path from j */
                for (int i = n - 1; i >= t; i--) {
                    const float *map = s ? c->step[i][j][s - 1] : c->z[j];
                    depthwise_rows(c, &m->shrink[i][j][s], map, c->h[t - 1], c->w[t - 1], lanes[j], 2, y, rows, into);
                    if (i > t)
                        multiply_one(&m->step[i][j][s], into, lanes[j], (int)block, c->step[i][j][s] + from * lanes[j],
                                     lanes[j], 1);
                }
                in[j] = (struct source){into, lanes[j], c->net->channels[j]};
                into += block * lanes[j];
            }
        }
        struct target out = {.at = c->x[t] + from * lanes[t], .step = lanes[t], .relu = 1};
        out.add = c->z[t] + from * lanes[t];
        if (t + 1 < n) out.up = c->up[t][t + 1], out.up_step = lanes[t], out.parent = c->parent[t] + from;
        multiply(&m->row[t], in, t, (int)block, &out);
    }
}

/* Where output pixel y of `size` reads its input, half as long, with the corners aligned: between `at` and `next`. */
static float between(int y, int size, int *at, int *next)
{
    const int half = size / 2;
    const float position = size > 1 ? (float)y * ((float)(half - 1) / (float)(size - 1)) : 0;
    *at = (int)position < half ? (int)position : half - 1;
    *next = *at + 1 < half ? *at + 1 : *at;
    return position - (float)*at;
}

/* Row y of branch i plus the bilinearly upsampled result below it. */
static void head_row(struct worker *w, int i, int y)
{
    struct lhr_context *c = w->context;
    const int width = c->w[i], lanes = c->net->lanes[i], small = c->w[i + 1];
    float *into = ring_row(w->ring, y, (size_t)width * lanes);
    if (y < 0 || y >= c->h[i]) {
        memset(into, 0, (size_t)width * lanes * sizeof(float));
        return;
    }
    int upper, lower;
    const float down = between(y, c->h[i], &upper, &lower);
    const float *x = c->x[i] + (size_t)y * width * lanes;
    const float *a = c->below[i + 1] + (size_t)upper * small * lanes;
    const float *b = c->below[i + 1] + (size_t)lower * small * lanes;
    float *mixed = w->results; /* the two small rows, mixed */
    for (int k = 0; k < small * lanes; k += V) STORE(mixed + k, LOAD(a + k) * (1 - down) + LOAD(b + k) * down);
    for (int p = 0; p < width; p++) {
        int left, right;
        const float over = between(p, width, &left, &right);
        for (int k = 0; k < lanes; k += V)
            STORE(into + (size_t)p * lanes + k, LOAD(x + (size_t)p * lanes + k) +
                                                    LOAD(mixed + (size_t)left * lanes + k) * (1 - over) +
                                                    LOAD(mixed + (size_t)right * lanes + k) * over);
    }
}

/* Head, branch k: add, then a separable convolution; from branch 0 the heatmaps follow, joint after joint. */
static void head_stage(struct worker *w, int first, int last)
{
    struct lhr_context *c = w->context;
    const lhr_network *net = c->net;
    const int i = c->k, width = c->w[i], lanes = net->lanes[i], top = first * (8 >> i), bottom = last * (8 >> i);
    const struct product *p = &net->head[i];
    if (i == 3) {
        struct target out = {.at = c->below[3], .step = p->lanes, .relu = 1};
        separable(w, &net->head_depthwise[3], p, c->x[3], 3, lanes, 3, &out, top, bottom);
        return;
    }
    const int together = rows_together(width);
    for (int y = top; y < bottom; y += together) {
        const int rows = bottom - y < together ? bottom - y : together;
        for (int r = y; r < y + rows; r++) {
            for (int at = r == top ? r - 1 : r + 1; at <= r + 1; at++) head_row(w, i, at);
            const float *three[3];
            ring_rows(w->ring, r, (size_t)width * lanes, three);
            float *out = w->rows + (size_t)(r - y) * width * lanes;
            depthwise_row(&net->head_depthwise[i], three, lanes, width, 1, out, lanes, NULL, 0, 0);
        }
        const int pixels = rows * width;
        const size_t from = (size_t)y * width;
        if (i) {
            multiply_one(p, w->rows, lanes, pixels, c->below[i] + from * p->lanes, p->lanes, 1);
            continue;
        }
        float *features = w->rows + (size_t)pixels * lanes; /* beside the depthwise results */
        multiply_one(p, w->rows, lanes, pixels, features, p->lanes, 1);
        multiply_one(&net->final, features, p->lanes, pixels, w->results, net->final.lanes, 0);
        const size_t plane = (size_t)c->h[0] * c->w[0];
        for (int k = 0; k < net->joints; k++) {
            float *answer = c->answer + k * plane + from;
            for (int m = 0; m < pixels; m++) answer[m] = w->results[(size_t)m * net->final.lanes + k];
        }
    }
}

static void run_module(struct lhr_context *c, const struct module *m)
{
    const int n = m->branches;
    c->module = m;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < c->net->lanes[i]; k++) c->scale[i][k] = 1;
    for (c->k = 0; c->k < 2; c->k++) {
        if (c->net->weighting) {
            run_stage(c, weights_stage);
            run_stage(c, depthwise_stage);
            spatial_weights(c);
        } else {
            run_stage(c, shuffle_first_stage);
            run_stage(c, shuffle_last_stage);
        }
    }
    for (int i = 0; i < n; i++) {
        float *line = c->worker[0].ring;
        unshuffle_row(&c->net->shuffle[i], c->scale[i], c->net->lanes[i], 1, line);
        for (int k = 0; k < c->net->lanes[i]; k++) c->settled[i][k] = k < c->net->channels[i] ? line[k] : 0;
    }
    run_stage(c, settle_stage);
    for (c->k = 1; c->k < n; c->k++) run_stage(c, down_stage);
}

static void run_one(struct lhr_context *c)
{
    const struct module *m = c->net->module;
    run_stage(c, stem_stage);
    for (int s = 0; s < 3; s++) {
        c->k = s;
        run_stage(c, transition_stage);
        for (int k = 0; k < c->net->modules[s]; k++) run_module(c, m++);
    }
    for (c->k = 3; c->k >= 0; c->k--) run_stage(c, head_stage);
}

static int run_all(struct lhr_context *c, const float *images, const uint8_t *crops, int count, float *heatmaps)
{
    if (!c || (!images && !crops) || !heatmaps || count < 0) return LHR_BAD_ARGUMENT;
    const size_t image = (size_t)3 * c->height * c->width, maps = (size_t)c->net->joints * c->h[0] * c->w[0];
    for (int n = 0; n < count; n++) {
        c->images = images ? images + n * image : NULL;
        c->crops = crops ? crops + n * image : NULL;
        c->answer = heatmaps + n * maps;
        run_one(c);
    }
    return LHR_OK;
}

int lhr_run(lhr_context *c, const float *images, int count, float *heatmaps)
{
    return run_all(c, images, NULL, count, heatmaps);
}

int lhr_run_rgb(lhr_context *c, const uint8_t *crops, int count, float *heatmaps)
{
    return run_all(c, NULL, crops, count, heatmaps);
}

/* --------------------------------------------------------------------------------------------------- 6. pictures */

/* From here on, products are rounded before they are added to anything, as in Python: the last bit of a sum can decide
 * between two grey levels. */
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

static int is_photo(const uint8_t *photo, int height, int width)
{
    return photo && within((uint32_t)height, 1, INT_MAX / 3) && within((uint32_t)width, 1, INT_MAX / 3);
}

/* The affine matrix (2, 3) that undoes another. */
static int invert(const double m[6], double inverse[6])
{
    const double determinant = m[0] * m[4] - m[1] * m[3];
    if (!isfinite(1 / determinant) || !isfinite(m[2]) || !isfinite(m[5])) return LHR_BAD_ARGUMENT;
    const double a = m[4] / determinant, b = -m[1] / determinant, c = -m[3] / determinant, d = m[0] / determinant;
    const double result[6] = {a, b, -(a * m[2] + b * m[5]), c, d, -(c * m[2] + d * m[5])};
    memcpy(inverse, result, sizeof result);
    return LHR_OK;
}

static int pixel_of(const uint8_t *photo, int height, int width, int y, int x, int colour)
{
    return y < 0 || x < 0 || y >= height || x >= width ? 0 : photo[((size_t)y * width + x) * 3 + colour];
}

int lhr_crop(const uint8_t *photo, int photo_height, int photo_width, const double box[4], double padding, int height,
             int width, uint8_t *crop, double to_crop[6])
{
    if (!is_photo(photo, photo_height, photo_width) || !box || !crop || !to_crop) return LHR_BAD_ARGUMENT;
    if (!within((uint32_t)height, 1, INT_MAX / 3) || !within((uint32_t)width, 1, INT_MAX / 3)) return LHR_BAD_SIZE;
    for (int i = 0; i < 4; i++)
        if (!isfinite(box[i])) return LHR_BAD_ARGUMENT;
    if (!(box[2] > 0 && box[3] > 0 && padding > 0 && isfinite(padding))) return LHR_BAD_ARGUMENT;
    if (box[0] >= photo_width || box[1] >= photo_height || box[0] + box[2] <= 0 || box[1] + box[3] <= 0)
        return LHR_OUTSIDE;
    const double scale = fmin(width / box[2], height / box[3]) / padding; /* crop pixels for one of the photograph */
    const double matrix[6] = {scale, 0, width / 2.0 - scale * (box[0] + box[2] / 2),
                              0, scale, height / 2.0 - scale * (box[1] + box[3] / 2)};
    if (!(scale >= 1e-6 && scale <= 1e6 && fabs(box[0]) < 1e12 && fabs(box[1]) < 1e12)) return LHR_BAD_ARGUMENT;
    const double step = 1 / scale;
    memcpy(to_crop, matrix, sizeof matrix);
    /* The same steps in the same order as Pillow, with which Python crops: pixel i has its centre at i + 0.5, the
     * picture a black frame of one pixel, and values are rounded down. */
    const double first_x = -step * matrix[2] - step * 0.5 + 0.5 + 1, first_y = -step * matrix[5] - step * 0.5 + 0.5 + 1;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, crop += 3) {
            const double px = fmin(fmax(step * (x + 0.5) + first_x - 0.5, -1), photo_width + 2.0);
            const double py = fmin(fmax(step * (y + 0.5) + first_y - 0.5, -1), photo_height + 2.0);
            const int left = (int)floor(px), top = (int)floor(py);
            const double over = px - left, down = py - top;
            for (int k = 0; k < 3; k++) {
                double value[2];
                for (int i = 0; i < 2; i++) {
                    const double a = pixel_of(photo, photo_height, photo_width, top - 1 + i, left - 1, k);
                    value[i] = a + (pixel_of(photo, photo_height, photo_width, top - 1 + i, left, k) - a) * over;
                }
                crop[k] = (uint8_t)(value[0] + (value[1] - value[0]) * down);
            }
        }
    return LHR_OK;
}

/* Equal maxima that touch form a plateau, and its centre is the joint. Beginning with the first of them, pixels are
 * marked until no more are connected. Float heatmaps hardly ever have one. `marks` has a byte per pixel. */
static void plateau_centre(const float *map, int height, int width, size_t peak, uint8_t *marks, double centre[2])
{
    memset(marks, 0, (size_t)height * width);
    marks[peak] = 1;
    double sum_x = 0, sum_y = 0, count = 0;
    for (int changed = 1; changed;) {
        changed = 0, sum_x = sum_y = count = 0;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                uint8_t *mark = marks + (size_t)y * width + x;
                for (int i = 0; i < 9 && !*mark && map[mark - marks] == map[peak]; i++) {
                    const int row = y + i / 3 - 1, column = x + i % 3 - 1;
                    if (row < 0 || column < 0 || row >= height || column >= width) continue;
                    if (marks[(size_t)row * width + column]) *mark = 1, changed = 1;
                }
                if (*mark) sum_x += x, sum_y += y, count++;
            }
    }
    centre[0] = sum_x / count, centre[1] = sum_y / count;
}

static int decode_with(const float *heatmaps, int count, int height, int width, float *joints, float *scores,
                       uint8_t *marks)
{
    for (int n = 0; n < count; n++, heatmaps += (size_t)height * width) {
        const float *map = heatmaps;
        size_t peak = 0, equal = 0;
        for (size_t i = 0; i < (size_t)height * width; i++) {
            if (!isfinite(map[i])) return LHR_NOT_FINITE;
            if (map[i] > map[peak]) peak = i, equal = 0;
            else equal += map[i] == map[peak];
        }
        const int x = (int)(peak % (size_t)width), y = (int)(peak / (size_t)width);
        double place[2] = {x, y};
        if (equal) plateau_centre(map, height, width, peak, marks, place);
        if (place[0] == x && place[1] == y && x > 1 && x < width - 1 && y > 1 && y < height - 1) {
            const float *at = map + peak, right = at[1] - at[-1], below = at[width] - at[-width];
            place[0] += 0.25 * ((right > 0) - (right < 0)); /* borders stay, as in the public code */
            place[1] += 0.25 * ((below > 0) - (below < 0));
        }
        joints[2 * n] = (float)(4 * place[0]), joints[2 * n + 1] = (float)(4 * place[1]);
        scores[n] = map[peak];
    }
    return LHR_OK;
}

int lhr_decode(const float *heatmaps, int count, int height, int width, float *joints, float *scores)
{
    if (!heatmaps || !joints || !scores || count < 0 || height < 1 || width < 1) return LHR_BAD_ARGUMENT;
    uint8_t *marks = malloc((size_t)height * width);
    if (!marks) return LHR_NO_MEMORY;
    const int code = decode_with(heatmaps, count, height, width, joints, scores, marks);
    free(marks);
    return code;
}

int lhr_to_image(const float *joints, int count, const double to_crop[6], double *photo_joints)
{
    double m[6];
    if (!joints || !to_crop || !photo_joints || count < 0 || invert(to_crop, m)) return LHR_BAD_ARGUMENT;
    for (int n = 0; n < count; n++) {
        const double x = joints[2 * n], y = joints[2 * n + 1];
        photo_joints[2 * n] = m[0] * x + m[1] * y + m[2];
        photo_joints[2 * n + 1] = m[3] * x + m[4] * y + m[5];
    }
    return LHR_OK;
}

int lhr_pose(lhr_context *c, const uint8_t *photo, int photo_height, int photo_width, const double box[4],
             double *joints, float *scores)
{
    if (!c || !joints || !scores) return LHR_BAD_ARGUMENT;
    double to_crop[6];
    int code = lhr_crop(photo, photo_height, photo_width, box, 1.25, c->height, c->width, c->crop, to_crop);
    if (!code) code = lhr_run_rgb(c, c->crop, 1, c->heatmaps);
    if (!code) code = decode_with(c->heatmaps, c->net->joints, c->h[0], c->w[0], c->found, scores, (uint8_t *)c->stem);
    if (!code) code = lhr_to_image(c->found, c->net->joints, to_crop, joints);
    return code;
}

#ifdef LHR_TABLE /* one of several builds in one program */
#include "litehrnet_x86.h"
const struct lhr_table LHR_TABLE = {
#define ENTRY(result, name, parameters, arguments) .name = name,
    LHR_FUNCTIONS(ENTRY)
#undef ENTRY
    .lhr_free = lhr_free, .lhr_context_free = lhr_context_free,
};
#endif
