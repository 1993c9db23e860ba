#include "model/model.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/map.h"
#include "model/builder.h"

enum { ARENA_MAX_BYTES = 64 << 20, DEFAULT_CTX = 4096 };

struct rf_model {
    rf_arena arena; /* owns the program's arrays and the hyper-parameters' */
    rf_hparams hp;
    rf_program program;
    rf_model_info info;
};

static const rf_arch *const archs[] = {
#define X(name) &rf_arch_##name,
#include "model/archs.def"
#undef X
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

const char *rf_model_arch_name(size_t i) { return i < N_ARCHS ? archs[i]->name : NULL; }

uint32_t rf_model_default_ctx(const rf_gguf *gguf) {
    rf_str arch;
    rf_error ignored = {0};
    char key[160];
    uint32_t trained = 0;
    if (rf_gguf_get_str(gguf, "general.architecture", &arch, &ignored) != RF_OK)
        return DEFAULT_CTX;
    (void)snprintf(key, sizeof key, "%.*s.context_length", RF_STR_ARG(rf_str_sub(arch, 0, 128)));
    bool known = rf_gguf_get_u32(gguf, key, &trained, &ignored) == RF_OK && trained > 0;
    return known && trained < DEFAULT_CTX ? trained : DEFAULT_CTX;
}

static rf_status find_arch(const rf_gguf *gguf, const rf_arch **out, rf_error *err) {
    rf_str name = {0};
    RF_TRY(rf_gguf_get_str(gguf, "general.architecture", &name, err));
    for (size_t i = 0; i < N_ARCHS; i++) {
        if (rf_str_is(name, archs[i]->name)) {
            *out = archs[i];
            return RF_OK;
        }
    }
    char known[256];
    size_t at = 0;
    for (size_t i = 0; i < N_ARCHS; i++) {
        size_t n = strlen(archs[i]->name), comma = i ? 2 : 0;
        if (at + comma + n >= sizeof known)
            break;
        memcpy(known + at, ", ", comma);
        memcpy(known + at + comma, archs[i]->name, n);
        at += comma + n;
    }
    return rf_fail(
        err, RF_ERR_UNSUPPORTED,
        "key \"general.architecture\" at byte %llu: found \"%.*s\", expected one that "
        "this build knows: %.*s",
        (unsigned long long)rf_gguf_find_key(gguf, RF_STR("general.architecture"))->offset,
        RF_STR_ARG(name), (int)at, known);
}

/* The embedding's rows, which the tokenizer must have a token for each of. */
static rf_status find_n_vocab(const rf_gguf *gguf, uint32_t *out, rf_error *err) {
    const rf_gguf_tensor *embd = rf_gguf_find_tensor(gguf, RF_STR("token_embd.weight"));
    if (!embd)
        return rf_fail(err, RF_ERR_INVALID,
                       "tensor \"token_embd.weight\": found none, expected [n_embd, n_vocab]");
    uint64_t n = embd->ne[1];
    if (n == 0 || n > INT32_MAX)
        return rf_fail(
            err, RF_ERR_INVALID,
            "tensor \"token_embd.weight\" at byte %llu: found %llu rows, expected 1 to %d",
            (unsigned long long)embd->offset, (unsigned long long)n, INT32_MAX);
    const rf_gguf_key *tokens = rf_gguf_find_key(gguf, RF_STR("tokenizer.ggml.tokens"));
    if (tokens && tokens->type == RF_GGUF_ARRAY && tokens->n_items != n)
        return rf_fail(
            err, RF_ERR_INVALID,
            "tensor \"token_embd.weight\" at byte %llu: found %llu rows, expected one for "
            "each of the %llu tokens of key \"tokenizer.ggml.tokens\"",
            (unsigned long long)embd->offset, (unsigned long long)n,
            (unsigned long long)tokens->n_items);
    *out = (uint32_t)n;
    return RF_OK;
}

/* A tensor that nothing reads may mean a variant that this build does not know. */
static void warn_unused(const rf_gguf *gguf, const rf_builder *b) {
    size_t n_tensors = rf_gguf_n_tensors(gguf);
    if (n_tensors <= b->n_tensors_bound)
        return;
    rf_map bound;
    rf_map_init(&bound);
    bool whole = rf_map_reserve(&bound, b->program->n_weights);
    for (uint32_t i = 0; whole && i < b->program->n_weights; i++)
        whole = rf_map_put(&bound, b->weights[i].name, i, NULL);
    for (size_t i = 0; whole && i < n_tensors; i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(gguf, i);
        if (!rf_map_get(&bound, tensor->name, &(uint32_t){0})) {
            rf_log(RF_LOG_WARN, "model", "%zu tensors are not used, %.*s the first",
                   n_tensors - b->n_tensors_bound, RF_STR_ARG(tensor->name));
            break;
        }
    }
    rf_map_deinit(&bound);
}

static void fill_info(rf_model *model, const rf_builder *b) {
    const rf_hparams *hp = &model->hp;
    model->info = (rf_model_info){.arch = hp->arch,
                                  .name = model->info.name,
                                  .n_layer = hp->n_layer,
                                  .n_embd = hp->n_embd,
                                  .n_head = hp->n_head[0],
                                  .n_head_kv = hp->n_head_kv[0],
                                  .head_dim = hp->head_dim,
                                  .n_ff = hp->n_ff[0],
                                  .n_vocab = b->n_vocab,
                                  .n_ctx_train = hp->n_ctx_train,
                                  .n_expert = hp->n_expert,
                                  .n_expert_used = hp->n_expert_used,
                                  .n_params = b->n_params,
                                  .weights_bytes = b->weights_bytes};
}

static rf_status build(rf_model *model, const rf_gguf *gguf, const rf_model_options *options,
                       rf_error *err) {
    const rf_arch *arch = NULL;
    RF_TRY(find_arch(gguf, &arch, err));
    rf_status named = rf_gguf_get_str(gguf, "general.name", &model->info.name, err);
    if (named != RF_OK && named != RF_ERR_NOT_FOUND)
        return named;
    rf_hparams_init(&model->hp, arch->name);
    if (arch->defaults)
        arch->defaults(&model->hp);
    RF_TRY(rf_hparams_read(gguf, &model->arena, &model->hp, err));
    rf_builder b = {.gguf = gguf,
                    .hp = &model->hp,
                    .arena = &model->arena,
                    .err = err,
                    .n_ctx = options && options->n_ctx ? options->n_ctx : model->hp.n_ctx_train,
                    .allow_slow_types = options && options->allow_slow_types,
                    .program = &model->program,
                    .token_embd = RF_NONE};
    RF_TRY(find_n_vocab(gguf, &b.n_vocab, err));
    RF_TRY(rf_builder_init(&b));
    RF_TRY(arch->emit(&b));
    rf_builder_finish(&b);
    fill_info(model, &b);
    warn_unused(gguf, &b);
    if (b.n_ctx > model->hp.n_ctx_train)
        rf_log(RF_LOG_WARN, "model", "context of %u tokens, but the model was trained for %u",
               b.n_ctx, model->hp.n_ctx_train);
    return RF_OK;
}

rf_status rf_model_create(const rf_gguf *gguf, const rf_model_options *options, rf_model **out,
                          rf_error *err) {
    *out = NULL;
    rf_model *model = rf_calloc(1, sizeof *model);
    if (!model)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the model");
    rf_arena_init(&model->arena, ARENA_MAX_BYTES);
    rf_status status = build(model, gguf, options, err);
    if (status != RF_OK) {
        rf_model_destroy(model);
        /* Errors of typed lookups have the path already. */
        rf_str path = rf_str_of(rf_gguf_path(gguf));
        if (err && !rf_str_starts(rf_str_of(err->text), path))
            (void)rf_fail_prefix(err, "%.*s", RF_STR_ARG(path));
        return status;
    }
    *out = model;
    return RF_OK;
}

void rf_model_destroy(rf_model *model) {
    if (!model)
        return;
    rf_arena_deinit(&model->arena);
    rf_free(model);
}

const rf_program *rf_model_program(const rf_model *model) { return &model->program; }

const rf_model_info *rf_model_get_info(const rf_model *model) { return &model->info; }
