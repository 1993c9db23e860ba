/*
 * Merges adjacent symbols of a text, the best pair first and the leftmost of equals, until no pair
 * can be merged: what byte-pair encoding and SentencePiece's variant have in common. Scratch of
 * one encode call. n log n in the number of symbols.
 */
#ifndef RF_TOKENIZER_MERGER_H
#define RF_TOKENIZER_MERGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_MERGE_NONE UINT32_MAX

typedef struct rf_symbol {
    uint32_t start, len; /* bytes of the text; len 0 once merged into another */
    int32_t id;          /* token, or -1 */
    uint32_t order;      /* of the pair with the next symbol, lower is sooner, or RF_MERGE_NONE */
    int32_t merged_id;   /* what that pair becomes */
    uint32_t prev, next; /* UINT32_MAX at the ends */
} rf_symbol;

/* Sets left->order and left->merged_id for the pair (left, right). */
typedef void (*rf_pair_rule)(const void *model, const char *text, rf_symbol *left,
                             const rf_symbol *right);

typedef struct rf_merger {
    rf_symbol *symbols; /* owned, [n] */
    size_t n, cap;
    uint64_t *heap; /* owned: order << 32 | symbol */
    size_t n_heap, heap_cap;
} rf_merger;

void rf_merger_deinit(rf_merger *merger);
/* Room for n symbols; false: out of memory. Call before the symbols of a text are added. */
bool rf_merger_reserve(rf_merger *merger, size_t n);

static inline void rf_merger_add(rf_merger *merger, uint32_t start, uint32_t len, int32_t id) {
    merger->symbols[merger->n++] = (rf_symbol){.start = start, .len = len, .id = id};
}

/* Merges symbols[0 … n) in place; n becomes what is left of them. False: out of memory. */
bool rf_merger_run(rf_merger *merger, const char *text, rf_pair_rule rule, const void *model);

#endif
