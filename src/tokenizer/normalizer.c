#include "tokenizer/normalizer.h"

static const rf_str escaped_space = {"\xe2\x96\x81", 3};

static rf_status load_flag(const rf_gguf *gguf, const char *key, bool *flag, rf_error *err) {
    return rf_gguf_find_key(gguf, rf_str_of(key)) ? rf_gguf_get_bool(gguf, key, flag, err) : RF_OK;
}

rf_status rf_normalizer_load(rf_normalizer *normalizer, const rf_gguf *gguf, rf_error *err) {
    RF_TRY(load_flag(gguf, "tokenizer.ggml.add_space_prefix", &normalizer->space_prefix, err));
    RF_TRY(
        load_flag(gguf, "tokenizer.ggml.remove_extra_whitespaces", &normalizer->merge_spaces, err));
    return rf_charsmap_load(&normalizer->charsmap, gguf, err);
}

void rf_normalizer_escape(rf_str text, rf_buf *out) {
    for (size_t i = 0; i < text.len;) {
        const char *space = memchr(text.ptr + i, ' ', text.len - i);
        size_t end = space ? (size_t)(space - text.ptr) : text.len;
        rf_buf_append(out, text.ptr + i, end - i);
        if (space)
            rf_buf_str(out, escaped_space);
        i = end + (space != NULL);
    }
}

static void append_mapped(const rf_normalizer *normalizer, rf_str text, rf_buf *out) {
    bool space_due = normalizer->merge_spaces && normalizer->space_prefix, any = false;
    for (size_t at = 0, used = 0; at < text.len; at += used) {
        rf_str piece =
            rf_charsmap_apply(&normalizer->charsmap, rf_str_sub(text, at, text.len), &used);
        for (size_t i = 0; i < piece.len; i++) {
            bool space = piece.ptr[i] == ' ';
            if (space && normalizer->merge_spaces) {
                space_due = space_due || any;
                continue;
            }
            if (space_due || space)
                rf_buf_str(out, escaped_space);
            if (!space)
                rf_buf_put(out, piece.ptr[i]);
            space_due = false;
            any = true;
        }
    }
}

void rf_normalizer_append(const rf_normalizer *normalizer, rf_str text, rf_buf *out) {
    if (normalizer->space_prefix && !normalizer->merge_spaces)
        rf_buf_str(out, escaped_space);
    if (rf_normalizer_is_plain(normalizer))
        rf_normalizer_escape(text, out);
    else
        append_mapped(normalizer, text, out);
}
