/*
 * Takes a valid GGUF file apart and puts it together again with lies in it. Nothing is checked on
 * the way out: declared lengths, counts and offsets are written as they stand here. For tests; one
 * thread at a time. Memory comes from the edit's arena and dies with gguf_edit_deinit.
 */
#ifndef RF_TESTS_GGUF_EDIT_H
#define RF_TESTS_GGUF_EDIT_H

#include "base/arena.h"
#include "base/buf.h"
#include "gguf/gguf.h"

typedef struct edit_key {
    rf_str name;
    uint64_t name_bytes; /* as declared */
    uint32_t type;
    rf_str value; /* the bytes after the type */
} edit_key;

typedef struct edit_tensor {
    rf_str name;
    uint64_t name_bytes; /* as declared */
    uint32_t n_dims;
    uint32_t n_dims_written; /* how many of ne are written */
    uint64_t ne[8];
    uint32_t type;
    uint64_t offset; /* from the data section */
} edit_tensor;

typedef struct gguf_edit {
    rf_arena arena;
    uint32_t magic, version;
    uint64_t n_keys_more, n_tensors_more; /* added to the declared counts; may wrap */
    edit_key *keys;
    edit_tensor *tensors;
    size_t n_keys, n_tensors;
    size_t room; /* keys and tensors that may still be added */
    uint64_t alignment;
    rf_str data; /* the data section, borrowed from the base */
} gguf_edit;

/* bytes must be a valid file, borrowed. False when it is not, or memory ran out. */
bool gguf_edit_init(gguf_edit *edit, const void *bytes, size_t n);
void gguf_edit_deinit(gguf_edit *edit);
void gguf_edit_write(const gguf_edit *edit, rf_buf *out); /* appends the file */

edit_key *edit_find_key(gguf_edit *edit, const char *name);       /* NULL if absent */
edit_tensor *edit_find_tensor(gguf_edit *edit, const char *name); /* NULL if absent */
void edit_drop_key(gguf_edit *edit, const char *name);
void edit_drop_tensor(gguf_edit *edit, const char *name);

/* Replaces the key or appends it (always a second one with edit_add_key). */
edit_key *edit_set_key(gguf_edit *edit, const char *name, uint32_t type, const void *value,
                       size_t n);
edit_key *edit_add_key(gguf_edit *edit, rf_str name, uint32_t type, const void *value, size_t n);
edit_key *edit_set_u32(gguf_edit *edit, const char *name, uint32_t value);
edit_key *edit_set_f32(gguf_edit *edit, const char *name, float value);
edit_key *edit_set_str(gguf_edit *edit, const char *name, rf_str value);
edit_key *edit_set_u32s(gguf_edit *edit, const char *name, const uint32_t *items, uint64_t n);
/* Item i of a string array becomes text. */
void edit_set_item(gguf_edit *edit, const char *name, uint64_t i, rf_str text);
/* The string array loses its last items (or gains empty ones). */
void edit_resize_strings(gguf_edit *edit, const char *name, uint64_t n);
edit_tensor *edit_add_tensor(gguf_edit *edit, const char *name, uint32_t type, uint64_t n,
                             uint64_t offset); /* one dimension */

/* Overwrites bytes of the key's value at offset. */
void edit_poke(gguf_edit *edit, const char *name, size_t offset, const void *bytes, size_t n);

#endif
