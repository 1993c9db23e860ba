#include "tokenizer/wordpiece.h"

#include <utf8proc.h>

#include "base/utf8.h"
#include "tokenizer/char_class.h"

enum { MAX_WORD_CHARS = 100, MAX_TOKEN_BYTES = 4 * MAX_WORD_CHARS + 3 }; /* longer words: [UNK] */

static rf_status load_flag(const rf_gguf *gguf, const char *key, bool *flag, rf_error *err) {
    return rf_gguf_find_key(gguf, rf_str_of(key)) ? rf_gguf_get_bool(gguf, key, flag, err) : RF_OK;
}

rf_status rf_wordpiece_load(rf_wordpiece *wordpiece, const rf_vocab *vocab, const rf_gguf *gguf,
                            rf_error *err) {
    wordpiece->vocab = vocab;
    wordpiece->lowercase = true;
    RF_TRY(load_flag(gguf, "tokenizer.ggml.normalizer.lowercase", &wordpiece->lowercase, err));
    wordpiece->strip_accents = wordpiece->lowercase;
    RF_TRY(
        load_flag(gguf, "tokenizer.ggml.normalizer.strip_accents", &wordpiece->strip_accents, err));
    if (vocab->roles.unk < 0)
        return rf_fail(err, RF_ERR_INVALID,
                       "key tokenizer.ggml.unknown_token_id: found none, expected the token for "
                       "unknown words");
    const unsigned types = RF_TOKEN_TYPES_ALL & ~(RF_TOKEN_TYPE_BIT(RF_TOKEN_CONTROL) |
                                                  RF_TOKEN_TYPE_BIT(RF_TOKEN_UNKNOWN));
    if (!rf_lexicon_build(&wordpiece->lexicon, vocab, types, MAX_TOKEN_BYTES))
        return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory for the lexicon");
    return RF_OK;
}

void rf_wordpiece_deinit(rf_wordpiece *wordpiece) { rf_lexicon_deinit(&wordpiece->lexicon); }

/* The blocks that BERT's own tokenizer calls CJK and surrounds with spaces. */
static bool is_cjk(uint32_t c) {
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool is_dropped(uint32_t c) {
    if (c == '\t' || c == '\n' || c == '\r')
        return false;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return c == 0xfffd || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_CO;
}

/* The mark of a word's beginning belongs to the first token and is none alone; later tokens that
 * begin with it are other words, but for the one that stands for U+2581 itself. */
static bool fits(rf_str word, size_t at, size_t n) {
    bool marked = rf_str_starts(rf_str_sub(word, at, word.len), RF_STR("\xe2\x96\x81"));
    return at == 0 ? n > 3 : !marked || n == 3;
}

/* Longest tokens from the left; a word that leaves a rest is unknown as a whole. */
static bool encode_word(const rf_wordpiece *wordpiece, rf_str word, size_t n_chars,
                        rf_tokens *out) {
    size_t first = out->n;
    for (size_t at = 0; at < word.len;) {
        int32_t best = -1;
        size_t best_bytes = 0;
        rf_lexicon_walk walk = rf_lexicon_start(&wordpiece->lexicon, word.ptr[at]);
        while (n_chars <= MAX_WORD_CHARS && walk.lo < walk.hi) {
            int32_t id = rf_lexicon_exact(&wordpiece->lexicon, &walk);
            if (id >= 0 && fits(word, at, walk.depth)) {
                best = id;
                best_bytes = walk.depth;
            }
            if (at + walk.depth >= word.len ||
                !rf_lexicon_step(&wordpiece->lexicon, &walk, word.ptr[at + walk.depth]))
                break;
        }
        if (best < 0) {
            out->n = first;
            return rf_tokens_push(out, wordpiece->vocab->roles.unk);
        }
        if (!rf_tokens_push(out, best))
            return false;
        at += best_bytes;
    }
    return true;
}

typedef struct word_builder {
    const rf_wordpiece *wordpiece;
    rf_buf *word; /* U+2581 and the word so far */
    size_t n_chars;
    rf_tokens *out;
} word_builder;

static bool end_word(word_builder *builder) {
    size_t n_chars = builder->n_chars;
    builder->n_chars = 0;
    return n_chars == 0 ||
           (!builder->word->failed &&
            encode_word(builder->wordpiece, rf_buf_view(builder->word), n_chars, builder->out));
}

static void add_char(word_builder *builder, uint32_t code) {
    char utf8[4];
    if (builder->n_chars++ == 0) {
        rf_buf_clear(builder->word);
        rf_buf_text(builder->word, "\xe2\x96\x81");
    }
    if (builder->n_chars <= MAX_WORD_CHARS)
        rf_buf_append(builder->word, utf8, rf_utf8_encode(code, utf8));
}

/* One cleaned and decomposed character. */
static bool take_char(word_builder *builder, uint32_t code) {
    const rf_wordpiece *wordpiece = builder->wordpiece;
    if (wordpiece->strip_accents &&
        utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_MN)
        return true;
    bool dotted = wordpiece->lowercase && code == 0x130; /* its lower case is i and U+0307 */
    if (wordpiece->lowercase)
        code = dotted ? 'i' : (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    uint32_t class = rf_char_class(code);
    if (class & RF_CHAR_SPACE)
        return end_word(builder);
    bool alone = (class & RF_CHAR_P) || (code < 128 && (class & RF_CHAR_S)) || is_cjk(code);
    if (alone && !end_word(builder))
        return false;
    add_char(builder, code);
    if (dotted)
        add_char(builder, 0x307);
    return !alone || end_word(builder);
}

bool rf_wordpiece_encode(const rf_wordpiece *wordpiece, rf_str text, rf_buf *word, rf_tokens *out) {
    word_builder builder = {wordpiece, word, 0, out};
    for (size_t i = 0, len; i < text.len; i += len) {
        uint32_t code = rf_char_decode(text.ptr + i, &len);
        if (is_dropped(code))
            continue;
        utf8proc_int32_t parts[4] = {(utf8proc_int32_t)code};
        utf8proc_ssize_t n = 1;
        int boundclass = 0;
        if (wordpiece->strip_accents)
            n = utf8proc_decompose_char((utf8proc_int32_t)code, parts, 4, UTF8PROC_DECOMPOSE,
                                        &boundclass);
        for (utf8proc_ssize_t k = 0; k < n && k < 4; k++)
            if (!take_char(&builder, (uint32_t)parts[k]))
                return false;
    }
    return end_word(&builder);
}
