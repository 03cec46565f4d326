/* Chooses among three builds of litehrnet.c by what the processor has; see litehrnet_x86.h. */
#include "litehrnet.h"
#include "litehrnet_x86.h"

extern const struct lhr_table lhr_sse, lhr_avx2, lhr_avx512;

/* The same table at every call, since the processor stays the same; so networks and contexts meet their own build. */
static const struct lhr_table *best(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &lhr_avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &lhr_avx2 : &lhr_sse;
}

#define DEFINE(result, name, parameters, arguments) \
    result name parameters { return best()->name arguments; }
LHR_FUNCTIONS(DEFINE)

void lhr_free(lhr_network *network) { best()->lhr_free(network); }
void lhr_context_free(lhr_context *context) { best()->lhr_context_free(context); }
