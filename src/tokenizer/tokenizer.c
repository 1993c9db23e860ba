#include "tokenizer/tokenizer.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "tokenizer/token_model.h"

/* Positions in a text, three times as long where spaces are escaped, are 32 bits. */
enum { MAX_TEXT_BYTES = 1 << 30 };

static rf_status load(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err) {
    rf_str name;
    RF_TRY(rf_gguf_get_str(gguf, "tokenizer.ggml.model", &name, err));
    if (rf_str_is(name, "no_vocab"))
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "key tokenizer.ggml.model: found \"no_vocab\": the model has no vocabulary, "
                       "so it takes token ids alone, no text");
    const rf_token_model *model = rf_token_model_find(name);
    if (!model)
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "key tokenizer.ggml.model: found \"%.*s\", expected gpt2, llama, gemma4, t5 "
                       "or bert",
                       RF_STR_ARG(name));
    RF_TRY(rf_vocab_load(&tokenizer->vocab, gguf, err));
    tokenizer->model = model;
    RF_TRY(model->load(tokenizer, gguf, err));
    return rf_special_tokens_load(&tokenizer->special, &tokenizer->vocab, gguf, err);
}

rf_status rf_tokenizer_create(const rf_gguf *gguf, rf_tokenizer **out, rf_error *err) {
    rf_tokenizer *tokenizer = rf_calloc(1, sizeof *tokenizer);
    if (!tokenizer)
        return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory");
    rf_status status = load(tokenizer, gguf, err);
    if (status != RF_OK) {
        rf_tokenizer_destroy(tokenizer);
        return status;
    }
    *out = tokenizer;
    return RF_OK;
}

void rf_tokenizer_destroy(rf_tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    if (tokenizer->model)
        tokenizer->model->unload(tokenizer);
    rf_special_tokens_deinit(&tokenizer->special);
    rf_vocab_deinit(&tokenizer->vocab);
    rf_free(tokenizer);
}

const char *rf_tokenizer_model(const rf_tokenizer *tokenizer) { return tokenizer->model->name; }

const char *rf_tokenizer_pre(const rf_tokenizer *tokenizer) {
    return tokenizer->pre ? tokenizer->pre->name : "default";
}

uint32_t rf_tokenizer_n_tokens(const rf_tokenizer *tokenizer) { return tokenizer->vocab.n; }

const rf_token_roles *rf_tokenizer_roles(const rf_tokenizer *tokenizer) {
    return &tokenizer->vocab.roles;
}

bool rf_tokenizer_is_eog(const rf_tokenizer *tokenizer, int32_t id) {
    for (size_t i = 0; i < tokenizer->vocab.n_eog; i++)
        if (tokenizer->vocab.eog[i] == id)
            return true;
    return false;
}

const int32_t *rf_tokenizer_eog(const rf_tokenizer *tokenizer, size_t *n) {
    *n = tokenizer->vocab.n_eog;
    return tokenizer->vocab.eog;
}

static bool is_id(const rf_tokenizer *tokenizer, int32_t id) {
    return id >= 0 && (uint32_t)id < tokenizer->vocab.n;
}

rf_token_type rf_tokenizer_type(const rf_tokenizer *tokenizer, int32_t id) {
    return is_id(tokenizer, id) ? (rf_token_type)tokenizer->vocab.type[id] : RF_TOKEN_UNDEFINED;
}

rf_str rf_tokenizer_text(const rf_tokenizer *tokenizer, int32_t id) {
    return is_id(tokenizer, id) ? rf_vocab_text(&tokenizer->vocab, (uint32_t)id) : (rf_str){0};
}

rf_str rf_tokenizer_piece(const rf_tokenizer *tokenizer, int32_t id) {
    return is_id(tokenizer, id) ? rf_vocab_piece(&tokenizer->vocab, (uint32_t)id) : (rf_str){0};
}

int32_t rf_tokenizer_find(const rf_tokenizer *tokenizer, rf_str text) {
    return rf_vocab_find(&tokenizer->vocab, text);
}

void rf_tokens_deinit(rf_tokens *tokens) {
    rf_free(tokens->ids);
    *tokens = (rf_tokens){0};
}

bool rf_tokens_grow(rf_tokens *tokens, size_t extra) {
    size_t cap = tokens->cap + tokens->cap / 2 + 64 + extra;
    int32_t *ids = rf_realloc_array(tokens->ids, cap, sizeof *ids);
    if (!ids)
        return false;
    tokens->ids = ids;
    tokens->cap = cap;
    return true;
}

bool rf_tokens_push(rf_tokens *tokens, int32_t id) {
    if (!rf_tokens_reserve(tokens, 1))
        return false;
    tokens->ids[tokens->n++] = id;
    return true;
}

static bool push_if_any(rf_tokens *out, int32_t id) { return id < 0 || rf_tokens_push(out, id); }

static bool encode(const rf_tokenizer *tokenizer, rf_str text, rf_encode_options options,
                   rf_encode_scratch *scratch, rf_tokens *out) {
    const rf_vocab *vocab = &tokenizer->vocab;
    if (options.add_special && !push_if_any(out, vocab->begin_id))
        return false;
    for (size_t at = 0; at < text.len;) {
        rf_special_match found =
            rf_special_tokens_next(&tokenizer->special, text, at, options.parse_special);
        rf_str fragment = rf_str_sub(text, at, found.start);
        if (fragment.len > 0 && !tokenizer->model->encode(tokenizer, fragment, scratch, out))
            return false;
        if (!push_if_any(out, found.id))
            return false;
        at = found.end;
    }
    return !options.add_special || push_if_any(out, vocab->end_id);
}

rf_status rf_tokenizer_encode(const rf_tokenizer *tokenizer, rf_str text, rf_encode_options options,
                              rf_tokens *out, rf_error *err) {
    if (text.len > MAX_TEXT_BYTES)
        return rf_fail(err, RF_ERR_LIMIT, "text: found %zu bytes, expected at most %d", text.len,
                       MAX_TEXT_BYTES);
    size_t valid = rf_utf8_valid_prefix(text.ptr, text.len);
    if (valid < text.len)
        return rf_fail(err, RF_ERR_INVALID, "text: byte %zu: found 0x%02x, expected valid UTF-8",
                       valid, (unsigned char)text.ptr[valid]);
    rf_encode_scratch scratch = {0};
    rf_buf_init(&scratch.text, SIZE_MAX);
    rf_buf_init(&scratch.word, SIZE_MAX);
    rf_word_cache_init(&scratch.cache, text.len, tokenizer->vocab.seed);
    size_t n_before = out->n;
    bool done = encode(tokenizer, text, options, &scratch, out);
    rf_buf_deinit(&scratch.text);
    rf_buf_deinit(&scratch.word);
    rf_merger_deinit(&scratch.merger);
    rf_word_cache_deinit(&scratch.cache);
    rf_free(scratch.pairs);
    rf_lattice_deinit(&scratch.lattice);
    if (done)
        return RF_OK;
    out->n = n_before;
    return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory to encode %zu bytes", text.len);
}
