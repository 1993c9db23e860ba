#include "text/vocab_bytes.h"

#include <string.h>

#include "base/alloc.h"

rf_str rf_control_bytes(int32_t id, char out[static RF_CONTROL_BYTES]) {
    out[0] = (char)0xff;
    for (int i = 1; i < RF_CONTROL_BYTES; i++)
        out[i] = (char)(0x80 | ((uint32_t)id >> (7 * (RF_CONTROL_BYTES - 1 - i)) & 0x7f));
    return (rf_str){out, RF_CONTROL_BYTES};
}

static rf_str text_of(const rf_tokenizer *tokenizer, uint32_t id,
                      char room[static RF_CONTROL_BYTES]) {
    if (id >= rf_tokenizer_n_tokens(tokenizer) || rf_tokenizer_is_eog(tokenizer, (int32_t)id))
        return (rf_str){0};
    rf_token_type type = rf_tokenizer_type(tokenizer, (int32_t)id);
    if (type == RF_TOKEN_CONTROL)
        return rf_control_bytes((int32_t)id, room);
    bool text = type == RF_TOKEN_NORMAL || type == RF_TOKEN_BYTE || type == RF_TOKEN_USER_DEFINED;
    rf_str piece = text ? rf_tokenizer_piece(tokenizer, (int32_t)id) : (rf_str){0};
    bool looks_control = piece.len > 0 && memchr(piece.ptr, 0xff, piece.len);
    return looks_control ? (rf_str){0} : piece;
}

rf_status rf_vocab_bytes_init(rf_vocab_bytes *vocab, const rf_tokenizer *tokenizer,
                              uint32_t n_vocab, rf_error *err) {
    uint64_t n_bytes = 0;
    char room[RF_CONTROL_BYTES];
    *vocab = (rf_vocab_bytes){0};
    for (uint32_t id = 0; id < n_vocab; id++)
        n_bytes += text_of(tokenizer, id, room).len;
    if (n_bytes > UINT32_MAX)
        return rf_fail(err, RF_ERR_LIMIT, "the vocabulary has %llu bytes of text",
                       (unsigned long long)n_bytes);
    vocab->offsets = rf_calloc((size_t)n_vocab + 1, sizeof *vocab->offsets);
    vocab->bytes = rf_alloc((size_t)n_bytes + 1);
    if (!vocab->offsets || !vocab->bytes) {
        rf_vocab_bytes_deinit(vocab);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the bytes of %u tokens", n_vocab);
    }
    for (uint32_t id = 0, at = 0; id < n_vocab; id++) {
        rf_str text = text_of(tokenizer, id, room);
        if (text.len > 0)
            memcpy(vocab->bytes + at, text.ptr, text.len);
        at += (uint32_t)text.len;
        vocab->offsets[id + 1] = at;
    }
    vocab->view = (rf_token_bytes){vocab->offsets, vocab->bytes, n_vocab};
    return RF_OK;
}

void rf_vocab_bytes_deinit(rf_vocab_bytes *vocab) {
    rf_free(vocab->offsets);
    rf_free(vocab->bytes);
    *vocab = (rf_vocab_bytes){0};
}
