/*
 * Spans of a fixed region, by offset: where prompts and results lie that are too long for messages.
 * The client's side alone takes and gives back; the engine reads and writes inside spans that
 * messages name. Guarded by its owner's lock; no allocation after init.
 */
#ifndef RF_ENGINE_SPAN_ARENA_H
#define RF_ENGINE_SPAN_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rf_span {
    uint64_t offset, bytes;
} rf_span;

typedef struct rf_span_arena {
    uint64_t n_bytes;
    uint32_t n_spans, max_spans;
    rf_span *spans; /* owned; [max_spans], n_spans of them in use, by offset */
} rf_span_arena;

enum { RF_SPAN_ALIGN = 64 };

RF_NODISCARD rf_status rf_span_arena_init(rf_span_arena *arena, uint64_t n_bytes,
                                          uint32_t max_spans, rf_error *err);
void rf_span_arena_deinit(rf_span_arena *arena);

/* The first gap of that size, aligned to 64 bytes; false when there is none. */
bool rf_span_arena_take(rf_span_arena *arena, uint64_t bytes, uint64_t *offset);
void rf_span_arena_give(rf_span_arena *arena, uint64_t offset);

#endif
