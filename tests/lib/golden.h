/*
 * Golden data for tests: whole files in memory, .xz files unpacked. Test code, so failures are
 * messages on standard error and NULL. One thread at a time. Paths are relative to the repository.
 */
#ifndef RF_TESTS_GOLDEN_H
#define RF_TESTS_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

typedef struct golden_file {
    uint8_t *bytes; /* owned: golden_free; one NUL byte follows the last */
    size_t n;
} golden_file;

/* The bytes of path; unpacked when its name ends in .xz. bytes is NULL on failure. */
golden_file golden_read(const char *path);
/* tests/golden/vocab/NAME.gguf.xz, unpacked. */
golden_file golden_vocab(const char *name);
void golden_free(golden_file *file);

#endif
