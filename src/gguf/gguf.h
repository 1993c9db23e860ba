/*
 * GGUF files, versions 2 and 3, little endian, whole or split: maps them, validates every count,
 * length and offset before it is used, and looks keys and tensors up by type. A file is hostile
 * input. No model knowledge. An rf_gguf is immutable after opening: any thread may read it.
 * Specification: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * Refused beyond what the specification forbids: string values (not the items of arrays, which
 * their readers check) with a NUL or broken UTF-8, overlapping tensors, more than 131,072 keys or
 * tensors, arrays nested deeper than 8, more than 1,024 splits. Any multiple of 8 is an alignment.
 */
#ifndef RF_GGUF_GGUF_H
#define RF_GGUF_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

typedef enum rf_gguf_type {
#define X(id, number, name, bytes) RF_GGUF_##id = number,
#include "gguf/value_types.def"
#undef X
    RF_GGUF_TYPE_COUNT
} rf_gguf_type;

enum { RF_GGUF_MAX_DIMS = 4 };

typedef struct rf_gguf rf_gguf;

/* A key and its value. Views point into the mapping: valid until rf_gguf_close. */
typedef struct rf_gguf_key {
    rf_str name;
    rf_gguf_type type;      /* RF_GGUF_ARRAY for an array */
    rf_gguf_type item_type; /* of an array; otherwise equal to type */
    uint64_t n_items;       /* 1 for a scalar */
    uint64_t offset;        /* of the value in the (first) file, for messages */
    const uint8_t *data;    /* unaligned little-endian values; strings are length-prefixed (u64) */
    uint64_t data_bytes;
} rf_gguf_key;

typedef struct rf_gguf_tensor {
    rf_str name;
    uint32_t type_id; /* as in the file (a ggml type id); known types have a size */
    uint32_t n_dims;
    uint64_t ne[RF_GGUF_MAX_DIMS]; /* ne[0] is the contiguous dimension; unused ones are 1 */
    uint64_t n_elements;
    uint64_t offset; /* absolute in its file */
    uint64_t bytes;
    uint32_t i_file;     /* which split holds it */
    const uint8_t *data; /* in the mapping; NULL when opened without data */
} rf_gguf_tensor;

typedef struct rf_gguf_open_options {
    bool no_data; /* metadata only: tensor data may be missing and is not given */
} rf_gguf_open_options;

/* Opens path; when its keys say that it is the first of several splits, the others too (the names
 * end in -00001-of-000NN.gguf; keys are the first one's). *out is owned by the caller
 * (rf_gguf_close). The error names file, key or tensor, byte offset, what was found and what was
 * expected. Memory: at most 4 x file size + 16 MiB, whatever the file says. */
RF_NODISCARD rf_status rf_gguf_open(const char *path, const rf_gguf_open_options *options,
                                    rf_gguf **out, rf_error *err);
/* The whole file behind fd, which stays the caller's; path is its name in messages. */
RF_NODISCARD rf_status rf_gguf_open_fd(int fd, const char *path,
                                       const rf_gguf_open_options *options, rf_gguf **out,
                                       rf_error *err);
/* The same over bytes in memory (borrowed until rf_gguf_close); for tests and fuzzing. */
RF_NODISCARD rf_status rf_gguf_open_memory(const void *bytes, size_t n, rf_gguf **out,
                                           rf_error *err);
void rf_gguf_close(rf_gguf *gguf); /* NULL is a no-op */

const char *rf_gguf_path(const rf_gguf *gguf);
uint32_t rf_gguf_version(const rf_gguf *gguf);
uint64_t rf_gguf_file_bytes(const rf_gguf *gguf); /* all splits together */
uint64_t rf_gguf_alignment(const rf_gguf *gguf);
uint32_t rf_gguf_n_files(const rf_gguf *gguf);

size_t rf_gguf_n_keys(const rf_gguf *gguf);
const rf_gguf_key *rf_gguf_key_at(const rf_gguf *gguf, size_t i);
const rf_gguf_key *rf_gguf_find_key(const rf_gguf *gguf, rf_str name); /* NULL if absent */

size_t rf_gguf_n_tensors(const rf_gguf *gguf);
const rf_gguf_tensor *rf_gguf_tensor_at(const rf_gguf *gguf, size_t i);
const rf_gguf_tensor *rf_gguf_find_tensor(const rf_gguf *gguf, rf_str name); /* NULL if absent */

/* True while the files still have the size that was mapped. Reading a page that the file lost
 * raises SIGBUS: the program's handler asks rf_gguf_path_at(info->si_addr) whose page it was (NULL:
 * no model file's), writes a message and leaves with _exit(1). rf_gguf_path_at is
 * async-signal-safe; the text is valid while that file is open. */
bool rf_gguf_unchanged(const rf_gguf *gguf);
const char *rf_gguf_path_at(const void *address);

/*
 * Typed lookups. Absent: RF_ERR_NOT_FOUND (the text names the key; *out untouched), so callers with
 * a default test for that status. Wrong type or value that does not fit: RF_ERR_INVALID with key,
 * offset, found and expected. Integers accept every integer type whose value fits; floats accept
 * F32 and F64; bool accepts BOOL with 0 or 1 alone.
 */
RF_NODISCARD rf_status rf_gguf_get_u32(const rf_gguf *gguf, const char *key, uint32_t *out,
                                       rf_error *err);
RF_NODISCARD rf_status rf_gguf_get_u64(const rf_gguf *gguf, const char *key, uint64_t *out,
                                       rf_error *err);
RF_NODISCARD rf_status rf_gguf_get_f32(const rf_gguf *gguf, const char *key, float *out,
                                       rf_error *err);
RF_NODISCARD rf_status rf_gguf_get_bool(const rf_gguf *gguf, const char *key, bool *out,
                                        rf_error *err);
RF_NODISCARD rf_status rf_gguf_get_str(const rf_gguf *gguf, const char *key, rf_str *out,
                                       rf_error *err);
/* The key as an array of item_type; integer arrays accept I32 where U32 is asked and the reverse
 * (the item accessors below check values). */
RF_NODISCARD rf_status rf_gguf_get_array(const rf_gguf *gguf, const char *key,
                                         rf_gguf_type item_type, const rf_gguf_key **out,
                                         rf_error *err);
/* Item i of an array (or i == 0 of a scalar). The caller has checked i and the item type. */
int64_t rf_gguf_item_int(const rf_gguf_key *key, uint64_t i); /* integer and bool items; U64 above
                                                                 INT64_MAX saturates */
double rf_gguf_item_float(const rf_gguf_key *key, uint64_t i);

/* Strings have no fixed size: walk them in order. */
typedef struct rf_gguf_strings {
    const uint8_t *at;
    uint64_t left;
} rf_gguf_strings;
rf_gguf_strings rf_gguf_strings_begin(const rf_gguf_key *key); /* a string or array of strings */
bool rf_gguf_strings_next(rf_gguf_strings *walk, rf_str *out); /* false at the end */

const char *rf_gguf_type_name(rf_gguf_type type);
uint32_t rf_gguf_type_bytes(rf_gguf_type type); /* of one value; 0 for strings and arrays */

#endif
