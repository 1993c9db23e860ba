#include "tokenizer/token_model.h"

#include "base/alloc.h"
#include "base/log.h"
#include "tokenizer/nfc.h"

static rf_status load_flag(const rf_gguf *gguf, const char *key, bool *flag, rf_error *err) {
    return rf_gguf_find_key(gguf, rf_str_of(key)) ? rf_gguf_get_bool(gguf, key, flag, err) : RF_OK;
}

/* The pre-tokeniser that the file names; another name stands for the fallback. */
static rf_status find_pre(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err) {
    rf_str name = {0};
    tokenizer->pre = rf_pretokenizer_fallback();
    if (!rf_gguf_find_key(gguf, RF_STR("tokenizer.ggml.pre"))) {
        rf_log(RF_LOG_WARN, "tokenizer",
               "key tokenizer.ggml.pre is missing: text is split as by \"%s\", which may differ "
               "from the model's own tokenizer",
               tokenizer->pre->name);
        return RF_OK;
    }
    RF_TRY(rf_gguf_get_str(gguf, "tokenizer.ggml.pre", &name, err));
    const rf_pretokenizer *found = rf_pretokenizer_find(name);
    if (found)
        tokenizer->pre = found;
    else
        rf_log(RF_LOG_WARN, "tokenizer",
               "key tokenizer.ggml.pre: \"%.*s\" is unknown: text is split as by \"%s\", which may "
               "differ from the model's own tokenizer",
               RF_STR_ARG(name), tokenizer->pre->name);
    return RF_OK;
}

static rf_status load_bpe_as(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err) {
    const rf_pretokenizer *pre = tokenizer->pre;
    bool raw = (pre->flags & RF_PRETOKENIZER_RAW) != 0;
    rf_role_defaults defaults = {-1, -1, -1, (pre->flags & RF_PRETOKENIZER_BOS) != 0, false, false};
    RF_TRY(rf_vocab_load_roles(&tokenizer->vocab, gguf, defaults, err));
    RF_TRY(rf_vocab_make_pieces(&tokenizer->vocab, raw ? RF_PIECES_SPACES : RF_PIECES_BYTE_LEVEL,
                                err));
    return rf_bpe_load(&tokenizer->bpe, &tokenizer->vocab, gguf, pre, err);
}

static rf_status load_bpe(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err) {
    RF_TRY(find_pre(tokenizer, gguf, err));
    tokenizer->nfc = (tokenizer->pre->flags & RF_PRETOKENIZER_NFC) != 0;
    RF_TRY(load_flag(gguf, "tokenizer.ggml.normalizer.nfc", &tokenizer->nfc, err));
    return load_bpe_as(tokenizer, gguf, err);
}

static rf_status load_gemma4(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err) {
    tokenizer->pre = rf_pretokenizer_find(RF_STR("gemma4"));
    return load_bpe_as(tokenizer, gguf, err);
}

static void unload_bpe(rf_tokenizer *tokenizer) { rf_bpe_deinit(&tokenizer->bpe); }

static bool encode_bpe(const rf_tokenizer *tokenizer, rf_str fragment, rf_encode_scratch *scratch,
                       rf_tokens *out) {
    rf_buf_clear(&scratch->text);
    if (tokenizer->pre->flags & RF_PRETOKENIZER_RAW) {
        rf_normalizer_append(&tokenizer->normalizer, fragment, &scratch->text);
        fragment = rf_buf_view(&scratch->text);
    } else if (tokenizer->nfc && !rf_nfc_is_trivial(fragment)) {
        rf_nfc_append(fragment, &scratch->text);
        fragment = rf_buf_view(&scratch->text);
    }
    if (scratch->text.failed)
        return false;
    rf_word_walk walk = rf_word_walk_begin(tokenizer->pre, fragment);
    const char *end = fragment.ptr + fragment.len;
    rf_str word;
    while (rf_word_walk_next(&walk, &word)) {
        rf_word_key key;
        rf_cached_word *slot = rf_word_cache_slot(&scratch->cache, word, end, &key);
        if (rf_word_cache_holds(slot, &key, word)) {
            if (!rf_word_cache_copy(slot, out))
                return false;
            continue;
        }
        size_t first = out->n;
        if (!rf_bpe_encode_word(&tokenizer->bpe, word, &scratch->merger, out))
            return false;
        rf_word_cache_fill(slot, &key, word, out, first);
    }
    return true;
}

static rf_status load_sentencepiece(rf_tokenizer *tokenizer, const rf_gguf *gguf,
                                    rf_role_defaults defaults, rf_error *err) {
    tokenizer->normalizer.space_prefix = true;
    RF_TRY(rf_normalizer_load(&tokenizer->normalizer, gguf, err));
    tokenizer->strip_leading_space = tokenizer->normalizer.space_prefix;
    RF_TRY(rf_vocab_load_roles(&tokenizer->vocab, gguf, defaults, err));
    RF_TRY(rf_vocab_load_scores(&tokenizer->vocab, gguf, err));
    return rf_vocab_make_pieces(&tokenizer->vocab, RF_PIECES_SPACES, err);
}

static rf_status load_spm(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err) {
    rf_role_defaults defaults = {1, 2, 0, true, false, false};
    RF_TRY(load_sentencepiece(tokenizer, gguf, defaults, err));
    rf_spm_load(&tokenizer->spm, &tokenizer->vocab);
    return RF_OK;
}

static void unload_nothing(rf_tokenizer *tokenizer) { (void)tokenizer; }

static bool encode_spm(const rf_tokenizer *tokenizer, rf_str fragment, rf_encode_scratch *scratch,
                       rf_tokens *out) {
    const rf_normalizer *normalizer = &tokenizer->normalizer;
    bool plain = rf_normalizer_is_plain(normalizer);
    if (!plain) {
        rf_buf_clear(&scratch->text);
        rf_normalizer_append(normalizer, fragment, &scratch->text);
        if (scratch->text.failed)
            return false;
        fragment = rf_buf_view(&scratch->text);
    }
    const rf_word_cache *cache = &scratch->cache;
    if (cache->entries && !scratch->pairs)
        scratch->pairs = rf_calloc((size_t)cache->mask + 1, sizeof *scratch->pairs);
    rf_spm_scratch mine = {&scratch->merger, &scratch->cache, scratch->pairs, &scratch->word};
    return rf_spm_encode(&tokenizer->spm, fragment, plain && normalizer->space_prefix, mine, out);
}

static rf_status load_unigram(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err) {
    rf_role_defaults defaults = {-1, 1, 2, false, true, false};
    RF_TRY(load_sentencepiece(tokenizer, gguf, defaults, err));
    return rf_unigram_load(&tokenizer->unigram, &tokenizer->vocab, err);
}

static void unload_unigram(rf_tokenizer *tokenizer) { rf_unigram_deinit(&tokenizer->unigram); }

static bool encode_unigram(const rf_tokenizer *tokenizer, rf_str fragment,
                           rf_encode_scratch *scratch, rf_tokens *out) {
    rf_buf_clear(&scratch->text);
    rf_normalizer_append(&tokenizer->normalizer, fragment, &scratch->text);
    return !scratch->text.failed &&
           rf_unigram_encode(&tokenizer->unigram, rf_buf_view(&scratch->text), &scratch->lattice,
                             out);
}

static rf_status load_wordpiece(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err) {
    rf_role_defaults defaults = {-1, -1, -1, true, true, true};
    tokenizer->strip_leading_space = true;
    RF_TRY(rf_vocab_load_roles(&tokenizer->vocab, gguf, defaults, err));
    RF_TRY(rf_vocab_make_pieces(&tokenizer->vocab, RF_PIECES_WORDS, err));
    return rf_wordpiece_load(&tokenizer->wordpiece, &tokenizer->vocab, gguf, err);
}

static void unload_wordpiece(rf_tokenizer *tokenizer) {
    rf_wordpiece_deinit(&tokenizer->wordpiece);
}

static bool encode_wordpiece(const rf_tokenizer *tokenizer, rf_str fragment,
                             rf_encode_scratch *scratch, rf_tokens *out) {
    return rf_wordpiece_encode(&tokenizer->wordpiece, fragment, &scratch->text, out);
}

static const rf_token_model models[] = {
    {"gpt2", load_bpe, unload_bpe, encode_bpe},
    {"gemma4", load_gemma4, unload_bpe, encode_bpe},
    {"llama", load_spm, unload_nothing, encode_spm},
    {"t5", load_unigram, unload_unigram, encode_unigram},
    {"bert", load_wordpiece, unload_wordpiece, encode_wordpiece},
};

const rf_token_model *rf_token_model_find(rf_str name) {
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (rf_str_is(name, models[i].name))
            return &models[i];
    return NULL;
}
