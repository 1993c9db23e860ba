#include "base/alloc.h"
#include "base/utf8.h"
#include "tokenizer/vocab.h"

/* GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes, in order, for
 * U+0100 … U+0143. */
static bool is_printable(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

/* Bytes below `byte` that are not printable. */
static unsigned n_moved_below(unsigned byte) {
    if (byte <= 0x21)
        return byte;
    if (byte <= 0x7f)
        return 0x21;
    return byte <= 0xa1 ? 0x21 + byte - 0x7f : 0x21 + 0xa1 - 0x7f + (byte > 0xad);
}

size_t rf_byte_level_char(uint8_t byte, char out[4]) {
    return rf_utf8_encode(is_printable(byte) ? byte : 0x100 + n_moved_below(byte), out);
}

int rf_byte_level_byte(uint32_t code) {
    if (code < 0x100)
        return is_printable(code) ? (int)code : -1;
    if (code < 0x121)
        return (int)(code - 0x100);
    if (code < 0x143)
        return (int)(code - 0x121 + 0x7f);
    return code == 0x143 ? 0xad : -1;
}

/* Writes the bytes that the characters of text stand for; false if one is not of the alphabet. */
static bool unmap_bytes(rf_str text, char *out, size_t *n) {
    *n = 0;
    for (size_t i = 0, len; i < text.len; i += len) {
        uint32_t code;
        len = rf_utf8_decode(text.ptr + i, text.len - i, &code);
        int byte = len ? rf_byte_level_byte(code) : -1;
        if (byte < 0)
            return false;
        out[(*n)++] = (char)byte;
    }
    return true;
}

static size_t unescape_spaces(rf_str text, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        if (text.len - i >= 3 && memcmp(text.ptr + i, "\xe2\x96\x81", 3) == 0) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = text.ptr[i++];
        }
    }
    return n;
}

static size_t write_piece(const rf_vocab *vocab, uint32_t id, rf_piece_kind kind, char *out) {
    rf_str text = rf_vocab_text(vocab, id);
    size_t n;
    if (kind == RF_PIECES_BYTE_LEVEL) {
        if (unmap_bytes(text, out, &n))
            return n;
        if (text.len > 0)
            memcpy(out, text.ptr, text.len);
        return text.len;
    }
    if (vocab->type[id] == RF_TOKEN_BYTE) {
        unsigned byte = 0;
        for (size_t i = 3; i < 5; i++) {
            unsigned c = (unsigned char)text.ptr[i];
            byte = byte * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        *out = (char)byte;
        return 1;
    }
    const unsigned whole =
        RF_TOKEN_TYPE_BIT(RF_TOKEN_CONTROL) | RF_TOKEN_TYPE_BIT(RF_TOKEN_UNKNOWN);
    n = 0;
    if (kind == RF_PIECES_WORDS && rf_vocab_is(vocab, id, whole) &&
        !rf_str_starts(text, RF_STR("\xe2\x96\x81")))
        out[n++] = ' ';
    return n + unescape_spaces(text, out + n);
}

rf_status rf_vocab_make_pieces(rf_vocab *vocab, rf_piece_kind kind, rf_error *err) {
    /* No piece is longer than its text and one space; texts have 8 bytes of length before them. */
    vocab->piece_at = rf_calloc((size_t)vocab->n + 1, sizeof *vocab->piece_at);
    vocab->pieces = rf_alloc((size_t)vocab->tokens->data_bytes);
    if (!vocab->piece_at || !vocab->pieces)
        return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory for the texts of %u tokens",
                       (unsigned)vocab->n);
    size_t at = 0;
    for (uint32_t id = 0; id < vocab->n; id++) {
        at += write_piece(vocab, id, kind, vocab->pieces + at);
        vocab->piece_at[id + 1] = (uint32_t)at;
    }
    char *fitted = rf_realloc(vocab->pieces, at > 0 ? at : 1);
    if (fitted)
        vocab->pieces = fitted;
    return RF_OK;
}
