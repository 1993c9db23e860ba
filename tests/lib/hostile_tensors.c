/* Hostile tensor infos: names, shapes, types, places. */
#include "tests/lib/hostile_gguf.h"

static const char weight[] = "blk.0.attn_q.weight"; /* 256 x 256, q2_k */

static edit_tensor *target(gguf_edit *edit) { return edit_find_tensor(edit, weight); }

void hostile_tensor_name_length(gguf_edit *edit, uint32_t variant) {
    static const uint64_t lengths[] = {65,        1000000,        (uint64_t)1 << 32,
                                       INT64_MAX, UINT64_MAX - 7, UINT64_MAX};
    edit->tensors[variant].name_bytes = lengths[variant];
}

static void rename_to(gguf_edit *edit, rf_str name) {
    edit_tensor *tensor = target(edit);
    tensor->name = name;
    tensor->name_bytes = name.len;
}

void hostile_tensor_name_empty(gguf_edit *edit, uint32_t variant) {
    (void)variant;
    rename_to(edit, RF_STR(""));
}

void hostile_tensor_name_bytes(gguf_edit *edit, uint32_t variant) {
    const rf_str names[] = {RF_STR("\0"),    RF_STR("blk.0\0.weight"), RF_STR("a\nb"),
                            RF_STR("a\xff"), RF_STR("\xed\xa0\x80"),   RF_STR("\33[2J")};
    rename_to(edit, names[variant]);
}

void hostile_tensor_name_long(gguf_edit *edit, uint32_t variant) {
    static char name[4096];
    memset(name, 'x', sizeof name);
    rename_to(edit, (rf_str){name, variant ? sizeof name : 65});
}

void hostile_tensor_duplicate(gguf_edit *edit, uint32_t variant) {
    if (variant == 0)
        rename_to(edit, RF_STR("blk.0.attn_k.weight"));
    else if (variant == 1)
        rename_to(edit, RF_STR("token_embd.weight"));
    else
        (void)edit_add_tensor(edit, weight, 24, 1, edit->data.len - 32);
}

/* What is written follows the claim as far as the record has room. */
void hostile_tensor_n_dims(gguf_edit *edit, uint32_t variant) {
    static const uint32_t n_dims[] = {0, 5, 8, 255, (uint32_t)1 << 31, UINT32_MAX};
    edit_tensor *tensor = target(edit);
    for (int i = 2; i < 8; i++)
        tensor->ne[i] = 1;
    tensor->n_dims = n_dims[variant];
    tensor->n_dims_written = n_dims[variant] < 8 ? n_dims[variant] : 8;
}

static void set_dims(gguf_edit *edit, const uint64_t ne[4]) {
    edit_tensor *tensor = target(edit);
    tensor->n_dims = tensor->n_dims_written = 4;
    memcpy(tensor->ne, ne, 4 * sizeof *ne);
}

void hostile_tensor_dim_zero(gguf_edit *edit, uint32_t variant) {
    uint64_t ne[4] = {256, 256, 1, 1};
    ne[variant] = 0;
    set_dims(edit, ne);
}

void hostile_tensor_dim_negative(gguf_edit *edit, uint32_t variant) {
    static const uint64_t dims[] = {(uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 255};
    set_dims(edit, (const uint64_t[4]){256, dims[variant], 1, 1});
}

void hostile_tensor_dims_wrap(gguf_edit *edit, uint32_t variant) {
    static const uint64_t ne[][4] = {
        {(uint64_t)1 << 32, (uint64_t)1 << 32, 1, 1},
        {(uint64_t)1 << 16, (uint64_t)1 << 16, (uint64_t)1 << 16, (uint64_t)1 << 16},
        {(uint64_t)1 << 62, 4, 1, 1},
        {256, ((uint64_t)1 << 56) + 1, 1, 1},
        {(uint64_t)1 << 62, (uint64_t)1 << 62, (uint64_t)1 << 62, (uint64_t)1 << 62},
        {INT64_MAX - 255, 2, 2, 1},
    };
    set_dims(edit, ne[variant]);
}

/* As many elements as 64 bits can count, but not their bytes. */
void hostile_tensor_bytes_wrap(gguf_edit *edit, uint32_t variant) {
    static const uint32_t types[] = {0, 28, 1, 27};
    static const uint64_t ne0[] = {((uint64_t)1 << 62) + 8, ((uint64_t)1 << 61) + 8,
                                   (uint64_t)INT64_MAX, (uint64_t)1 << 61};
    set_dims(edit, (const uint64_t[4]){ne0[variant], 1, 1, 1});
    target(edit)->type = types[variant];
}

void hostile_tensor_type_unknown(gguf_edit *edit, uint32_t variant) {
    static const uint32_t types[] = {4, 5, 31, 99, (uint32_t)1 << 31, UINT32_MAX};
    target(edit)->type = types[variant];
}

void hostile_tensor_row_partial(gguf_edit *edit, uint32_t variant) {
    static const uint64_t rows[] = {1, 32, 255, 257};
    set_dims(edit, (const uint64_t[4]){rows[variant], 256, 1, 1});
}

void hostile_tensor_misaligned(gguf_edit *edit, uint32_t variant) {
    static const uint64_t shifts[] = {1, 4, 8, 16, 31};
    edit->tensors[variant].offset += shifts[variant];
}

void hostile_tensor_outside(gguf_edit *edit, uint32_t variant) {
    const uint64_t offsets[] = {edit->data.len / 32 * 32,
                                (uint64_t)1 << 40,
                                (uint64_t)1 << 63,
                                UINT64_MAX - 31,
                                UINT64_MAX - 63,
                                (uint64_t)0 - 8192,
                                edit->data.len / 32 * 32 - 32};
    target(edit)->offset = offsets[variant];
}

void hostile_tensor_overlap(gguf_edit *edit, uint32_t variant) {
    edit_tensor *tensor = target(edit), *other = edit_find_tensor(edit, "blk.0.ffn_up.weight");
    const uint64_t offsets[] = {other->offset, other->offset + 32, other->offset - 32, 0,
                                tensor->offset - 32};
    tensor->offset = offsets[variant];
}

void hostile_tensor_too_big(gguf_edit *edit, uint32_t variant) {
    static const uint64_t rows[] = {257, 512, (uint64_t)1 << 40};
    target(edit)->ne[1] = rows[variant] + (variant == 0 ? 2048 : 0);
}

void hostile_data_missing(gguf_edit *edit, uint32_t variant) {
    const size_t lens[] = {0, 1, edit->data.len / 2};
    edit->data.len = lens[variant];
}
