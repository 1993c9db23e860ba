/*
 * The keys of one file: a compact table of views and an index by name. Arrays are checked but not
 * unpacked. Written by one thread, then immutable.
 */
#ifndef RF_GGUF_KEY_TABLE_H
#define RF_GGUF_KEY_TABLE_H

#include "base/map.h"
#include "gguf/gguf.h"
#include "gguf/scan.h"

enum {
    RF_GGUF_MAX_KEYS = 1 << 17,  /* table and index of so many take 15.3 MiB */
    RF_GGUF_MAX_ARRAY_DEPTH = 8, /* arrays of arrays */
    RF_GGUF_MIN_KEY_BYTES = 14   /* length, one byte of name, type, one byte of value */
};

typedef struct rf_key_table {
    rf_gguf_key *items; /* owned */
    size_t n;
    rf_map index; /* name to position in items */
} rf_key_table;

/* Reads n_keys keys from where scan stands. On failure the table is empty but initialised. */
RF_NODISCARD rf_status rf_key_table_read(rf_key_table *table, rf_scan *scan, uint64_t n_keys);
void rf_key_table_deinit(rf_key_table *table); /* safe twice */
const rf_gguf_key *rf_key_table_find(const rf_key_table *table, rf_str name);

/* The value of an integer key if it is at most max. path is for the message. */
RF_NODISCARD rf_status rf_gguf_key_u64(const char *path, const rf_gguf_key *key, uint64_t max,
                                       uint64_t *out, rf_error *err);

#endif
