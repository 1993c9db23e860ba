#include "tokenizer/special_tokens.h"

#include "tokenizer/char_class.h"

/* Phi-3's special tokens swallow the blanks after them, for which GGUF has no key. Its files say
 * phi3 in their architecture or spell the name in one of several ways. */
static bool is_phi3(const rf_gguf *gguf) {
    rf_str architecture, name;
    if (rf_gguf_get_str(gguf, "general.architecture", &architecture, NULL) == RF_OK &&
        rf_str_is(architecture, "phi3"))
        return true;
    if (rf_gguf_get_str(gguf, "general.name", &name, NULL) != RF_OK)
        return false;
    static const char wanted[] = "phi3";
    size_t n = 0;
    for (size_t i = 0; i < name.len && wanted[n]; i++) {
        char c = name.ptr[i];
        if (n > 0 && (c == ' ' || c == '-' || c == '_'))
            continue;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        n = c == wanted[n] ? n + 1 : c == wanted[0];
    }
    return wanted[n] == 0;
}

rf_status rf_special_tokens_load(rf_special_tokens *special, const rf_vocab *vocab,
                                 const rf_gguf *gguf, rf_error *err) {
    const unsigned types = RF_TOKEN_TYPE_BIT(RF_TOKEN_CONTROL) |
                           RF_TOKEN_TYPE_BIT(RF_TOKEN_UNKNOWN) |
                           RF_TOKEN_TYPE_BIT(RF_TOKEN_USER_DEFINED);
    if (!rf_lexicon_build(&special->lexicon, vocab, types, RF_SPECIAL_MAX_BYTES))
        return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory for the special tokens");
    static const char *const exceptions[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (size_t i = 0; i < 3; i++)
        special->keeps_blanks[i] = rf_vocab_find(vocab, rf_str_of(exceptions[i]));
    rf_str model = {0};
    special->swallow_blanks =
        rf_gguf_get_str(gguf, "tokenizer.ggml.model", &model, NULL) == RF_OK &&
        rf_str_is(model, "llama") && is_phi3(gguf);
    return RF_OK;
}

void rf_special_tokens_deinit(rf_special_tokens *special) { rf_lexicon_deinit(&special->lexicon); }

/* The longest token at the start of text, or -1. */
static int32_t longest_at(const rf_lexicon *lexicon, rf_str text, unsigned types) {
    rf_lexicon_walk walk = rf_lexicon_start(lexicon, text.ptr[0]);
    int32_t best = -1;
    while (walk.lo < walk.hi) {
        int32_t id = rf_lexicon_exact(lexicon, &walk);
        if (id >= 0 && rf_vocab_is(lexicon->vocab, (uint32_t)id, types))
            best = id;
        if (walk.depth >= text.len || !rf_lexicon_step(lexicon, &walk, text.ptr[walk.depth]))
            break;
    }
    return best;
}

static bool swallows(const rf_special_tokens *special, int32_t id) {
    if (!special->swallow_blanks)
        return false;
    for (size_t i = 0; i < 3; i++)
        if (id == special->keeps_blanks[i])
            return false;
    return true;
}

rf_special_match rf_special_tokens_next(const rf_special_tokens *special, rf_str text, size_t from,
                                        bool parse_special) {
    const rf_lexicon *lexicon = &special->lexicon;
    unsigned types = parse_special ? RF_TOKEN_TYPES_ALL : RF_TOKEN_TYPE_BIT(RF_TOKEN_USER_DEFINED);
    if (lexicon->first[256] == 0)
        from = text.len;
    for (size_t i = from; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (lexicon->first[c] == lexicon->first[c + 1])
            continue;
        int32_t id = longest_at(lexicon, rf_str_sub(text, i, text.len), types);
        if (id < 0)
            continue;
        size_t end = i + rf_vocab_text(lexicon->vocab, (uint32_t)id).len;
        if (swallows(special, id))
            end = rf_char_run(text.ptr, end, text.len, RF_CHAR_SPACE);
        return (rf_special_match){i, end, id};
    }
    return (rf_special_match){text.len, text.len, -1};
}
