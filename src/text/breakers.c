#include "text/breakers.h"

#include <string.h>

#include "base/alloc.h"

/* llama.cpp keeps at most this many tokens of a breaker's rest. */
enum { MAX_TAIL_TOKENS = 20 };

typedef struct span_list {
    rf_tokens *ids;
    size_t *starts; /* owned; first id of each span */
    size_t n, cap;
} span_list;

static bool add_span(span_list *list, int32_t first, const int32_t *tail, size_t n_tail) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 256;
        size_t *starts = rf_realloc_array(list->starts, cap, sizeof *starts);
        if (!starts)
            return false;
        list->starts = starts;
        list->cap = cap;
    }
    list->starts[list->n++] = list->ids->n;
    bool ok = rf_tokens_push(list->ids, first);
    for (size_t i = 0; ok && i < n_tail && i < MAX_TAIL_TOKENS; i++)
        ok = rf_tokens_push(list->ids, tail[i]);
    return ok;
}

/* The token holds the breaker, or ends in a part of its beginning that other tokens complete. */
static rf_status match_token(span_list *list, const rf_tokenizer *tokenizer, int32_t id,
                             rf_str piece, rf_str breaker, rf_error *err) {
    bool ok = true;
    if (memmem(piece.ptr, piece.len, breaker.ptr, breaker.len)) {
        ok = add_span(list, id, NULL, 0);
    } else {
        for (size_t at = 0; ok && at < piece.len; at++) {
            rf_str end = rf_str_sub(piece, at, piece.len);
            if (!rf_str_starts(breaker, end))
                continue;
            rf_tokens tail = {0};
            rf_encode_options plain = {0};
            rf_status status = rf_tokenizer_encode(
                tokenizer, rf_str_sub(breaker, end.len, breaker.len), plain, &tail, err);
            ok = status != RF_OK || add_span(list, id, tail.ids, tail.n);
            rf_tokens_deinit(&tail);
            if (status == RF_ERR_NO_MEMORY)
                return status;
        }
    }
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for DRY's breakers");
}

static rf_status match_breaker(span_list *list, const rf_tokenizer *tokenizer, rf_str breaker,
                               rf_error *err) {
    rf_buf piece;
    rf_buf_init(&piece, 1 << 20);
    rf_status status = RF_OK;
    uint32_t n = rf_tokenizer_n_tokens(tokenizer);
    for (uint32_t i = 0; status == RF_OK && i < n; i++) {
        int32_t id = (int32_t)i;
        rf_buf_clear(&piece);
        status = rf_tokenizer_decode(tokenizer, &id, 1, &piece, err);
        if (status == RF_OK && piece.len > 0)
            status = match_token(list, tokenizer, id, rf_buf_view(&piece), breaker, err);
    }
    rf_buf_deinit(&piece);
    return status;
}

static rf_status match_all(span_list *list, const char *const *given, size_t n_given,
                           const rf_tokenizer *tokenizer, rf_error *err) {
    static const char *const standard[] = {"\n", ":", "\"", "*"}; /* llama.cpp's */
    const char *const *texts = n_given ? given : standard;
    size_t n = n_given ? n_given : sizeof standard / sizeof *standard;
    for (size_t i = 0; i < n; i++) {
        if (n_given && strcmp(texts[i], "none") == 0)
            continue;
        if (texts[i][0] == 0)
            return rf_fail(err, RF_ERR_USAGE, "found an empty text, expected some text or none");
        RF_TRY(match_breaker(list, tokenizer, rf_str_of(texts[i]), err));
    }
    return RF_OK;
}

static rf_status fill(rf_breakers *breakers, const span_list *list, rf_error *err) {
    breakers->spans = rf_calloc(list->n, sizeof *breakers->spans);
    if (list->n > 0 && !breakers->spans)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for DRY's breakers");
    breakers->n = (uint32_t)list->n;
    for (size_t i = 0; i < list->n; i++) {
        size_t end = i + 1 < list->n ? list->starts[i + 1] : list->ids->n;
        breakers->spans[i] = (rf_token_span){.tokens = list->ids->ids + list->starts[i],
                                             .n_tokens = (uint32_t)(end - list->starts[i])};
    }
    return RF_OK;
}

rf_status rf_breakers_init(rf_breakers *breakers, const char *const *texts, size_t n,
                           const rf_tokenizer *tokenizer, rf_error *err) {
    *breakers = (rf_breakers){0};
    span_list list = {.ids = &breakers->ids};
    rf_status status = match_all(&list, texts, n, tokenizer, err);
    if (status == RF_OK)
        status = fill(breakers, &list, err);
    rf_free(list.starts);
    if (status != RF_OK)
        rf_breakers_deinit(breakers);
    return status;
}

void rf_breakers_deinit(rf_breakers *breakers) {
    rf_free(breakers->spans);
    rf_tokens_deinit(&breakers->ids);
    *breakers = (rf_breakers){0};
}
