#include "engine/span_arena.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

rf_status rf_span_arena_init(rf_span_arena *arena, uint64_t n_bytes, uint32_t max_spans,
                             rf_error *err) {
    *arena = (rf_span_arena){.n_bytes = n_bytes, .max_spans = max_spans};
    arena->spans = rf_calloc(max_spans, sizeof *arena->spans);
    if (!arena->spans)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u requests", max_spans);
    return RF_OK;
}

void rf_span_arena_deinit(rf_span_arena *arena) {
    rf_free(arena->spans);
    *arena = (rf_span_arena){0};
}

bool rf_span_arena_take(rf_span_arena *arena, uint64_t bytes, uint64_t *offset) {
    uint64_t size;
    if (arena->n_spans == arena->max_spans || !rf_round_up_u64(bytes, RF_SPAN_ALIGN, &size))
        return false;
    size = size > 0 ? size : RF_SPAN_ALIGN;
    uint64_t at = 0;
    for (uint32_t i = 0; i <= arena->n_spans; i++) {
        uint64_t end = i < arena->n_spans ? arena->spans[i].offset : arena->n_bytes;
        if (end >= at && end - at >= size) {
            memmove(arena->spans + i + 1, arena->spans + i,
                    (arena->n_spans - i) * sizeof *arena->spans);
            arena->spans[i] = (rf_span){at, size};
            arena->n_spans++;
            *offset = at;
            return true;
        }
        at = i < arena->n_spans ? end + arena->spans[i].bytes : at;
    }
    return false;
}

void rf_span_arena_give(rf_span_arena *arena, uint64_t offset) {
    uint32_t i = 0;
    while (i < arena->n_spans && arena->spans[i].offset != offset)
        i++;
    if (i == arena->n_spans)
        return;
    arena->n_spans--;
    memmove(arena->spans + i, arena->spans + i + 1, (arena->n_spans - i) * sizeof *arena->spans);
}
