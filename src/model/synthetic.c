#include "model/synthetic.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/free_memory.h"
#include "gguf/writer.h"
#include "model/hparams.h"
#include "model/synthetic_weights.h"

enum { KEY_BYTES = 96, NAME_BYTES = 64, QUANTIZATION_VERSION = 2 };

/* As rf_hparams, with one number for all layers; 0 is a key that the file leaves out. */
#define SHAPE_U32    uint32_t
#define SHAPE_F32    float
#define SHAPE_BOOL   bool
#define SHAPE_LAYERS uint32_t
typedef struct rf_shape_hparams {
#define X(kind, field, key, required, fallback, min, max) SHAPE_##kind field;
#include "model/hparams.def"
#undef X
} rf_shape_hparams;

/* What a model has beyond, or instead of, a plain decoder. */
enum {
    PART_OUTPUT = 1,
    PART_QK_NORM = 2,
    PART_POST_NORM = 4,
    PART_ROPE_FREQS = 8,
    PART_DENSE = 16, /* by the number of experts */
    PART_EXPERTS = 32
};

typedef struct shape {
    const char *name, *arch;
    unsigned parts;
    uint32_t n_vocab;
    rf_shape_hparams hp;
} shape;

static const shape shapes[] = {
#define X(name, arch, parts, n_vocab, ...) {name, arch, parts, n_vocab, {__VA_ARGS__}},
#include "model/shapes.def"
#undef X
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

typedef enum dim_id {
#define X(id, text, value) DIM_##id,
#include "model/dims.def"
#undef X
    DIM_COUNT
} dim_id;

typedef enum tensor_id {
#define X(id, name, n_dims, d0, d1, d2, required) TENSOR_##id,
#include "model/tensors.def"
#undef X
    TENSOR_COUNT
} tensor_id;

static const struct {
    const char *name;
    uint32_t n_dims;
    dim_id dims[3];
} rows[TENSOR_COUNT] = {
#define X(id, name, n_dims, d0, d1, d2, required) {name, n_dims, {DIM_##d0, DIM_##d1, DIM_##d2}},
#include "model/tensors.def"
#undef X
};

/* The tensors in the order of the file; a part that they need, or 0. */
typedef struct tensor_use {
    tensor_id id;
    unsigned part;
} tensor_use;

static const tensor_use outside_layers[] = {{TENSOR_TOKEN_EMBD, 0},
                                            {TENSOR_OUTPUT_NORM, 0},
                                            {TENSOR_OUTPUT, PART_OUTPUT},
                                            {TENSOR_ROPE_FREQS, PART_ROPE_FREQS}};
static const tensor_use in_layers[] = {
    {TENSOR_ATTN_NORM, 0},
    {TENSOR_ATTN_Q, 0},
    {TENSOR_ATTN_K, 0},
    {TENSOR_ATTN_V, 0},
    {TENSOR_ATTN_Q_NORM, PART_QK_NORM},
    {TENSOR_ATTN_K_NORM, PART_QK_NORM},
    {TENSOR_ATTN_OUTPUT, 0},
    {TENSOR_ATTN_POST_NORM, PART_POST_NORM},
    {TENSOR_FFN_NORM, 0},
    {TENSOR_FFN_GATE, PART_DENSE},
    {TENSOR_FFN_UP, PART_DENSE},
    {TENSOR_FFN_DOWN, PART_DENSE},
    {TENSOR_FFN_POST_NORM, PART_POST_NORM},
    {TENSOR_FFN_ROUTER, PART_EXPERTS},
    {TENSOR_FFN_GATE_EXPS, PART_EXPERTS},
    {TENSOR_FFN_UP_EXPS, PART_EXPERTS},
    {TENSOR_FFN_DOWN_EXPS, PART_EXPERTS},
};

/* ---- what is asked for ---- */

const char *rf_synthetic_shape_name(uint32_t i) { return i < N_SHAPES ? shapes[i].name : NULL; }

static rf_status no_such_shape(rf_str name, rf_error *err) {
    char names[256];
    size_t at = 0;
    for (uint32_t i = 0; i < N_SHAPES && at < sizeof names; i++)
        at +=
            (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", shapes[i].name);
    return rf_fail(err, RF_ERR_USAGE, "found shape \"%.*s\", expected one of %s", RF_STR_ARG(name),
                   names);
}

rf_status rf_synthetic_parse(rf_str text, rf_synthetic_spec *out, rf_error *err) {
    const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    if (!colon)
        return rf_fail(err, RF_ERR_USAGE,
                       "found \"%.*s\", expected SHAPE:TYPE as llama3.2-1b:q4_k_m",
                       RF_STR_ARG(text));
    rf_str name = rf_str_sub(text, 0, (size_t)(colon - text.ptr));
    rf_str type = rf_str_sub(text, name.len + 1, text.len);
    uint32_t i = 0;
    while (i < N_SHAPES && (strlen(shapes[i].name) != name.len ||
                            strncasecmp(shapes[i].name, name.ptr, name.len) != 0))
        i++;
    if (i == N_SHAPES)
        return no_such_shape(name, err);
    out->shape = i;
    return rf_mix_parse(type, &out->mix, err);
}

/* ---- the header ---- */

typedef struct making {
    const rf_synthetic_options *options;
    const shape *shape;
    const char *name; /* for messages and general.name */
    rf_mix mix;
    rf_gguf *infos;         /* owned: the same tensors in F32, all of them holes */
    rf_mix_choice *choices; /* owned; NULL while infos is made */
    rf_gguf_writer *writer; /* owned */
    rf_weight_pool pool;
    uint64_t total_bytes, done_bytes;
} making;

static void put_key_U32(rf_gguf_writer *writer, const char *key, uint32_t value) {
    if (value != 0)
        rf_gguf_writer_u32(writer, key, value);
}
#define put_key_LAYERS put_key_U32

static void put_key_F32(rf_gguf_writer *writer, const char *key, float value) {
    if (value != 0)
        rf_gguf_writer_f32(writer, key, value);
}

static void put_key_BOOL(rf_gguf_writer *writer, const char *key, bool value) {
    if (value)
        rf_gguf_writer_bool(writer, key, value);
}

static void put_keys(making *m) {
    const shape *s = m->shape;
    rf_shape_hparams hp = s->hp;
    hp.head_dim_v = hp.n_rot = hp.head_dim;
    char key[KEY_BYTES];
    rf_gguf_writer_str(m->writer, "general.architecture", rf_str_of(s->arch));
    rf_gguf_writer_str(m->writer, "general.name", rf_str_of(m->name));
    rf_gguf_writer_u32(m->writer, "general.quantization_version", QUANTIZATION_VERSION);
    rf_gguf_writer_u32(m->writer, "general.file_type", rf_mix_file_type(m->mix));
#define X(kind, field, suffix, required, fallback, min, max)      \
    (void)snprintf(key, sizeof key, "%s.%s", s->arch, "" suffix); \
    put_key_##kind(m->writer, key, hp.field);
#include "model/hparams.def"
#undef X
    (void)snprintf(key, sizeof key, "%s.vocab_size", s->arch);
    rf_gguf_writer_u32(m->writer, key, s->n_vocab);
    rf_gguf_writer_str(m->writer, "tokenizer.ggml.model", RF_STR("no_vocab"));
}

static uint64_t dim_value(const shape *s, dim_id dim) {
    uint32_t n_head = s->hp.n_head, n_head_kv = s->hp.n_head_kv, n_ff = s->hp.n_ff, layer = 0;
    uint64_t n_vocab = s->n_vocab;
    const rf_hparams known = {.n_embd = s->hp.n_embd,
                              .n_head = &n_head,
                              .n_head_kv = &n_head_kv,
                              .n_ff = &n_ff,
                              .head_dim = s->hp.head_dim,
                              .head_dim_v = s->hp.head_dim,
                              .n_rot = s->hp.head_dim,
                              .n_expert = s->hp.n_expert,
                              .n_ff_exp = s->hp.n_ff_exp},
                     *hp = &known;
    const uint64_t values[] = {
#define X(id, text, value) value,
#include "model/dims.def"
#undef X
    };
    return values[dim];
}

static rf_qtype type_of(const making *m, size_t i_tensor) {
    return m->choices && !m->choices[i_tensor].keep ? m->choices[i_tensor].type : RF_QTYPE_F32;
}

static rf_status put_tensor(making *m, tensor_id id, uint32_t layer, size_t i_tensor,
                            rf_error *err) {
    char name[NAME_BYTES];
    uint64_t ne[RF_GGUF_MAX_DIMS], row_bytes, n_rows = 1;
    rf_qtype type = type_of(m, i_tensor);
    if (rows[id].name[0] == '.')
        (void)snprintf(name, sizeof name, "blk.%" PRIu32 "%s", layer, rows[id].name);
    else
        (void)snprintf(name, sizeof name, "%s", rows[id].name);
    for (uint32_t d = 0; d < rows[id].n_dims; d++) {
        ne[d] = dim_value(m->shape, rows[id].dims[d]);
        n_rows *= d > 0 ? ne[d] : 1;
    }
    if (!rf_qtype_row_bytes(type, ne[0], &row_bytes))
        return rf_fail(err, RF_ERR_INTERNAL, "%s: rows of another length than the type's", name);
    m->total_bytes += n_rows * row_bytes;
    rf_gguf_writer_tensor(m->writer, rf_str_of(name), rf_qtype_get(type)->gguf_id, rows[id].n_dims,
                          ne, NULL, n_rows * row_bytes);
    return RF_OK;
}

static rf_status put_uses(making *m, const tensor_use *uses, size_t n, uint32_t layer,
                          size_t *i_tensor, rf_error *err) {
    unsigned parts = m->shape->parts | (m->shape->hp.n_expert ? PART_EXPERTS : PART_DENSE);
    for (size_t i = 0; i < n; i++)
        if ((uses[i].part & ~parts) == 0)
            RF_TRY(put_tensor(m, uses[i].id, layer, (*i_tensor)++, err));
    return RF_OK;
}

static rf_status put_header(making *m, rf_error *err) {
    size_t i_tensor = 0;
    m->total_bytes = 0;
    RF_TRY(rf_gguf_writer_create(0, &m->writer, err));
    put_keys(m);
    RF_TRY(put_uses(m, outside_layers, sizeof outside_layers / sizeof *outside_layers, 0, &i_tensor,
                    err));
    for (uint32_t layer = 0; layer < m->shape->hp.n_layer; layer++)
        RF_TRY(put_uses(m, in_layers, sizeof in_layers / sizeof *in_layers, layer, &i_tensor, err));
    return RF_OK;
}

/* ---- the weights ---- */

/* Llama 3.2's scaling of rotary frequencies (rope_scaling in its config.json: factor 32, low 1,
 * high 4, over 8192 positions) as divisors, which is how GGUF has it. */
static rf_status write_rope_freqs(const shape *s, rf_outfile *file, rf_error *err) {
    const double two_pi = 6.283185307179586, factor = 32, low = 1, high = 4, trained = 8192;
    for (uint32_t i = 0; i < s->hp.head_dim / 2; i++) {
        double turns = trained / (two_pi * pow((double)s->hp.rope_base, 2.0 * i / s->hp.head_dim));
        double smooth = (turns - low) / (high - low);
        smooth = smooth < 0 ? 0 : smooth > 1 ? 1 : smooth;
        float divisor = (float)(1 / ((1 - smooth) / factor + smooth));
        RF_TRY(rf_outfile_write(file, &divisor, sizeof divisor, err));
    }
    return RF_OK;
}

static rf_status produce_hole(void *user, size_t i_tensor, rf_outfile *file, rf_error *err) {
    (void)user;
    (void)i_tensor;
    (void)file;
    (void)err;
    return RF_OK;
}

static rf_status produce(void *user, size_t i_tensor, rf_outfile *file, rf_error *err) {
    making *m = user;
    const rf_gguf_tensor *info = rf_gguf_tensor_at(m->infos, i_tensor);
    rf_qtype type = type_of(m, i_tensor);
    uint64_t row_bytes, n_rows = info->n_elements / info->ne[0];
    if (!rf_qtype_row_bytes(type, info->ne[0], &row_bytes))
        return rf_fail(err, RF_ERR_INTERNAL, "rows of another length than the type's");
    m->done_bytes += n_rows * row_bytes;
    if (m->options->progress &&
        !m->options->progress(m->options->user, m->done_bytes, m->total_bytes))
        return rf_fail(err, RF_ERR_INTERRUPTED, "%s: making it was interrupted", m->name);
    if (rf_str_is(info->name, rows[TENSOR_ROPE_FREQS].name))
        return write_rope_freqs(m->shape, file, err);
    if (info->n_dims == 1)
        return rf_weight_pool_norm(info->ne[0], i_tensor, file, err);
    if (m->options->hollow)
        return rf_outfile_skip(file, n_rows * row_bytes, err);
    return rf_weight_pool_matrix(&m->pool, type, info->n_elements, i_tensor, file, err);
}

static rf_status check_memory(const making *m, rf_error *err) {
    uint64_t available = rf_free_memory(), needed = 2 * m->total_bytes;
    if (m->options->hollow || needed <= available)
        return RF_OK;
    return rf_fail(err, RF_ERR_LIMIT,
                   "%s: needs %" PRIu64 " bytes of memory (%" PRIu64
                   " of weights, once as a file and once as they are packed), found %" PRIu64
                   " available",
                   m->name, needed, m->total_bytes, available);
}

static rf_status make(making *m, const char *path, rf_gguf **out, rf_error *err) {
    RF_TRY(put_header(m, err));
    rf_gguf_writer_produce(m->writer, produce_hole, NULL);
    RF_TRY(rf_gguf_writer_memory(m->writer, m->name, true, &m->infos, err));
    rf_gguf_writer_destroy(m->writer);
    m->writer = NULL;
    rf_mix_choice *choices = rf_calloc(rf_gguf_n_tensors(m->infos), sizeof *choices);
    if (!choices)
        return rf_fail(err, RF_ERR_NO_MEMORY, "%s: no memory for its list of tensors", m->name);
    m->choices = choices;
    RF_TRY(rf_mix_choose(m->infos, &(rf_mix_options){.mix = m->mix}, choices, err));
    RF_TRY(put_header(m, err));
    m->pool.deviation = 1 / sqrtf((float)m->shape->hp.n_embd);
    rf_gguf_writer_produce(m->writer, produce, m);
    if (path)
        return rf_gguf_writer_finish(m->writer, path, err);
    RF_TRY(check_memory(m, err));
    return rf_gguf_writer_memory(m->writer, m->name, false, out, err);
}

static rf_status run(const rf_synthetic_spec *spec, const rf_synthetic_options *options,
                     const char *path, rf_gguf **out, rf_error *err) {
    static const rf_synthetic_options plain;
    char name[NAME_BYTES];
    making m = {.options = options ? options : &plain,
                .shape = &shapes[spec->shape],
                .name = name,
                .mix = spec->mix};
    (void)snprintf(name, sizeof name, "%s:%s", m.shape->name, rf_mix_name(spec->mix));
    rf_status status = make(&m, path, out, err);
    rf_weight_pool_deinit(&m.pool);
    rf_gguf_writer_destroy(m.writer);
    rf_free(m.choices);
    rf_gguf_close(m.infos);
    return status;
}

rf_status rf_synthetic_open(const rf_synthetic_spec *spec, const rf_synthetic_options *options,
                            rf_gguf **out, rf_error *err) {
    return run(spec, options, NULL, out, err);
}

rf_status rf_synthetic_write(const rf_synthetic_spec *spec, const rf_synthetic_options *options,
                             const char *path, rf_error *err) {
    return run(spec, options, path, NULL, err);
}
