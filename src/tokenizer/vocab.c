#include "tokenizer/vocab.h"

#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "base/map.h"
#include "gguf/scan.h"

static const char tokens_key[] = "tokenizer.ggml.tokens";
static const char types_key[] = "tokenizer.ggml.token_type";
static const char scores_key[] = "tokenizer.ggml.scores";

static rf_status no_memory(rf_error *err, const char *what, uint64_t n) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory for %s of %" PRIu64 " tokens", what,
                   n);
}

/* One value for each token. */
static rf_status check_length(const rf_vocab *vocab, const rf_gguf_key *key, rf_error *err) {
    if (key->n_items == vocab->n)
        return RF_OK;
    return rf_fail(err, RF_ERR_INVALID,
                   "key %.*s at byte %" PRIu64 ": found %" PRIu64 " items, expected %" PRIu32
                   ", one for each token",
                   RF_STR_ARG(key->name), key->offset, key->n_items, vocab->n);
}

/* The specification's strings are UTF-8; a NUL has no place in a text either. */
static rf_status check_text(const rf_gguf_key *key, uint32_t id, rf_str text, rf_error *err) {
    size_t i_bad;
    const char *fault = rf_gguf_text_fault(text, &i_bad);
    if (!fault)
        return RF_OK;
    enum { ITEM_TYPE_AND_COUNT_BYTES = 12 };
    uint64_t at = key->offset + ITEM_TYPE_AND_COUNT_BYTES +
                  (uint64_t)((const uint8_t *)text.ptr - key->data) + i_bad;
    return rf_fail(err, RF_ERR_INVALID,
                   "key %s at byte %" PRIu64 ": token %" PRIu32 ": found %s, expected UTF-8 text",
                   tokens_key, at, id, fault);
}

static rf_status load_texts(rf_vocab *vocab, const rf_gguf *gguf, rf_error *err) {
    RF_TRY(rf_gguf_get_array(gguf, tokens_key, RF_GGUF_STRING, &vocab->tokens, err));
    const rf_gguf_key *key = vocab->tokens;
    if (key->n_items == 0 || key->n_items > RF_VOCAB_MAX_TOKENS)
        return rf_fail(err, key->n_items == 0 ? RF_ERR_INVALID : RF_ERR_LIMIT,
                       "key %s at byte %" PRIu64 ": found %" PRIu64 " tokens, expected 1 to %d",
                       tokens_key, key->offset, key->n_items, RF_VOCAB_MAX_TOKENS);
    if (key->data_bytes > UINT32_MAX)
        return rf_fail(err, RF_ERR_LIMIT,
                       "key %s at byte %" PRIu64 ": found %" PRIu64
                       " bytes, expected less than 4 GiB",
                       tokens_key, key->offset, key->data_bytes);
    vocab->n = (uint32_t)key->n_items;
    vocab->text_at = rf_calloc(vocab->n, sizeof *vocab->text_at);
    if (!vocab->text_at)
        return no_memory(err, "the texts", vocab->n);
    rf_gguf_strings walk = rf_gguf_strings_begin(key);
    rf_str text;
    for (uint32_t id = 0; id < vocab->n && rf_gguf_strings_next(&walk, &text); id++) {
        RF_TRY(check_text(key, id, text, err));
        vocab->text_at[id] = (uint32_t)((const uint8_t *)text.ptr - key->data - 8);
        if (text.len > vocab->max_text_bytes)
            vocab->max_text_bytes = text.len;
    }
    return RF_OK;
}

static rf_status load_types(rf_vocab *vocab, const rf_gguf *gguf, rf_error *err) {
    vocab->type = rf_alloc(vocab->n);
    if (!vocab->type)
        return no_memory(err, "the types", vocab->n);
    memset(vocab->type, RF_TOKEN_NORMAL, vocab->n);
    if (!rf_gguf_find_key(gguf, RF_STR("tokenizer.ggml.token_type")))
        return RF_OK;
    const rf_gguf_key *key = NULL;
    RF_TRY(rf_gguf_get_array(gguf, types_key, RF_GGUF_I32, &key, err));
    RF_TRY(check_length(vocab, key, err));
    for (uint32_t id = 0; id < vocab->n; id++) {
        int64_t type = rf_gguf_item_int(key, id);
        if (type < 0 || type > RF_TOKEN_BYTE)
            return rf_fail(err, RF_ERR_INVALID,
                           "key %s at byte %" PRIu64 ": token %" PRIu32 ": found type %" PRId64
                           ", expected 0 to %d",
                           types_key, key->offset, id, type, RF_TOKEN_BYTE);
        vocab->type[id] = (uint8_t)type;
    }
    return RF_OK;
}

rf_status rf_vocab_load_scores(rf_vocab *vocab, const rf_gguf *gguf, rf_error *err) {
    const rf_gguf_key *key = NULL;
    RF_TRY(rf_gguf_get_array(gguf, scores_key, RF_GGUF_F32, &key, err));
    RF_TRY(check_length(vocab, key, err));
    vocab->score = rf_calloc(vocab->n, sizeof *vocab->score);
    if (!vocab->score)
        return no_memory(err, "the scores", vocab->n);
    for (uint32_t id = 0; id < vocab->n; id++) {
        float score = (float)rf_gguf_item_float(key, id);
        if (!isfinite(score))
            return rf_fail(err, RF_ERR_INVALID,
                           "key %s at byte %" PRIu64 ": token %" PRIu32
                           ": found %f, expected a finite number",
                           scores_key, key->offset, id, (double)score);
        vocab->score[id] = score;
    }
    return RF_OK;
}

/* <0xXX> as a byte, or -1. */
static int byte_of_text(rf_str text) {
    int value = 0;
    if (text.len != 6 || memcmp(text.ptr, "<0x", 3) != 0 || text.ptr[5] != '>')
        return -1;
    for (size_t i = 3; i < 5; i++) {
        char c = text.ptr[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static rf_status load_byte_tokens(rf_vocab *vocab, rf_error *err) {
    memset(vocab->byte_id, 0xff, sizeof vocab->byte_id);
    for (uint32_t id = 0; id < vocab->n; id++) {
        if (vocab->type[id] != RF_TOKEN_BYTE)
            continue;
        rf_str text = rf_vocab_text(vocab, id);
        int byte = byte_of_text(text);
        if (byte < 0)
            return rf_fail(err, RF_ERR_INVALID,
                           "key %s at byte %" PRIu64 ": token %" PRIu32
                           " is a byte: found \"%.*s\", expected <0x00> to <0xFF>",
                           tokens_key, vocab->tokens->offset, id, RF_STR_ARG(text));
        if (vocab->byte_id[byte] < 0)
            vocab->byte_id[byte] = (int32_t)id;
    }
    return RF_OK;
}

rf_status rf_vocab_load(rf_vocab *vocab, const rf_gguf *gguf, rf_error *err) {
    vocab->seed = rf_hash_random_seed();
    RF_TRY(load_texts(vocab, gguf, err));
    RF_TRY(load_types(vocab, gguf, err));
    RF_TRY(load_byte_tokens(vocab, err));
    if (!rf_token_index_build(&vocab->by_text, vocab, false, RF_TOKEN_TYPES_ALL))
        return no_memory(err, "the index", vocab->n);
    return RF_OK;
}

void rf_vocab_deinit(rf_vocab *vocab) {
    rf_free(vocab->text_at);
    rf_free(vocab->type);
    rf_free(vocab->score);
    rf_free(vocab->piece_at);
    rf_free(vocab->pieces);
    rf_free(vocab->eog);
    rf_token_index_deinit(&vocab->by_text);
    *vocab = (rf_vocab){0};
}
