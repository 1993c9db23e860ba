#include <inttypes.h>

#include "base/alloc.h"
#include "base/log.h"
#include "tokenizer/vocab.h"

/* The id at key, into *role if it has none yet. */
static rf_status load_role(const rf_vocab *vocab, const rf_gguf *gguf, const char *name,
                           int32_t *role, rf_error *err) {
    const rf_gguf_key *key = rf_gguf_find_key(gguf, rf_str_of(name));
    if (!key)
        return RF_OK;
    uint32_t id = 0;
    RF_TRY(rf_gguf_get_u32(gguf, name, &id, err));
    if (id >= vocab->n)
        return rf_fail(err, RF_ERR_INVALID,
                       "key %s at byte %" PRIu64 ": found token %" PRIu32
                       ", expected one of the vocabulary's %" PRIu32,
                       name, key->offset, id, vocab->n);
    if (*role < 0)
        *role = (int32_t)id;
    return RF_OK;
}

static rf_status load_flag(const rf_gguf *gguf, const char *name, bool *flag, rf_error *err) {
    return rf_gguf_find_key(gguf, rf_str_of(name)) ? rf_gguf_get_bool(gguf, name, flag, err)
                                                   : RF_OK;
}

/* Roles that only a text gives away; not for plain words that happen to look so. */
static void find_role(const rf_vocab *vocab, const char *text, int32_t *role) {
    if (*role >= 0)
        return;
    int32_t id = rf_vocab_find(vocab, rf_str_of(text));
    if (id >= 0)
        *role = id;
}

static bool in_list(const rf_vocab *vocab, int32_t id) {
    for (size_t i = 0; i < vocab->n_eog; i++)
        if (vocab->eog[i] == id)
            return true;
    return false;
}

static void add_eog(rf_vocab *vocab, int32_t id) {
    if (id >= 0 && !in_list(vocab, id))
        vocab->eog[vocab->n_eog++] = id;
}

static void drop_eog(rf_vocab *vocab, int32_t id) {
    size_t n = 0;
    for (size_t i = 0; i < vocab->n_eog; i++)
        if (vocab->eog[i] != id)
            vocab->eog[n++] = vocab->eog[i];
    vocab->n_eog = n;
}

static bool has(const rf_vocab *vocab, const char *text) {
    return rf_vocab_find(vocab, rf_str_of(text)) >= 0;
}

static rf_status find_eog(rf_vocab *vocab, rf_error *err) {
    static const char *const texts[] = {
#define X(text) text,
#include "tokenizer/eog_texts.def"
#undef X
    };
    enum { N_TEXTS = sizeof texts / sizeof *texts, N_ROLES = 3 };
    vocab->eog = rf_calloc(N_TEXTS + N_ROLES, sizeof *vocab->eog);
    if (!vocab->eog)
        return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory for the end tokens");
    for (size_t i = 0; i < N_TEXTS; i++)
        add_eog(vocab, rf_vocab_find(vocab, rf_str_of(texts[i])));
    /* In formats with channels <|end|> ends a message, not the turn; beside <|tool_response>,
     * </s> is markup. */
    bool channels = (has(vocab, "<|return|>") && has(vocab, "<|call|>")) ||
                    (has(vocab, "<|flush|>") && has(vocab, "<|calls|>"));
    if (channels)
        drop_eog(vocab, rf_vocab_find(vocab, RF_STR("<|end|>")));
    if (has(vocab, "<|tool_response>"))
        drop_eog(vocab, rf_vocab_find(vocab, RF_STR("</s>")));
    add_eog(vocab, vocab->roles.eos);
    if (!channels || vocab->roles.eot != rf_vocab_find(vocab, RF_STR("<|end|>")))
        add_eog(vocab, vocab->roles.eot);
    add_eog(vocab, vocab->roles.eom);
    return RF_OK;
}

/* A default that the vocabulary is too small for is none. */
static void use_default(const rf_vocab *vocab, int32_t *role, int32_t id) {
    if (*role < 0 && id >= 0 && (uint32_t)id < vocab->n)
        *role = id;
}

/* What add_special adds, with a warning where the file asks for a token that it does not name. */
static int32_t added_id(bool *wanted, int32_t id, const char *key) {
    if (*wanted && id < 0) {
        rf_log(RF_LOG_WARN, "tokenizer",
               "key %s is true, but the file names no such token: none is added", key);
        *wanted = false;
    }
    return *wanted ? id : -1;
}

rf_status rf_vocab_load_roles(rf_vocab *vocab, const rf_gguf *gguf, rf_role_defaults defaults,
                              rf_error *err) {
    rf_token_roles *roles = &vocab->roles;
    *roles = (rf_token_roles){
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, defaults.add_bos, defaults.add_eos};
#define X(role, key) RF_TRY(load_role(vocab, gguf, key, &roles->role, err));
#include "tokenizer/roles.def"
#undef X
    bool add_sep = false;
    RF_TRY(load_flag(gguf, "tokenizer.ggml.add_bos_token", &roles->add_bos, err));
    RF_TRY(load_flag(gguf, "tokenizer.ggml.add_eos_token", &roles->add_eos, err));
    RF_TRY(load_flag(gguf, "tokenizer.ggml.add_sep_token", &add_sep, err));
#define X(role, text) find_role(vocab, text, &roles->role);
#include "tokenizer/role_texts.def"
#undef X
    if (defaults.classifier) {
        use_default(vocab, &roles->cls, roles->bos);
        find_role(vocab, "[CLS]", &roles->cls);
        find_role(vocab, "[SEP]", &roles->sep);
        find_role(vocab, "[UNK]", &roles->unk);
        use_default(vocab, &roles->bos, roles->cls);
        use_default(vocab, &roles->eos, roles->sep);
        roles->add_bos = roles->cls >= 0;
        roles->add_eos = roles->sep >= 0;
        vocab->begin_id = roles->cls;
        vocab->end_id = roles->sep;
    } else {
        use_default(vocab, &roles->bos, defaults.bos);
        use_default(vocab, &roles->eos, defaults.eos);
        use_default(vocab, &roles->unk, defaults.unk);
        vocab->begin_id = added_id(&roles->add_bos, roles->bos, "tokenizer.ggml.add_bos_token");
        vocab->end_id = added_id(&roles->add_eos, roles->eos, "tokenizer.ggml.add_eos_token");
        if (vocab->end_id < 0 && add_sep)
            vocab->end_id = added_id(&add_sep, roles->sep, "tokenizer.ggml.add_sep_token");
    }
    return find_eog(vocab, err);
}
