#include "tests/lib/gguf_edit.h"

#include <stdlib.h>

#include "base/checked.h"

enum { ROOM = 64, ARENA_BYTES = 64 << 20 };

static rf_str keep(gguf_edit *edit, const void *bytes, size_t n) {
    char *copy = rf_arena_alloc(&edit->arena, n + 1, 8);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, bytes, n);
    copy[n] = 0;
    return (rf_str){copy, n};
}

static void load(gguf_edit *edit, const rf_gguf *gguf, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < rf_gguf_n_keys(gguf); i++) {
        const rf_gguf_key *key = rf_gguf_key_at(gguf, i);
        size_t from = (size_t)key->offset;
        size_t len = (size_t)(key->data - (bytes + from)) + (size_t)key->data_bytes;
        edit->keys[edit->n_keys++] = (edit_key){key->name, key->name.len, (uint32_t)key->type,
                                                keep(edit, bytes + from, len)};
    }
    uint64_t first = n;
    for (size_t i = 0; i < rf_gguf_n_tensors(gguf); i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(gguf, i);
        first = tensor->offset < first ? tensor->offset : first;
        edit_tensor *to = &edit->tensors[edit->n_tensors++];
        *to = (edit_tensor){.name = tensor->name,
                            .name_bytes = tensor->name.len,
                            .n_dims = tensor->n_dims,
                            .n_dims_written = tensor->n_dims,
                            .type = tensor->type_id,
                            .offset = tensor->offset};
        memcpy(to->ne, tensor->ne, sizeof tensor->ne);
    }
    for (size_t i = 0; i < edit->n_tensors; i++)
        edit->tensors[i].offset -= first;
    edit->data = (rf_str){(const char *)bytes + first, (size_t)(n - first)};
}

bool gguf_edit_init(gguf_edit *edit, const void *bytes, size_t n) {
    *edit = (gguf_edit){.magic = 0x46554747, .room = ROOM};
    rf_arena_init(&edit->arena, ARENA_BYTES);
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    if (rf_gguf_open_memory(bytes, n, &gguf, &err) != RF_OK)
        return false;
    edit->version = rf_gguf_version(gguf);
    edit->alignment = rf_gguf_alignment(gguf);
    edit->keys = RF_ARENA_ARRAY(&edit->arena, edit_key, rf_gguf_n_keys(gguf) + ROOM);
    edit->tensors = RF_ARENA_ARRAY(&edit->arena, edit_tensor, rf_gguf_n_tensors(gguf) + ROOM);
    bool ok = edit->keys && edit->tensors;
    if (ok)
        load(edit, gguf, bytes, n);
    rf_gguf_close(gguf);
    return ok;
}

void gguf_edit_deinit(gguf_edit *edit) { rf_arena_deinit(&edit->arena); }

void gguf_edit_write(const gguf_edit *edit, rf_buf *out) {
    size_t start = out->len;
    uint64_t counts[2] = {edit->n_tensors + edit->n_tensors_more, edit->n_keys + edit->n_keys_more};
    rf_buf_append(out, &edit->magic, 4);
    rf_buf_append(out, &edit->version, 4);
    rf_buf_append(out, counts, sizeof counts);
    for (size_t i = 0; i < edit->n_keys; i++) {
        rf_buf_append(out, &edit->keys[i].name_bytes, 8);
        rf_buf_str(out, edit->keys[i].name);
        rf_buf_append(out, &edit->keys[i].type, 4);
        rf_buf_str(out, edit->keys[i].value);
    }
    for (size_t i = 0; i < edit->n_tensors; i++) {
        const edit_tensor *tensor = &edit->tensors[i];
        rf_buf_append(out, &tensor->name_bytes, 8);
        rf_buf_str(out, tensor->name);
        rf_buf_append(out, &tensor->n_dims, 4);
        rf_buf_append(out, tensor->ne, 8 * (size_t)tensor->n_dims_written);
        rf_buf_append(out, &tensor->type, 4);
        rf_buf_append(out, &tensor->offset, 8);
    }
    while (edit->data.len && (out->len - start) % edit->alignment != 0 && !out->failed)
        rf_buf_put(out, 0);
    rf_buf_str(out, edit->data);
}

edit_key *edit_find_key(gguf_edit *edit, const char *name) {
    for (size_t i = 0; i < edit->n_keys; i++)
        if (rf_str_is(edit->keys[i].name, name))
            return &edit->keys[i];
    return NULL;
}

edit_tensor *edit_find_tensor(gguf_edit *edit, const char *name) {
    for (size_t i = 0; i < edit->n_tensors; i++)
        if (rf_str_is(edit->tensors[i].name, name))
            return &edit->tensors[i];
    return NULL;
}

void edit_drop_key(gguf_edit *edit, const char *name) {
    edit_key *key = edit_find_key(edit, name);
    if (!key)
        return;
    size_t after = edit->n_keys - (size_t)(key - edit->keys) - 1;
    memmove(key, key + 1, after * sizeof *key);
    edit->n_keys--;
}

void edit_drop_tensor(gguf_edit *edit, const char *name) {
    edit_tensor *tensor = edit_find_tensor(edit, name);
    if (!tensor)
        return;
    size_t after = edit->n_tensors - (size_t)(tensor - edit->tensors) - 1;
    memmove(tensor, tensor + 1, after * sizeof *tensor);
    edit->n_tensors--;
}

static void take_room(gguf_edit *edit) {
    if (edit->room == 0)
        abort();
    edit->room--;
}

edit_key *edit_add_key(gguf_edit *edit, rf_str name, uint32_t type, const void *value, size_t n) {
    take_room(edit);
    edit_key *key = &edit->keys[edit->n_keys++];
    *key = (edit_key){keep(edit, name.ptr, name.len), name.len, type, keep(edit, value, n)};
    return key;
}

edit_key *edit_set_key(gguf_edit *edit, const char *name, uint32_t type, const void *value,
                       size_t n) {
    edit_key *key = edit_find_key(edit, name);
    if (!key)
        return edit_add_key(edit, rf_str_of(name), type, value, n);
    key->type = type;
    key->value = keep(edit, value, n);
    return key;
}

edit_key *edit_set_u32(gguf_edit *edit, const char *name, uint32_t value) {
    return edit_set_key(edit, name, RF_GGUF_U32, &value, sizeof value);
}

edit_key *edit_set_f32(gguf_edit *edit, const char *name, float value) {
    return edit_set_key(edit, name, RF_GGUF_F32, &value, sizeof value);
}

edit_key *edit_set_str(gguf_edit *edit, const char *name, rf_str value) {
    rf_buf bytes;
    rf_buf_init(&bytes, ARENA_BYTES);
    uint64_t len = value.len;
    rf_buf_append(&bytes, &len, sizeof len);
    rf_buf_str(&bytes, value);
    edit_key *key = edit_set_key(edit, name, RF_GGUF_STRING, bytes.data, bytes.len);
    rf_buf_deinit(&bytes);
    return key;
}

edit_key *edit_set_u32s(gguf_edit *edit, const char *name, const uint32_t *items, uint64_t n) {
    rf_buf bytes;
    uint32_t type = RF_GGUF_U32;
    rf_buf_init(&bytes, ARENA_BYTES);
    rf_buf_append(&bytes, &type, sizeof type);
    rf_buf_append(&bytes, &n, sizeof n);
    rf_buf_append(&bytes, items, (size_t)n * sizeof *items);
    edit_key *key = edit_set_key(edit, name, RF_GGUF_ARRAY, bytes.data, bytes.len);
    rf_buf_deinit(&bytes);
    return key;
}

/* Copies the string array with n items, of which item i_new (if there) is text. */
static void rewrite_strings(gguf_edit *edit, const char *name, uint64_t n, uint64_t i_new,
                            rf_str text) {
    edit_key *key = edit_find_key(edit, name);
    if (!key || key->type != RF_GGUF_ARRAY)
        abort();
    uint64_t n_old;
    memcpy(&n_old, key->value.ptr + 4, sizeof n_old);
    rf_gguf_strings walk = {(const uint8_t *)key->value.ptr + 12, n_old};
    rf_buf bytes;
    rf_buf_init(&bytes, ARENA_BYTES);
    rf_buf_append(&bytes, key->value.ptr, 4);
    rf_buf_append(&bytes, &n, sizeof n);
    for (uint64_t i = 0; i < n; i++) {
        rf_str item = {0};
        (void)rf_gguf_strings_next(&walk, &item);
        if (i == i_new)
            item = text;
        uint64_t len = item.len;
        rf_buf_append(&bytes, &len, sizeof len);
        rf_buf_str(&bytes, item);
    }
    key->value = keep(edit, bytes.data, bytes.len);
    rf_buf_deinit(&bytes);
}

void edit_set_item(gguf_edit *edit, const char *name, uint64_t i, rf_str text) {
    edit_key *key = edit_find_key(edit, name);
    uint64_t n = 0;
    if (key)
        memcpy(&n, key->value.ptr + 4, sizeof n);
    rewrite_strings(edit, name, n, i, text);
}

void edit_resize_strings(gguf_edit *edit, const char *name, uint64_t n) {
    rewrite_strings(edit, name, n, UINT64_MAX, (rf_str){0});
}

edit_tensor *edit_add_tensor(gguf_edit *edit, const char *name, uint32_t type, uint64_t n,
                             uint64_t offset) {
    take_room(edit);
    edit_tensor *tensor = &edit->tensors[edit->n_tensors++];
    rf_str copy = keep(edit, name, strlen(name));
    *tensor = (edit_tensor){.name = copy,
                            .name_bytes = copy.len,
                            .n_dims = 1,
                            .n_dims_written = 1,
                            .ne = {n, 1, 1, 1},
                            .type = type,
                            .offset = offset};
    return tensor;
}

void edit_poke(gguf_edit *edit, const char *name, size_t offset, const void *bytes, size_t n) {
    edit_key *key = edit_find_key(edit, name);
    if (!key || offset + n > key->value.len)
        abort();
    memcpy((char *)(uintptr_t)key->value.ptr + offset, bytes, n);
}
