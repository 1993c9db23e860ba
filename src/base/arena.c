#include "base/arena.h"

#include <stdint.h>

#include "base/alloc.h"
#include "base/checked.h"

enum { CHUNK_BYTES = 64 * 1024, CHUNK_ALIGN = 64 };

struct rf_arena_chunk {
    struct rf_arena_chunk *next;
};

void rf_arena_init(rf_arena *arena, size_t max_bytes) {
    *arena = (rf_arena){.max_bytes = max_bytes};
}

void rf_arena_deinit(rf_arena *arena) {
    struct rf_arena_chunk *chunk = arena->chunk;
    while (chunk) {
        struct rf_arena_chunk *next = chunk->next;
        rf_free_aligned(chunk);
        chunk = next;
    }
    rf_arena_init(arena, arena->max_bytes);
}

static void *grow(rf_arena *arena, size_t bytes) {
    size_t need;
    if (!rf_add_size(bytes, CHUNK_ALIGN, &need) || need > arena->max_bytes)
        return NULL;
    size_t room = arena->max_bytes - arena->total_bytes;
    size_t want = arena->total_bytes < CHUNK_BYTES ? 4096 : CHUNK_BYTES;
    size_t cap = need > want ? need : want;
    if (cap > room)
        cap = need;
    if (cap > room)
        return NULL;
    struct rf_arena_chunk *chunk = rf_alloc_aligned(CHUNK_ALIGN, cap);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunk;
    arena->chunk = chunk;
    arena->cap = cap;
    arena->used = CHUNK_ALIGN + bytes;
    arena->total_bytes += cap;
    return (char *)chunk + CHUNK_ALIGN;
}

void *rf_arena_alloc(rf_arena *arena, size_t bytes, size_t align) {
    size_t at = rf_round_up(arena->used, align), end;
    if (arena->chunk && rf_add_size(at, bytes, &end) && end <= arena->cap) {
        arena->used = end;
        return (char *)arena->chunk + at;
    }
    return grow(arena, bytes);
}

void *rf_arena_calloc(rf_arena *arena, size_t count, size_t bytes) {
    size_t total;
    if (!rf_mul_size(count, bytes, &total))
        return NULL;
    void *ptr = rf_arena_alloc(arena, total, 16);
    if (ptr)
        memset(ptr, 0, total);
    return ptr;
}

rf_str rf_arena_str(rf_arena *arena, rf_str text) {
    size_t bytes;
    char *copy = rf_add_size(text.len, 1, &bytes) ? rf_arena_alloc(arena, bytes, 1) : NULL;
    if (!copy)
        return (rf_str){0};
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return (rf_str){copy, text.len};
}
