#include <string.h>

#include "base/alloc.h"
#include "cli/sampling.h"

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

static rf_status match_all(span_list *list, const rf_options *options,
                           const rf_tokenizer *tokenizer, rf_error *err) {
    static const char *standard[] = {"\n", ":", "\"", "*"}; /* llama.cpp's */
    const rf_option_value *given = &options->values[RF_OPT_DRY_BREAKER];
    const char *const *texts = given->n_list ? given->list : standard;
    size_t n = given->n_list ? given->n_list : sizeof standard / sizeof *standard;
    for (size_t i = 0; i < n; i++) {
        if (given->n_list && strcmp(texts[i], "none") == 0)
            continue;
        if (texts[i][0] == 0)
            return rf_fail(err, RF_ERR_USAGE,
                           "--dry-sequence-breaker: found an empty text, expected some text or "
                           "none");
        RF_TRY(match_breaker(list, tokenizer, rf_str_of(texts[i]), err));
    }
    return RF_OK;
}

rf_status rf_sampling_breakers(rf_sampling *sampling, const rf_options *options,
                               const rf_tokenizer *tokenizer, rf_error *err) {
    span_list list = {.ids = &sampling->breaker_ids};
    rf_status status = match_all(&list, options, tokenizer, err);
    if (status == RF_OK && list.n > 0) {
        sampling->breakers = rf_calloc(list.n, sizeof *sampling->breakers);
        if (!sampling->breakers)
            status = rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for DRY's breakers");
    }
    for (size_t i = 0; status == RF_OK && i < list.n; i++) {
        size_t end = i + 1 < list.n ? list.starts[i + 1] : sampling->breaker_ids.n;
        sampling->breakers[i] =
            (rf_token_span){.tokens = sampling->breaker_ids.ids + list.starts[i],
                            .n_tokens = (uint32_t)(end - list.starts[i])};
    }
    if (status == RF_OK) {
        sampling->params.dry_breakers = sampling->breakers;
        sampling->params.n_dry_breakers = (uint32_t)list.n;
    }
    rf_free(list.starts);
    return status;
}
