#include "tokenizer/bpe.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "tokenizer/char_class.h"

enum { RANK_BITS = 64 - 2 * RF_VOCAB_ID_BITS, MAX_MERGES = (1 << RANK_BITS) - 1 };

static const char merges_key[] = "tokenizer.ggml.merges";
static const uint64_t empty_slot = UINT64_MAX;

static uint64_t pair_key(uint32_t left, uint32_t right) {
    return ((uint64_t)left << RF_VOCAB_ID_BITS | right) << RANK_BITS;
}

static size_t pair_hash(const rf_bpe *bpe, uint64_t key) {
    uint64_t h = (key ^ bpe->vocab->seed) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    return (size_t)(h >> 32) & bpe->pair_mask;
}

/* The slot of the pair, or the empty one where it belongs. */
static size_t pair_slot(const rf_bpe *bpe, uint64_t key) {
    size_t i = pair_hash(bpe, key);
    while (bpe->pairs[i] != empty_slot && bpe->pairs[i] >> RANK_BITS != key >> RANK_BITS)
        i = (i + 1) & bpe->pair_mask;
    return i;
}

static void rank_pair(const void *model, const char *text, rf_symbol *left,
                      const rf_symbol *right) {
    (void)text;
    const rf_bpe *bpe = model;
    left->order = RF_MERGE_NONE;
    if (left->id < 0 || right->id < 0)
        return;
    uint64_t found = bpe->pairs[pair_slot(bpe, pair_key((uint32_t)left->id, (uint32_t)right->id))];
    if (found == empty_slot)
        return;
    left->order = (uint32_t)found & MAX_MERGES;
    left->merged_id = (int32_t)bpe->results[left->order];
}

static rf_status bad_merge(rf_error *err, const rf_gguf_key *key, uint64_t i, rf_str merge,
                           const char *expected) {
    return rf_fail(err, RF_ERR_INVALID,
                   "key %s at byte %" PRIu64 ": merge %" PRIu64 ": found \"%.*s\", expected %s",
                   merges_key, key->offset, i, RF_STR_ARG(merge), expected);
}

/* The token of this text. Merges make tokens mostly in order of id, so the one before and its
 * successor are looked at first: both lie in the cache. */
static int32_t find_near(const rf_vocab *vocab, rf_str text, uint32_t id) {
    for (uint32_t k = id; k < id + 2 && k < vocab->n; k++)
        if (rf_str_eq(rf_vocab_text(vocab, k), text))
            return (int32_t)k;
    return rf_vocab_find(vocab, text);
}

/* Merges whose parts or result are no tokens could never apply as their author meant, and a part
 * that is empty would make a token of itself: both are refused. */
static rf_status load_merge(rf_bpe *bpe, const rf_gguf_key *key, uint64_t i, rf_str merge,
                            char *joined, rf_error *err) {
    const rf_vocab *vocab = bpe->vocab;
    const char *space = merge.len > 2 ? memchr(merge.ptr + 1, ' ', merge.len - 1) : NULL;
    size_t n_left = space ? (size_t)(space - merge.ptr) : 0;
    if (n_left == 0 || n_left + 1 == merge.len || merge.len - 1 > vocab->max_text_bytes)
        return bad_merge(err, key, i, merge,
                         space ? "two tokens that join to a third" : "two tokens and a space");
    rf_str right_text = {space + 1, merge.len - n_left - 1};
    memcpy(joined, merge.ptr, n_left);
    memcpy(joined + n_left, right_text.ptr, right_text.len);
    int32_t left = rf_vocab_find(vocab, (rf_str){merge.ptr, n_left});
    int32_t right = rf_vocab_find(vocab, right_text);
    int32_t result = find_near(vocab, (rf_str){joined, merge.len - 1}, i ? bpe->results[i - 1] : 0);
    if (left < 0 || right < 0 || result < 0)
        return bad_merge(err, key, i, merge, "two tokens of the vocabulary that join to a third");
    bpe->results[i] = (uint32_t)result;
    uint64_t pair = pair_key((uint32_t)left, (uint32_t)right);
    size_t slot = pair_slot(bpe, pair);
    if (bpe->pairs[slot] != empty_slot)
        return bad_merge(err, key, i, merge, "a pair that no merge before has");
    bpe->pairs[slot] = pair | i;
    return RF_OK;
}

static rf_status load_merges(rf_bpe *bpe, const rf_gguf *gguf, rf_error *err) {
    const rf_gguf_key *key = NULL;
    RF_TRY(rf_gguf_get_array(gguf, merges_key, RF_GGUF_STRING, &key, err));
    if (key->n_items > MAX_MERGES)
        return rf_fail(err, RF_ERR_LIMIT,
                       "key %s at byte %" PRIu64 ": found %" PRIu64 " merges, expected at most %d",
                       merges_key, key->offset, key->n_items, MAX_MERGES);
    size_t n_slots = 16;
    while (n_slots * 3 < key->n_items * 4)
        n_slots *= 2;
    bpe->pair_mask = (uint32_t)(n_slots - 1);
    bpe->pairs = rf_calloc(n_slots, sizeof *bpe->pairs);
    bpe->results = rf_calloc(key->n_items + 1, sizeof *bpe->results);
    char *joined = rf_alloc(bpe->vocab->max_text_bytes + 1);
    rf_status status = RF_OK;
    if (!bpe->pairs || !bpe->results || !joined) {
        status = rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory for %" PRIu64 " merges",
                         key->n_items);
    } else {
        memset(bpe->pairs, 0xff, n_slots * sizeof *bpe->pairs);
        rf_gguf_strings walk = rf_gguf_strings_begin(key);
        rf_str merge;
        for (uint64_t i = 0; status == RF_OK && rf_gguf_strings_next(&walk, &merge); i++)
            status = load_merge(bpe, key, i, merge, joined, err);
    }
    rf_free(joined);
    return status;
}

rf_status rf_bpe_load(rf_bpe *bpe, rf_vocab *vocab, const rf_gguf *gguf, const rf_pretokenizer *pre,
                      rf_error *err) {
    bpe->vocab = vocab;
    bpe->pre = pre;
    if (!(pre->flags & RF_PRETOKENIZER_RAW))
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[4];
            size_t len = rf_byte_level_char((uint8_t)byte, text);
            vocab->byte_id[byte] = rf_vocab_find(vocab, (rf_str){text, len});
        }
    RF_TRY(load_merges(bpe, gguf, err));
    const unsigned words = RF_TOKEN_TYPES_ALL & ~(RF_TOKEN_TYPE_BIT(RF_TOKEN_CONTROL) |
                                                  RF_TOKEN_TYPE_BIT(RF_TOKEN_UNKNOWN) |
                                                  RF_TOKEN_TYPE_BIT(RF_TOKEN_USER_DEFINED));
    if ((pre->flags & RF_PRETOKENIZER_WHOLE) &&
        !rf_token_index_build(&bpe->words, vocab, true, words))
        return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory for the index of words");
    return RF_OK;
}

void rf_bpe_deinit(rf_bpe *bpe) {
    rf_free(bpe->pairs);
    rf_free(bpe->results);
    rf_token_index_deinit(&bpe->words);
    *bpe = (rf_bpe){0};
}

/* One symbol a byte. Bytes that no token stands for are lost, as in the original. */
static void add_bytes(const rf_vocab *vocab, rf_str word, rf_merger *merger) {
    for (size_t i = 0; i < word.len; i++) {
        int32_t id = vocab->byte_id[(unsigned char)word.ptr[i]];
        if (id >= 0)
            rf_merger_add(merger, (uint32_t)i, 1, id);
    }
}

/* One symbol a character, or one a byte where the character is no token. */
static void add_chars(const rf_vocab *vocab, rf_str word, rf_merger *merger) {
    for (size_t i = 0, len; i < word.len; i += len) {
        len = rf_char_length(word.ptr[i]);
        int32_t id = rf_vocab_find(vocab, (rf_str){word.ptr + i, len});
        if (id >= 0)
            rf_merger_add(merger, (uint32_t)i, (uint32_t)len, id);
        else
            add_bytes(vocab, (rf_str){word.ptr + i, len}, merger);
    }
}

bool rf_bpe_encode_word(const rf_bpe *bpe, rf_str word, rf_merger *merger, rf_tokens *out) {
    bool raw = (bpe->pre->flags & RF_PRETOKENIZER_RAW) != 0;
    int32_t whole = -1;
    if (bpe->words.slots)
        whole = rf_token_index_find(&bpe->words, bpe->vocab, word);
    else if (raw && word.ptr[0] == '\n') /* a run of newlines */
        whole = rf_vocab_find(bpe->vocab, word);
    if (whole >= 0)
        return rf_tokens_push(out, whole);
    if (!rf_merger_reserve(merger, word.len))
        return false;
    merger->n = 0;
    if (raw)
        add_chars(bpe->vocab, word, merger);
    else
        add_bytes(bpe->vocab, word, merger);
    if (!rf_merger_run(merger, word.ptr, rank_pair, bpe))
        return false;
    for (size_t i = 0; i < merger->n; i++)
        if (!rf_tokens_push(out, merger->symbols[i].id))
            return false;
    return true;
}
