/* The engine as a WebAssembly module that imports nothing: `make wasm` in examples/c compiles litehrnet.c with this
 * file, with clang and lld alone. The module exports the functions of litehrnet.h (but lhr_load: there are no files),
 * malloc and free. */
#include "litehrnet.h"
#include "litehrnet_wasm.h"

/* Blocks of memory, 64 bytes before each for its size. A block that is given back is used again for requests that fit;
 * that is enough for a program that loads a network and now and then changes the size of its images. */
struct block {
    struct block *next;
    size_t size;
};
enum { HEAD = 64, PAGE = 65536 };
static struct block *spare;
static size_t end; /* of what is in use */
extern unsigned char __heap_base;

LHR_API void *malloc(size_t size)
{
    if (size > (size_t)1 << 31) return NULL;
    size = (size + HEAD - 1) / HEAD * HEAD;
    for (struct block **at = &spare; *at; at = &(*at)->next)
        if ((*at)->size >= size && (*at)->size / 2 <= size) {
            struct block *found = *at;
            *at = found->next;
            return (unsigned char *)found + HEAD;
        }
    if (!end) end = ((size_t)&__heap_base + HEAD - 1) / HEAD * HEAD;
    const size_t needed = end + HEAD + size, there = __builtin_wasm_memory_size(0) * PAGE;
    if (needed > there && __builtin_wasm_memory_grow(0, (needed - there + PAGE - 1) / PAGE) == (size_t)-1) return NULL;
    struct block *made = (struct block *)end;
    made->size = size;
    end = needed;
    return (unsigned char *)made + HEAD;
}

LHR_API void free(void *block)
{
    if (!block) return;
    struct block *given = (struct block *)((unsigned char *)block - HEAD);
    given->next = spare;
    spare = given;
}

void *aligned_alloc(size_t alignment, size_t size) { return alignment <= HEAD ? malloc(size) : NULL; }

void *calloc(size_t count, size_t size)
{
    if (size && count > ((size_t)1 << 31) / size) return NULL;
    void *block = malloc(count * size);
    return block ? memset(block, 0, count * size) : NULL;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    unsigned char *t = to;
    for (const unsigned char *f = from; size--;) *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t size)
{
    for (unsigned char *t = to; size--;) *t++ = (unsigned char)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    for (const unsigned char *x = a, *y = b; size--; x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length]) length++;
    return length;
}
