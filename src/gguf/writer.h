/*
 * Writes GGUF version 3. Keys and tensors are declared in order, then the file is written beside
 * its destination and renamed over it, so that an interrupted or failed write leaves nothing
 * behind. One thread at a time.
 */
#ifndef RF_GGUF_WRITER_H
#define RF_GGUF_WRITER_H

#include "base/outfile.h"
#include "gguf/gguf.h"

typedef struct rf_gguf_writer rf_gguf_writer;

/* alignment: 0 for the default of 32; otherwise a multiple of 8. */
RF_NODISCARD rf_status rf_gguf_writer_create(uint32_t alignment, rf_gguf_writer **out,
                                             rf_error *err);
void rf_gguf_writer_destroy(rf_gguf_writer *writer);

/* Values are copied. A key that exists is replaced. A failure is remembered and returned by
 * rf_gguf_writer_finish, so these need no check. */
void rf_gguf_writer_u32(rf_gguf_writer *writer, const char *key, uint32_t value);
void rf_gguf_writer_u64(rf_gguf_writer *writer, const char *key, uint64_t value);
void rf_gguf_writer_f32(rf_gguf_writer *writer, const char *key, float value);
void rf_gguf_writer_bool(rf_gguf_writer *writer, const char *key, bool value);
void rf_gguf_writer_str(rf_gguf_writer *writer, const char *key, rf_str value);
void rf_gguf_writer_array(rf_gguf_writer *writer, const char *key, rf_gguf_type item_type,
                          const void *items, uint64_t n_items); /* fixed-size items */
void rf_gguf_writer_strings(rf_gguf_writer *writer, const char *key, const rf_str *items,
                            uint64_t n_items);
void rf_gguf_writer_copy_key(rf_gguf_writer *writer, const rf_gguf_key *key);
/* data (bytes of it) is borrowed until rf_gguf_writer_finish; NULL: rf_gguf_writer_produce. */
void rf_gguf_writer_tensor(rf_gguf_writer *writer, rf_str name, uint32_t type_id, uint32_t n_dims,
                           const uint64_t *ne, const void *data, uint64_t bytes);

/* Gives the bytes of tensors without data while the file is written, in the order of declaration:
 * writes as many as were declared, with rf_outfile_write. i_tensor counts all tensors. */
typedef rf_status (*rf_gguf_produce_fn)(void *user, size_t i_tensor, rf_outfile *file,
                                        rf_error *err);
void rf_gguf_writer_produce(rf_gguf_writer *writer, rf_gguf_produce_fn produce, void *user);

/* Writes the file beside path, syncs it, renames it over path. On failure nothing is left behind.
 */
RF_NODISCARD rf_status rf_gguf_writer_finish(rf_gguf_writer *writer, const char *path,
                                             rf_error *err);
/* The same file in memory, open and owned by *out; name stands for its path. no_data: the header
 * alone, opened as such, and no data is asked for. */
RF_NODISCARD rf_status rf_gguf_writer_memory(rf_gguf_writer *writer, const char *name, bool no_data,
                                             rf_gguf **out, rf_error *err);

#endif
