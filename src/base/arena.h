/*
 * Bump allocator for things that die together. One thread at a time. Memory comes in chunks from
 * rf_alloc; a ceiling in bytes bounds the whole.
 */
#ifndef RF_BASE_ARENA_H
#define RF_BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct rf_arena_chunk;

typedef struct rf_arena {
    struct rf_arena_chunk *chunk; /* newest */
    size_t used, cap;             /* bytes of the newest chunk */
    size_t total_bytes;           /* bytes taken from the heap */
    size_t max_bytes;             /* ceiling of total_bytes */
} rf_arena;

void rf_arena_init(rf_arena *arena, size_t max_bytes);
void rf_arena_deinit(rf_arena *arena); /* frees everything; safe twice */

/* Uninitialised bytes, aligned to align (a power of two up to 64). NULL when the ceiling or the
 * heap is exhausted. Valid until rf_arena_deinit. */
void *rf_arena_alloc(rf_arena *arena, size_t bytes, size_t align);
void *rf_arena_calloc(rf_arena *arena, size_t count, size_t bytes); /* zeroed, checked, align 16 */
/* NUL-terminated copy; ptr is NULL on failure. */
rf_str rf_arena_str(rf_arena *arena, rf_str text);

#define RF_ARENA_NEW(arena, type)      ((type *)rf_arena_calloc((arena), 1, sizeof(type)))
#define RF_ARENA_ARRAY(arena, type, n) ((type *)rf_arena_calloc((arena), (n), sizeof(type)))

#endif
