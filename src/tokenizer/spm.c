#include "tokenizer/spm.h"

#include "tokenizer/char_class.h"

static const unsigned mergeable = RF_TOKEN_TYPE_BIT(RF_TOKEN_NORMAL) |
                                  RF_TOKEN_TYPE_BIT(RF_TOKEN_USER_DEFINED) |
                                  RF_TOKEN_TYPE_BIT(RF_TOKEN_UNUSED);

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

typedef struct pair_ranks {
    const rf_vocab *vocab;
    rf_spm_pair *known; /* [mask + 1], or NULL */
    uint32_t mask;
} pair_ranks;

/* Where the pair is or would be kept; NULL where a symbol is no token. *key is never 0. */
static rf_spm_pair *known_pair(const pair_ranks *ranks, int32_t left, int32_t right,
                               uint64_t *key) {
    if (!ranks->known || left < 0 || right < 0)
        return NULL;
    *key = ((uint64_t)left << 32 | (uint32_t)right) + 1;
    return &ranks->known[(*key * 0x9e3779b97f4a7c15u >> 40) & ranks->mask];
}

static void rank_pair(const void *model, const char *text, rf_symbol *left,
                      const rf_symbol *right) {
    const pair_ranks *ranks = model;
    uint64_t key = 0;
    rf_spm_pair *known = known_pair(ranks, left->id, right->id, &key);
    if (!known || known->key != key) {
        int32_t id = find_piece(ranks->vocab, text + left->start, (size_t)left->len + right->len);
        left->merged_id = id;
        left->order = id < 0 ? RF_MERGE_NONE : order_of_score(ranks->vocab->score[id]);
        if (known)
            *known = (rf_spm_pair){key, left->merged_id, left->order};
    } else {
        left->merged_id = known->merged_id;
        left->order = known->order;
    }
}

void rf_spm_load(rf_spm *spm, const rf_vocab *vocab) {
    spm->vocab = vocab;
    rf_seams_build(&spm->seams, vocab, mergeable);
    for (unsigned c = 0; c < 128; c++) {
        char text = (char)c;
        spm->ascii_id[c] = find_piece(vocab, &text, 1);
    }
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

static bool encode_word(const rf_spm *spm, rf_str word, const rf_spm_scratch *scratch,
                        bool *unknown, bool *any_unknown, rf_tokens *out) {
    rf_merger *merger = scratch->merger;
    const pair_ranks ranks = {spm->vocab, scratch->pairs, scratch->cache->mask};
    if (!rf_merger_reserve(merger, word.len))
        return false;
    merger->n = 0;
    for (size_t i = 0, len; i < word.len; i += len) {
        unsigned char c = (unsigned char)word.ptr[i];
        len = rf_char_length(word.ptr[i]);
        len = len < word.len - i ? len : word.len - i;
        rf_merger_add(merger, (uint32_t)i, (uint32_t)len, c < 0x80 ? spm->ascii_id[c] : -1);
    }
    if (!rf_merger_run(merger, word.ptr, rank_pair, &ranks))
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

bool rf_spm_encode(const rf_spm *spm, rf_str text, bool space_prefix, rf_spm_scratch scratch,
                   rf_tokens *out) {
    const char *end = text.ptr + text.len;
    bool unknown = false;
    while (text.len > 0) {
        rf_str word = rf_str_sub(text, 0, rf_seams_part(&spm->seams, text));
        text = rf_str_sub(text, word.len, text.len);
        rf_word_key key;
        /* A word beside unknown text may share a token with it. */
        rf_cached_word *slot =
            unknown || space_prefix ? NULL : rf_word_cache_slot(scratch.cache, word, end, &key);
        if (rf_word_cache_holds(slot, &key, word)) {
            if (!rf_word_cache_copy(slot, out))
                return false;
            continue;
        }
        rf_buf_clear(scratch.word);
        if (space_prefix)
            rf_normalizer_escape(RF_STR(" "), scratch.word);
        rf_normalizer_escape(word, scratch.word);
        space_prefix = false;
        size_t first = out->n;
        bool any_unknown = false;
        if (scratch.word->failed ||
            !encode_word(spm, rf_buf_view(scratch.word), &scratch, &unknown, &any_unknown, out))
            return false;
        if (!any_unknown)
            rf_word_cache_fill(slot, &key, word, out, first);
    }
    return true;
}
