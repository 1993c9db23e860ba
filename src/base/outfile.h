/*
 * Files that appear whole or not at all. The bytes go to a file without a name (or, where the file
 * system has none, with a temporary one) in the destination's folder; commit makes them durable and
 * puts them in the destination's place. Whatever happens before that leaves the folder as it was.
 * A destination that is no regular file (/dev/null, a pipe) is written to as it stands.
 * One thread at a time.
 */
#ifndef RF_BASE_OUTFILE_H
#define RF_BASE_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rf_outfile {
    int fd, dir_fd; /* -1 when closed */
    char *path;     /* owned; symbolic links are resolved */
    char temp[48];  /* name in the folder; empty while the file has none */
    bool in_place;  /* path is no regular file */
} rf_outfile;

RF_NODISCARD rf_status rf_outfile_open(rf_outfile *file, const char *path, rf_error *err);
/* A file in memory that is gone when the last descriptor closes; name is for messages. */
RF_NODISCARD rf_status rf_outfile_memory(rf_outfile *file, const char *name, rf_error *err);
RF_NODISCARD rf_status rf_outfile_write(rf_outfile *file, const void *bytes, size_t n,
                                        rf_error *err);
/* Leaves a hole of n bytes, which read as zeros, at the end. */
RF_NODISCARD rf_status rf_outfile_skip(rf_outfile *file, uint64_t n, rf_error *err);
/* Syncs, renames, closes. On failure everything is as after rf_outfile_discard. */
RF_NODISCARD rf_status rf_outfile_commit(rf_outfile *file, rf_error *err);
void rf_outfile_discard(rf_outfile *file); /* safe twice and after commit */

#endif
