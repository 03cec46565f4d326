/* For WebAssembly without a C library: the few of its functions that the engine needs. */
#ifndef LITEHRNET_WASM_H
#define LITEHRNET_WASM_H

#include <limits.h>
#include <stddef.h>

#define isfinite(x) __builtin_isfinite(x)
#define floor(x) __builtin_floor(x)
#define fabs(x) __builtin_fabs(x)
static inline double fmin(double a, double b) { return a < b ? a : b; }
static inline double fmax(double a, double b) { return a > b ? a : b; }

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void free(void *block);
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

#endif
