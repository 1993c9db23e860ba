#include <inttypes.h>

#include "base/utf8.h"
#include "tokenizer/token_model.h"

static rf_status check_id(const rf_tokenizer *tokenizer, int32_t id, rf_error *err) {
    if (id >= 0 && (uint32_t)id < tokenizer->vocab.n)
        return RF_OK;
    return rf_fail(err, RF_ERR_INVALID, "token %" PRId32 ": expected an id from 0 to %" PRIu32, id,
                   tokenizer->vocab.n - 1);
}

rf_status rf_tokenizer_decode(const rf_tokenizer *tokenizer, const int32_t *ids, size_t n,
                              rf_buf *out, rf_error *err) {
    for (size_t i = 0; i < n; i++)
        RF_TRY(check_id(tokenizer, ids[i], err));
    bool started = !tokenizer->strip_leading_space;
    for (size_t i = 0; i < n; i++) {
        rf_str piece = rf_vocab_piece(&tokenizer->vocab, (uint32_t)ids[i]);
        if (!started && piece.len > 0) {
            started = true;
            piece = rf_str_sub(piece, piece.ptr[0] == ' ', piece.len);
        }
        rf_buf_str(out, piece);
    }
    return out->failed
               ? rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no room to decode %zu tokens", n)
               : RF_OK;
}

static const rf_str replacement = {"\xef\xbf\xbd", 3};

/* Length of the longest unfinished character that s begins with, at least 1: what one U+FFFD
 * stands for (Unicode standard, chapter 3, "maximal subparts"). */
static size_t bad_length(const char *s, size_t n) {
    for (size_t k = n < 3 ? n : 3; k > 1; k--)
        if (rf_utf8_unfinished_tail(s, k) == k)
            return k;
    return 1;
}

/* Appends the whole characters of s, U+FFFD for what cannot become one; returns how many bytes at
 * the end are an unfinished character. */
static size_t append_characters(rf_str s, rf_buf *out) {
    size_t i = 0;
    while (i < s.len) {
        size_t valid = rf_utf8_valid_prefix(s.ptr + i, s.len - i);
        rf_buf_append(out, s.ptr + i, valid);
        i += valid;
        size_t left = s.len - i;
        if (left == 0 || (left < 4 && rf_utf8_unfinished_tail(s.ptr + i, left) == left))
            return left;
        rf_buf_str(out, replacement);
        i += bad_length(s.ptr + i, left);
    }
    return 0;
}

/* Completes the held character with bytes of piece; returns how many it took. */
static size_t complete_held(rf_detokenizer *stream, rf_str piece, rf_buf *out) {
    size_t i = 0;
    while (stream->n_held > 0 && i < piece.len) {
        uint32_t code;
        stream->held[stream->n_held] = piece.ptr[i];
        size_t n = (size_t)stream->n_held + 1;
        if (rf_utf8_decode(stream->held, n, &code) == n) {
            rf_buf_append(out, stream->held, n);
            stream->n_held = 0;
            i++;
        } else if (rf_utf8_unfinished_tail(stream->held, n) == n) {
            stream->n_held = (uint8_t)n;
            i++;
        } else { /* the byte begins something new */
            rf_buf_str(out, replacement);
            stream->n_held = 0;
        }
    }
    return i;
}

bool rf_tokenizer_drops_space(const rf_tokenizer *tokenizer) {
    return tokenizer->strip_leading_space;
}

rf_status rf_detokenizer_push(rf_detokenizer *stream, const rf_tokenizer *tokenizer, int32_t id,
                              rf_buf *out, rf_error *err) {
    RF_TRY(check_id(tokenizer, id, err));
    const unsigned special = RF_TOKEN_TYPE_BIT(RF_TOKEN_CONTROL);
    if (stream->skip_special && rf_vocab_is(&tokenizer->vocab, (uint32_t)id, special))
        return RF_OK;
    rf_str piece = rf_vocab_piece(&tokenizer->vocab, (uint32_t)id);
    if (!stream->started && piece.len > 0) {
        stream->started = true;
        if (tokenizer->strip_leading_space && !stream->keep_leading_space && piece.ptr[0] == ' ')
            piece = rf_str_sub(piece, 1, piece.len);
    }
    piece = rf_str_sub(piece, complete_held(stream, piece, out), piece.len);
    if (piece.len > 0) {
        size_t held = append_characters(piece, out);
        memcpy(stream->held, piece.ptr + piece.len - held, held);
        stream->n_held = (uint8_t)held;
    }
    return out->failed
               ? rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no room for the text of a token")
               : RF_OK;
}

void rf_detokenizer_finish(rf_detokenizer *stream, rf_buf *out) {
    if (stream->n_held > 0)
        rf_buf_str(out, replacement);
    stream->n_held = 0;
}
