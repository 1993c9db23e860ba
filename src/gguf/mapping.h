/*
 * A file mapped read-only. The descriptor stays open, so that a change of the file's size can be
 * noticed. Opened and closed by one thread, read by any.
 */
#ifndef RF_GGUF_MAPPING_H
#define RF_GGUF_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rf_mapping {
    const uint8_t *bytes; /* NULL when n is 0 */
    uint64_t n;
    int fd;     /* -1: bytes are borrowed memory */
    int i_live; /* slot in the table of live mappings, -1 when it has none */
} rf_mapping;

/* A regular file; anything else is refused before it is opened for long (a FIFO does not block).
 * path stays borrowed until rf_mapping_close. */
RF_NODISCARD rf_status rf_mapping_open(rf_mapping *mapping, const char *path, rf_error *err);
/* The same for a descriptor, which is duplicated; path is for messages. */
RF_NODISCARD rf_status rf_mapping_open_fd(rf_mapping *mapping, int fd, const char *path,
                                          rf_error *err);
void rf_mapping_borrow(rf_mapping *mapping, const void *bytes, size_t n);
void rf_mapping_close(rf_mapping *mapping); /* safe twice */

/* True while the file has the size that was mapped. */
bool rf_mapping_unchanged(const rf_mapping *mapping);

/* Path of the live mapping that holds address, NULL if none does. Async-signal-safe. */
const char *rf_mapping_path_at(const void *address);

#endif
