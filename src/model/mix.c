#include "model/mix.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"

typedef enum tensor_role {
    ROLE_OTHER,
    ROLE_TOKEN_EMBD,
    ROLE_OUTPUT,
    ROLE_ATTN_V, /* and what holds v among others */
    ROLE_ATTN_K,
    ROLE_ATTN_OUTPUT,
    ROLE_FFN_DOWN
} tensor_role;

typedef enum rule_condition {
    IF_ALWAYS,
    IF_EIGHT_EXPERTS,
    IF_NOT_EIGHT_EXPERTS,
    IF_WIDE_GROUPS, /* four or more query heads share a head of v */
    IF_FIRST_TWO,
    IF_FIRST_FOUR,
    IF_FIRST_8TH,
    IF_FIRST_16TH,
    IF_MORE_BITS,       /* the first and last eighth of the layers, and every third between */
    IF_FIRST_8TH_TOLD,  /* with an importance matrix */
    IF_FIRST_8TH_UNTOLD /* without */
} rule_condition;

typedef struct mix_row {
    const char *name, *other;
    rf_qtype type;
    uint32_t file_type;
} mix_row;

static const mix_row mixes[RF_MIX_COUNT] = {
#define X(id, name, other, type, file_type) {name, other, RF_QTYPE_##type, file_type},
#include "model/mixes.def"
#undef X
};

enum { RF_MIX_ANY = RF_MIX_COUNT };

static const struct {
    int mix;
    tensor_role role;
    rule_condition condition;
    rf_qtype type;
} rules[] = {
#define X(mix, role, condition, type) {RF_MIX_##mix, ROLE_##role, IF_##condition, RF_QTYPE_##type},
#include "model/mix_rules.def"
#undef X
};

/* Substrings of names; the first match decides. */
static const struct {
    const char *part;
    tensor_role role;
} roles[] = {
    {"attn_qkv.weight", ROLE_ATTN_V},         {"attn_kv_b.weight", ROLE_ATTN_V},
    {"attn_v.weight", ROLE_ATTN_V},           {"attn_k.weight", ROLE_ATTN_K},
    {"attn_output.weight", ROLE_ATTN_OUTPUT}, {"ffn_down", ROLE_FFN_DOWN},
};

/* Matrices that stay as they are: small, or not multiplied with activations. */
static const char *const kept_parts[] = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    "position_embd",
    "token_types.weight",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
};

/* What a type becomes where a row is no multiple of its block; the next step is F16. */
static const struct {
    rf_qtype from, to;
} fallbacks[] = {{RF_QTYPE_IQ4_XS, RF_QTYPE_IQ4_NL}, {RF_QTYPE_Q2_K, RF_QTYPE_Q4_0},
                 {RF_QTYPE_Q3_K, RF_QTYPE_Q4_0},     {RF_QTYPE_Q4_K, RF_QTYPE_Q5_0},
                 {RF_QTYPE_Q5_K, RF_QTYPE_Q5_1},     {RF_QTYPE_Q6_K, RF_QTYPE_Q8_0}};

static bool same_any_case(rf_str a, const char *b) {
    size_t n = b ? strlen(b) : 0;
    return b && a.len == n && strncasecmp(a.ptr, b, n) == 0;
}

bool rf_mix_from_name(rf_str name, rf_mix *out) {
    for (int i = 0; i < RF_MIX_COUNT; i++)
        if (same_any_case(name, mixes[i].name) || same_any_case(name, mixes[i].other)) {
            *out = (rf_mix)i;
            return true;
        }
    return false;
}

rf_status rf_mix_parse(rf_str name, rf_mix *out, rf_error *err) {
    char names[512] = "";
    if (rf_mix_from_name(name, out))
        return RF_OK;
    for (size_t i = 0, at = 0; i < RF_MIX_COUNT && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", mixes[i].name);
    return rf_fail(err, RF_ERR_USAGE, "found type \"%.*s\", expected one of %s", RF_STR_ARG(name),
                   names);
}

const char *rf_mix_name(rf_mix mix) { return mixes[mix].name; }
uint32_t rf_mix_file_type(rf_mix mix) { return mixes[mix].file_type; }

/* ---- what the file says about itself ---- */

typedef struct model_shape {
    uint64_t n_layer, n_head, n_head_kv, n_expert;
    bool tied; /* the token embedding is the output matrix too */
} model_shape;

typedef struct entry {
    uint32_t i; /* tensor */
    tensor_role role;
    int64_t layer; /* -1 outside the layers */
    rf_str name;
} entry;

/* The first number of architecture.key, which may be a list over the layers; 0 if there is none. */
static uint64_t number_of(const rf_gguf *gguf, rf_str arch, const char *key) {
    char name[160];
    int n = snprintf(name, sizeof name, "%.*s.%s", (int)(arch.len < 100 ? arch.len : 100), arch.ptr,
                     key);
    const rf_gguf_key *found = rf_gguf_find_key(gguf, (rf_str){name, (size_t)n});
    bool whole = found && found->n_items > 0 && rf_gguf_type_bytes(found->item_type) > 0 &&
                 found->item_type != RF_GGUF_F32 && found->item_type != RF_GGUF_F64;
    int64_t value = whole ? rf_gguf_item_int(found, 0) : 0;
    return value > 0 ? (uint64_t)value : 0;
}

static model_shape read_shape(const rf_gguf *gguf) {
    model_shape out = {0};
    rf_str arch = RF_STR("");
    rf_error ignored = {0};
    if (rf_gguf_get_str(gguf, "general.architecture", &arch, &ignored) != RF_OK)
        arch = RF_STR("");
    out.n_layer = number_of(gguf, arch, "block_count");
    out.n_head = number_of(gguf, arch, "attention.head_count");
    out.n_head_kv = number_of(gguf, arch, "attention.head_count_kv");
    if (out.n_head_kv == 0)
        out.n_head_kv = out.n_head;
    out.n_expert = number_of(gguf, arch, "expert_count");
    out.tied = rf_gguf_find_tensor(gguf, RF_STR("output.weight")) == NULL;
    return out;
}

static bool has_part(rf_str name, const char *part) {
    return memmem(name.ptr, name.len, part, strlen(part)) != NULL;
}

static tensor_role role_of(rf_str name) {
    if (rf_str_eq(name, RF_STR("output.weight")))
        return ROLE_OUTPUT;
    if (rf_str_eq(name, RF_STR("token_embd.weight")) ||
        rf_str_eq(name, RF_STR("per_layer_token_embd.weight")))
        return ROLE_TOKEN_EMBD;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (has_part(name, roles[i].part))
            return roles[i].role;
    return ROLE_OTHER;
}

/* N of "blk.N.", or -1. */
static int64_t layer_of(rf_str name) {
    int64_t layer = 0;
    size_t i = 4;
    if (name.len < 6 || memcmp(name.ptr, "blk.", 4) != 0)
        return -1;
    for (; i < name.len && name.ptr[i] >= '0' && name.ptr[i] <= '9' && i < 16; i++)
        layer = 10 * layer + (name.ptr[i] - '0');
    return i > 4 && i < name.len && name.ptr[i] == '.' ? layer : -1;
}

static bool is_matrix(const rf_gguf_tensor *tensor) {
    return tensor->ne[1] > 1 || tensor->ne[2] > 1 || tensor->ne[3] > 1;
}

static bool stays(const rf_gguf_tensor *tensor) {
    rf_str name = tensor->name;
    rf_qtype known;
    bool weight = name.len >= 6 && memcmp(name.ptr + name.len - 6, "weight", 6) == 0;
    if (!weight || !is_matrix(tensor) || !rf_qtype_from_gguf(tensor->type_id, &known))
        return true;
    for (size_t i = 0; i < sizeof kept_parts / sizeof *kept_parts; i++)
        if (has_part(name, kept_parts[i]))
            return true;
    return false;
}

/* ---- the choice ---- */

/* i: which of the n tensors of the role, layer by layer. */
static bool holds(rule_condition condition, const model_shape *shape, bool told, uint64_t i,
                  uint64_t n) {
    switch (condition) {
    case IF_ALWAYS: return true;
    case IF_EIGHT_EXPERTS: return shape->n_expert == 8;
    case IF_NOT_EIGHT_EXPERTS: return shape->n_expert != 8;
    case IF_WIDE_GROUPS: return shape->n_head_kv > 0 && shape->n_head / shape->n_head_kv >= 4;
    case IF_FIRST_TWO: return i < 2;
    case IF_FIRST_FOUR: return i < 4;
    case IF_FIRST_8TH: return i < n / 8;
    case IF_FIRST_16TH: return i < n / 16;
    case IF_MORE_BITS: return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    case IF_FIRST_8TH_TOLD: return told && i < n / 8;
    case IF_FIRST_8TH_UNTOLD: return !told && i < n / 8;
    }
    return false;
}

static rf_qtype by_rules(const rf_mix_options *options, const model_shape *shape, tensor_role role,
                         uint64_t i, uint64_t n) {
    rf_qtype type = mixes[options->mix].type;
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++)
        if ((rules[r].mix == (int)options->mix || rules[r].mix == RF_MIX_ANY) &&
            rules[r].role == role && holds(rules[r].condition, shape, options->has_imatrix, i, n)) {
            type = rules[r].type;
            break;
        }
    /* models of 80 layers with grouped heads: v is small there and worth its bits */
    bool large = shape->n_layer == 80 && shape->n_head != shape->n_head_kv;
    if (role == ROLE_ATTN_V && large && (type == RF_QTYPE_Q3_K || type == RF_QTYPE_Q4_K))
        return RF_QTYPE_Q5_K;
    return type;
}

typedef struct role_counts {
    uint64_t n_attn_v, i_attn_v, i_ffn_down;
} role_counts;

static rf_qtype wanted(const rf_mix_options *options, const model_shape *shape, const entry *at,
                       const rf_gguf_tensor *tensor, role_counts *counts) {
    rf_qtype type = mixes[options->mix].type;
    const rf_qtype_info *info = rf_qtype_get(type);
    if (info->block_weights == 1 || options->pure)
        return type;
    bool output = at->role == ROLE_OUTPUT || (at->role == ROLE_TOKEN_EMBD && shape->tied);
    if (output && (options->mix == RF_MIX_MXFP4 || tensor->ne[0] % info->block_weights != 0))
        return RF_QTYPE_Q8_0;
    if (output)
        return type == RF_QTYPE_Q8_0 ? type : RF_QTYPE_Q6_K;
    if (options->mix == RF_MIX_MXFP4) /* the experts alone */
        return tensor->ne[2] > 1 ? type : RF_QTYPE_Q8_0;
    uint64_t i = 0, n = 0;
    if (at->role == ROLE_ATTN_V) {
        i = counts->i_attn_v++;
        n = counts->n_attn_v;
    } else if (at->role == ROLE_FFN_DOWN) {
        /* experts and shared experts of a layer count as one */
        i = shape->n_expert > 1 ? (uint64_t)at->layer : counts->i_ffn_down++;
        n = shape->n_layer;
    }
    return by_rules(options, shape, at->role, i, n);
}

static rf_qtype that_fits(rf_qtype want, uint64_t n_cols) {
    if (n_cols % rf_qtype_get(want)->block_weights == 0)
        return want;
    for (size_t i = 0; i < sizeof fallbacks / sizeof *fallbacks; i++)
        if (fallbacks[i].from == want && n_cols % rf_qtype_get(fallbacks[i].to)->block_weights == 0)
            return fallbacks[i].to;
    return RF_QTYPE_F16;
}

static int by_layer(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

rf_status rf_mix_choose(const rf_gguf *gguf, const rf_mix_options *options, rf_mix_choice *choices,
                        rf_error *err) {
    size_t n = rf_gguf_n_tensors(gguf);
    model_shape shape = read_shape(gguf);
    role_counts counts = {0};
    entry *entries = rf_calloc(n ? n : 1, sizeof *entries);
    if (!entries)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for the list of tensors");
    for (size_t i = 0; i < n; i++) {
        rf_str name = rf_gguf_tensor_at(gguf, i)->name;
        entries[i] = (entry){(uint32_t)i, role_of(name), layer_of(name), name};
        counts.n_attn_v += entries[i].role == ROLE_ATTN_V;
    }
    qsort(entries, n, sizeof *entries, by_layer);
    rf_status status = RF_OK;
    for (size_t k = 0; k < n && status == RF_OK; k++) {
        const entry *at = &entries[k];
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(gguf, at->i);
        rf_mix_choice *choice = &choices[at->i];
        *choice = (rf_mix_choice){.keep = stays(tensor)};
        if (choice->keep)
            continue;
        if (at->role == ROLE_FFN_DOWN && shape.n_expert > 1 &&
            (at->layer < 0 || (uint64_t)at->layer >= shape.n_layer))
            status = rf_fail(err, RF_ERR_INVALID,
                             "tensor \"%.*s\": expected a name with a layer below block_count, "
                             "which is %" PRIu64,
                             RF_STR_ARG(tensor->name), shape.n_layer);
        choice->want = wanted(options, &shape, at, tensor, &counts);
        choice->type = that_fits(choice->want, tensor->ne[0]);
    }
    rf_free(entries);
    return status;
}
