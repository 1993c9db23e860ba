#include "tokenizer/spm.h"

#include "tokenizer/char_class.h"

static const unsigned mergeable = RF_TOKEN_TYPE_BIT(RF_TOKEN_NORMAL) |
                                  RF_TOKEN_TYPE_BIT(RF_TOKEN_USER_DEFINED) |
                                  RF_TOKEN_TYPE_BIT(RF_TOKEN_UNUSED);

static bool is_space(const char *s, size_t n) {
    return n >= 3 && memcmp(s, "\xe2\x96\x81", 3) == 0;
}

/* Length of the word at the start of text: spaces, then anything up to a space that no token joins
 * to what is before it. */
static size_t word_length(const rf_spm *spm, rf_str text) {
    size_t i = 0;
    while (is_space(text.ptr + i, text.len - i))
        i += 3;
    while (i < text.len) {
        const char *next = memchr(text.ptr + i, '\xe2', text.len - i);
        i = next ? (size_t)(next - text.ptr) : text.len;
        if (i > 0 && is_space(text.ptr + i, text.len - i) &&
            !spm->joins[(unsigned char)text.ptr[i - 1]])
            break;
        while (is_space(text.ptr + i, text.len - i))
            i += 3;
        i += i < text.len && text.ptr[i] == '\xe2';
    }
    return i;
}

void rf_spm_load(rf_spm *spm, const rf_vocab *vocab) {
    *spm = (rf_spm){.vocab = vocab};
    for (uint32_t id = 0; id < vocab->n; id++) {
        rf_str text = rf_vocab_text(vocab, id);
        if (!rf_vocab_is(vocab, id, mergeable))
            continue;
        for (size_t i = 1; i + 3 <= text.len; i++)
            if (is_space(text.ptr + i, 3) && !(i >= 3 && is_space(text.ptr + i - 3, 3)))
                spm->joins[(unsigned char)text.ptr[i - 1]] = true;
    }
}

static int32_t find_piece(const rf_vocab *vocab, const char *text, size_t len) {
    if (len > vocab->max_text_bytes)
        return -1;
    int32_t id = rf_vocab_find(vocab, (rf_str){text, len});
    return id >= 0 && rf_vocab_is(vocab, (uint32_t)id, mergeable) ? id : -1;
}

/* Higher scores come first. RF_MERGE_NONE would be a NaN, which loading refuses. */
static uint32_t order_of_score(float score) {
    score += 0.0f; /* -0 as 0 */
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

static void rank_pair(const void *model, const char *text, rf_symbol *left,
                      const rf_symbol *right) {
    const rf_vocab *vocab = ((const rf_spm *)model)->vocab;
    left->merged_id = find_piece(vocab, text + left->start, (size_t)left->len + right->len);
    left->order =
        left->merged_id < 0 ? RF_MERGE_NONE : order_of_score(vocab->score[left->merged_id]);
}

/* A symbol that is no token: its bytes, or one unknown token for a run of such symbols. */
static bool push_bytes(const rf_vocab *vocab, rf_str text, bool *unknown, rf_tokens *out) {
    for (size_t i = 0; i < text.len; i++) {
        int32_t id = vocab->byte_id[(unsigned char)text.ptr[i]];
        if (id >= 0) {
            if (!rf_tokens_push(out, id))
                return false;
        } else if (vocab->roles.unk >= 0 && !*unknown) {
            *unknown = true;
            if (!rf_tokens_push(out, vocab->roles.unk))
                return false;
        }
    }
    return true;
}

static bool encode_word(const rf_spm *spm, rf_str word, rf_merger *merger, bool *unknown,
                        bool *any_unknown, rf_tokens *out) {
    if (!rf_merger_reserve(merger, word.len))
        return false;
    merger->n = 0;
    for (size_t i = 0, len; i < word.len; i += len) {
        len = rf_char_length(word.ptr[i]);
        rf_merger_add(merger, (uint32_t)i, (uint32_t)len, -1);
    }
    if (!rf_merger_run(merger, word.ptr, rank_pair, spm))
        return false;
    for (size_t i = 0; i < merger->n; i++) {
        const rf_symbol *symbol = &merger->symbols[i];
        rf_str text = {word.ptr + symbol->start, symbol->len};
        int32_t id = symbol->id >= 0 ? symbol->id : find_piece(spm->vocab, text.ptr, text.len);
        if (id >= 0)
            *unknown = false;
        if (id >= 0 ? !rf_tokens_push(out, id) : !push_bytes(spm->vocab, text, unknown, out))
            return false;
        *any_unknown = *any_unknown || *unknown;
    }
    return true;
}

bool rf_spm_encode(const rf_spm *spm, rf_str text, rf_merger *merger, rf_word_cache *cache,
                   rf_tokens *out) {
    bool unknown = false;
    rf_word_cache_begin(cache, text.len, spm->vocab->seed);
    while (text.len > 0) {
        size_t n = word_length(spm, text);
        rf_str word = rf_str_sub(text, 0, n);
        text = rf_str_sub(text, n, text.len);
        /* A word beside unknown text may share a token with it. */
        rf_cached_word *slot = unknown ? NULL : rf_word_cache_slot(cache, word);
        if (rf_word_cache_holds(cache, slot, word)) {
            if (!rf_word_cache_copy(slot, out))
                return false;
            continue;
        }
        size_t first = out->n;
        bool any_unknown = false;
        if (!encode_word(spm, word, merger, &unknown, &any_unknown, out))
            return false;
        if (!any_unknown)
            rf_word_cache_fill(cache, slot, word, out, first);
    }
    return true;
}
