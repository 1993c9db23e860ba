#include "base/alloc.h"
#include "base/map.h"
#include "tokenizer/vocab.h"

static const uint32_t id_mask = (1u << RF_VOCAB_ID_BITS) - 1;

static uint32_t tag_of(uint64_t hash) { return (uint32_t)(hash >> 53) << RF_VOCAB_ID_BITS; }

static rf_str key_of(const rf_token_index *index, const rf_vocab *vocab, uint32_t id) {
    return index->pieces ? rf_vocab_piece(vocab, id) : rf_vocab_text(vocab, id);
}

/* The slot of key, or the empty one where it belongs. */
static size_t slot_of(const rf_token_index *index, const rf_vocab *vocab, rf_str key,
                      uint64_t hash) {
    size_t i = (size_t)hash & index->mask;
    for (uint32_t slot; (slot = index->slots[i]) != UINT32_MAX; i = (i + 1) & index->mask)
        if ((slot & ~id_mask) == tag_of(hash) &&
            rf_str_eq(key_of(index, vocab, slot & id_mask), key))
            return i;
    return i;
}

bool rf_token_index_build(rf_token_index *index, const rf_vocab *vocab, bool pieces,
                          unsigned types) {
    size_t n_keys = 0, n_slots = 16;
    for (uint32_t id = 0; id < vocab->n; id++)
        n_keys += rf_vocab_is(vocab, id, types);
    while (n_slots < 2 * n_keys)
        n_slots *= 2;
    index->slots = rf_calloc(n_slots, sizeof *index->slots);
    if (!index->slots)
        return false;
    memset(index->slots, 0xff, n_slots * sizeof *index->slots);
    index->mask = (uint32_t)(n_slots - 1);
    index->pieces = pieces;
    for (uint32_t id = 0; id < vocab->n; id++) {
        if (!rf_vocab_is(vocab, id, types))
            continue;
        rf_str key = key_of(index, vocab, id);
        uint64_t hash = rf_hash(key.ptr, key.len, vocab->seed);
        size_t i = slot_of(index, vocab, key, hash);
        if (index->slots[i] == UINT32_MAX)
            index->slots[i] = id | tag_of(hash);
    }
    return true;
}

void rf_token_index_deinit(rf_token_index *index) {
    rf_free(index->slots);
    *index = (rf_token_index){0};
}

int32_t rf_token_index_find(const rf_token_index *index, const rf_vocab *vocab, rf_str key) {
    uint32_t slot =
        index->slots[slot_of(index, vocab, key, rf_hash(key.ptr, key.len, vocab->seed))];
    return slot == UINT32_MAX ? -1 : (int32_t)(slot & id_mask);
}
