#include "model/hparams.h"

#include <stddef.h>
#include <stdio.h>

enum { KEY_BYTES = 128, PLACE_BYTES = 32 };

typedef enum key_kind { KIND_U32, KIND_F32, KIND_BOOL, KIND_LAYERS } key_kind;

typedef struct key_row {
    key_kind kind;
    const char *suffix;
    bool required;
    double fallback, min, max;
    size_t offset; /* of the field in rf_hparams */
} key_row;

static const key_row rows[] = {
#define X(kind, field, key, required, fallback, min, max) \
    {KIND_##kind, key, required, fallback, min, max, offsetof(rf_hparams, field)},
#include "model/hparams.def"
#undef X
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

typedef struct reader {
    const rf_gguf *gguf;
    rf_arena *arena;
    rf_hparams *hp;
    rf_error *err;
    char key[KEY_BYTES];     /* the key being read */
    char place[PLACE_BYTES]; /* " at byte N", or empty where the file has no such key */
} reader;

static void set_scalar(rf_hparams *hp, const key_row *row, double value) {
    char *field = (char *)hp + row->offset;
    if (row->kind == KIND_U32)
        *(uint32_t *)(void *)field = (uint32_t)value;
    else if (row->kind == KIND_F32)
        *(float *)(void *)field = (float)value;
    else if (row->kind == KIND_BOOL)
        *(bool *)(void *)field = value != 0;
}

void rf_hparams_init(rf_hparams *out, const char *arch) {
    *out = (rf_hparams){.arch = arch};
    for (size_t i = 0; i < N_ROWS; i++)
        set_scalar(out, &rows[i], rows[i].fallback);
}

static const rf_gguf_key *find(reader *r, const char *suffix) {
    (void)snprintf(r->key, sizeof r->key, "%s.%s", r->hp->arch, suffix);
    const rf_gguf_key *key = rf_gguf_find_key(r->gguf, rf_str_of(r->key));
    r->place[0] = 0;
    if (key)
        (void)snprintf(r->place, sizeof r->place, " at byte %llu", (unsigned long long)key->offset);
    return key;
}

static rf_status missing(reader *r) {
    return rf_fail(r->err, RF_ERR_INVALID,
                   "key \"%s\": found none, but expected it in every %s model", r->key,
                   r->hp->arch);
}

/* Written so that NaN is outside. */
static rf_status check_range(reader *r, const key_row *row, double value) {
    if (value >= row->min && value <= row->max)
        return RF_OK;
    return rf_fail(r->err, RF_ERR_INVALID,
                   "key \"%s\"%s: found %.10g, expected a value from %.10g to %.10g", r->key,
                   r->place, value, row->min, row->max);
}

static rf_status read_scalar(reader *r, const key_row *row) {
    const rf_gguf_key *key = find(r, row->suffix);
    if (!key)
        return row->required ? missing(r) : RF_OK;
    double value = 0;
    if (row->kind == KIND_U32) {
        uint32_t n = 0;
        RF_TRY(rf_gguf_get_u32(r->gguf, r->key, &n, r->err));
        value = n;
    } else if (row->kind == KIND_F32) {
        float f = 0;
        RF_TRY(rf_gguf_get_f32(r->gguf, r->key, &f, r->err));
        value = (double)f;
    } else {
        bool b = false;
        RF_TRY(rf_gguf_get_bool(r->gguf, r->key, &b, r->err));
        value = b;
    }
    RF_TRY(check_range(r, row, value));
    set_scalar(r->hp, row, value);
    return RF_OK;
}

static bool is_integer(rf_gguf_type type) {
    return type != RF_GGUF_F32 && type != RF_GGUF_F64 && type != RF_GGUF_STRING &&
           type != RF_GGUF_ARRAY && type != RF_GGUF_BOOL;
}

/* A scalar or an array with one item a layer, of integers (or flags). */
static rf_status check_layers(reader *r, const rf_gguf_key *key, bool flags) {
    bool is_array = key->type == RF_GGUF_ARRAY;
    rf_gguf_type item = is_array ? key->item_type : key->type;
    if (!is_integer(item) && !(flags && item == RF_GGUF_BOOL))
        return rf_fail(r->err, RF_ERR_INVALID,
                       "key \"%s\"%s: found %s%s, expected an integer or an array of "
                       "integers",
                       r->key, r->place, is_array ? "an array of " : "", rf_gguf_type_name(item));
    if (is_array && key->n_items != r->hp->n_layer)
        return rf_fail(r->err, RF_ERR_INVALID,
                       "key \"%s\"%s: found %llu items, expected one for each of the %u "
                       "layers",
                       r->key, r->place, (unsigned long long)key->n_items, r->hp->n_layer);
    return RF_OK;
}

static rf_status new_layers(reader *r, uint32_t **out) {
    *out = RF_ARENA_ARRAY(r->arena, uint32_t, r->hp->n_layer);
    if (!*out)
        return rf_fail(r->err, RF_ERR_NO_MEMORY, "out of memory for the hyper-parameters");
    return RF_OK;
}

static rf_status read_layers(reader *r, const key_row *row) {
    uint32_t **field = (uint32_t **)(void *)((char *)r->hp + row->offset);
    RF_TRY(new_layers(r, field));
    const rf_gguf_key *key = find(r, row->suffix);
    if (!key)
        return row->required ? missing(r) : RF_OK;
    RF_TRY(check_layers(r, key, false));
    for (uint32_t i = 0; i < r->hp->n_layer; i++) {
        int64_t value = rf_gguf_item_int(key, key->type == RF_GGUF_ARRAY ? i : 0);
        RF_TRY(check_range(r, row, (double)value));
        (*field)[i] = (uint32_t)value;
    }
    return RF_OK;
}

static rf_status read_windows(reader *r) {
    rf_hparams *hp = r->hp;
    RF_TRY(new_layers(r, &hp->layer_window));
    if (!hp->windowed || hp->window == 0)
        return RF_OK;
    uint32_t period = hp->window_period;
    const rf_gguf_key *key = find(r, "attention.sliding_window_pattern");
    if (key) {
        RF_TRY(check_layers(r, key, true));
        int64_t value = rf_gguf_item_int(key, 0);
        if (key->type != RF_GGUF_ARRAY && (value < 0 || value > INT32_MAX))
            return rf_fail(r->err, RF_ERR_INVALID,
                           "key \"%s\"%s: found %lld, expected a period from 0 to %d", r->key,
                           r->place, (long long)value, INT32_MAX);
        period = (uint32_t)value;
    }
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        bool local = key && key->type == RF_GGUF_ARRAY ? rf_gguf_item_int(key, i) != 0
                                                       : period == 0 || i % period < period - 1;
        hp->layer_window[i] = local ? hp->window : 0;
    }
    return RF_OK;
}

static rf_status read_rope_scaling(reader *r) {
    static const char *const names[RF_ROPE_SCALING_COUNT] = {"none", "linear", "yarn", "longrope"};
    rf_hparams *hp = r->hp;
    if (hp->rope_factor == 0)
        hp->rope_factor = hp->rope_scale_linear;
    hp->rope_scaling = hp->rope_factor != 0 ? RF_ROPE_SCALING_LINEAR : RF_ROPE_SCALING_NONE;
    const rf_gguf_key *key = find(r, "rope.scaling.type");
    if (!key)
        return RF_OK;
    rf_str type = {0};
    RF_TRY(rf_gguf_get_str(r->gguf, r->key, &type, r->err));
    for (unsigned i = 0; i < RF_ROPE_SCALING_COUNT; i++) {
        if (rf_str_is(type, names[i])) {
            hp->rope_scaling = (rf_rope_scaling)i;
            return RF_OK;
        }
    }
    return rf_fail(r->err, RF_ERR_UNSUPPORTED,
                   "key \"%s\"%s: found \"%.*s\", expected none, linear, yarn or longrope", r->key,
                   r->place, RF_STR_ARG(type));
}

static rf_status derive_heads(reader *r) {
    rf_hparams *hp = r->hp;
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        if (hp->n_head_kv[i] == 0)
            hp->n_head_kv[i] = hp->n_head[i];
        if (hp->n_head[i] % hp->n_head_kv[i] == 0)
            continue;
        (void)find(r, "attention.head_count_kv");
        return rf_fail(r->err, RF_ERR_INVALID,
                       "key \"%s\"%s: found %u for layer %u, expected a divisor of the %u heads",
                       r->key, r->place, hp->n_head_kv[i], i, hp->n_head[i]);
    }
    if ((hp->head_dim == 0 || hp->head_dim_v == 0) && hp->n_embd % hp->n_head[0] != 0) {
        (void)find(r, "attention.head_count");
        return rf_fail(r->err, RF_ERR_INVALID,
                       "key \"%s\"%s: found %u, expected a divisor of the embedding length %u, as "
                       "%s.attention.%s_length is absent",
                       r->key, r->place, hp->n_head[0], hp->n_embd, hp->arch,
                       hp->head_dim == 0 ? "key" : "value");
    }
    if (hp->head_dim == 0)
        hp->head_dim = hp->n_embd / hp->n_head[0];
    if (hp->head_dim_v == 0)
        hp->head_dim_v = hp->n_embd / hp->n_head[0];
    if (hp->n_rot == 0)
        hp->n_rot = hp->head_dim;
    if (hp->n_rot > hp->head_dim || hp->n_rot % 2 != 0) {
        (void)find(r, "rope.dimension_count");
        return rf_fail(r->err, RF_ERR_INVALID,
                       "key \"%s\"%s: found %u, expected an even number up to the head size %u",
                       r->key, r->place, hp->n_rot, hp->head_dim);
    }
    return RF_OK;
}

static rf_status derive_experts(reader *r) {
    rf_hparams *hp = r->hp;
    if (hp->n_expert_used > hp->n_expert || (hp->n_expert > 0 && hp->n_expert_used == 0)) {
        (void)find(r, "expert_used_count");
        return rf_fail(r->err, RF_ERR_INVALID, "key \"%s\"%s: found %u of %u experts, expected %s",
                       r->key, r->place, hp->n_expert_used, hp->n_expert,
                       hp->n_expert ? "from 1 to all of them" : "0 in a model without experts");
    }
    if (hp->n_ff_exp == 0 && hp->n_expert > 0)
        hp->n_ff_exp = hp->expert_ff_is_a_share ? hp->n_ff[0] / hp->n_expert_used : hp->n_ff[0];
    if (hp->n_ff_shexp == 0)
        hp->n_ff_shexp = hp->n_ff[0];
    return RF_OK;
}

rf_status rf_hparams_read(const rf_gguf *gguf, rf_arena *arena, rf_hparams *out, rf_error *err) {
    reader r = {.gguf = gguf, .arena = arena, .hp = out, .err = err};
    for (size_t i = 0; i < N_ROWS; i++) {
        RF_TRY(rows[i].kind == KIND_LAYERS ? read_layers(&r, &rows[i]) : read_scalar(&r, &rows[i]));
        /* Bounds what n_layer allocates by what the file holds. */
        if (i == 0 && out->n_layer > rf_gguf_n_tensors(gguf))
            return rf_fail(err, RF_ERR_INVALID,
                           "key \"%s\"%s: found %u layers, expected at most one for each of "
                           "the file's %zu tensors",
                           r.key, r.place, out->n_layer, rf_gguf_n_tensors(gguf));
    }
    RF_TRY(read_windows(&r));
    RF_TRY(read_rope_scaling(&r));
    RF_TRY(derive_heads(&r));
    return derive_experts(&r);
}
