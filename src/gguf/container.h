/*
 * What an rf_gguf is made of, for the files of this room. Built by one thread, then immutable.
 */
#ifndef RF_GGUF_CONTAINER_H
#define RF_GGUF_CONTAINER_H

#include "base/map.h"
#include "gguf/gguf.h"
#include "gguf/key_table.h"
#include "gguf/mapping.h"
#include "gguf/scan.h"

enum {
    RF_GGUF_MAX_TENSORS = 1 << 17,
    RF_GGUF_MAX_FILES = 1024,
    RF_GGUF_MIN_TENSOR_BYTES = 33, /* length, one byte of name, n_dims, one dim, type, offset */
    RF_GGUF_DEFAULT_ALIGNMENT = 32
};

/* One file: the whole, or a split. */
typedef struct rf_gguf_part {
    rf_mapping mapping;
    char *path; /* owned */
    uint32_t version;
    uint64_t alignment;
    uint64_t data_offset; /* of the data section; what tensor offsets count from */
    size_t i_tensor;      /* its tensors in the container: n_tensors from here */
    size_t n_tensors;
} rf_gguf_part;

struct rf_gguf {
    rf_gguf_part *parts; /* owned, as all below */
    uint32_t n_parts;
    rf_key_table keys; /* of the first part */
    rf_gguf_tensor *tensors;
    size_t n_tensors;
    rf_map tensor_index; /* name to position in tensors */
    bool no_data;
};

/* tensor_infos.c: reads n_tensors infos, appends them to the container, and checks where their
 * data lies. scan stands behind the keys; part->alignment is set. */
RF_NODISCARD rf_status rf_tensor_infos_read(rf_gguf *gguf, uint32_t i_part, rf_scan *scan,
                                            uint64_t n_tensors);

/* split_files.c */
typedef struct rf_split {
    uint64_t no, count; /* 0 and 1 for a whole file */
    uint64_t n_tensors; /* of all splits together; UINT64_MAX when the file does not say */
} rf_split;
/* What the keys split.* say; checked for sense in themselves. */
RF_NODISCARD rf_status rf_split_read(const rf_key_table *keys, const char *path, rf_split *out,
                                     rf_error *err);
/* Checks the name of a first file against its keys; names the first split where path is another. */
RF_NODISCARD rf_status rf_split_check_first(const rf_split *split, const char *path, rf_error *err);
/* Checks split i_part against the first one. */
RF_NODISCARD rf_status rf_split_check_later(const rf_split *split, const rf_split *first,
                                            uint32_t i_part, const char *path, rf_error *err);
/* The path of split i_part; NULL when out of memory. Caller frees with rf_free. */
char *rf_split_path(const char *first_path, uint32_t i_part, uint64_t count);

#endif
