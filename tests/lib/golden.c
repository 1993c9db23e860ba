#include "tests/lib/golden.h"

#include <lzma.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

static golden_file fail(const char *path, const char *what) {
    (void)fprintf(stderr, "%s: %s\n", path, what);
    return (golden_file){0};
}

static golden_file read_all(const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in)
        return fail(path, "cannot open");
    golden_file file = {0};
    if (fseek(in, 0, SEEK_END) == 0) {
        long size = ftell(in);
        if (size >= 0 && fseek(in, 0, SEEK_SET) == 0 && (file.bytes = rf_alloc((size_t)size + 1)))
            file.n = fread(file.bytes, 1, (size_t)size, in);
        if (file.bytes && file.n != (size_t)size)
            golden_free(&file);
    }
    (void)fclose(in);
    if (!file.bytes)
        return fail(path, "cannot read");
    file.bytes[file.n] = 0;
    return file;
}

/* Size of the unpacked data, from the index at the end of an .xz stream; 0 when it is broken. */
static size_t unpacked_size(const golden_file *packed) {
    if (packed->n < 2 * LZMA_STREAM_HEADER_SIZE)
        return 0;
    const uint8_t *footer = packed->bytes + packed->n - LZMA_STREAM_HEADER_SIZE;
    lzma_stream_flags flags;
    if (lzma_stream_footer_decode(&flags, footer) != LZMA_OK ||
        flags.backward_size > packed->n - 2 * LZMA_STREAM_HEADER_SIZE)
        return 0;
    lzma_index *index = NULL;
    uint64_t memory = 64u << 20;
    size_t at = 0;
    if (lzma_index_buffer_decode(&index, &memory, NULL, footer - flags.backward_size, &at,
                                 (size_t)flags.backward_size) != LZMA_OK)
        return 0;
    size_t n = (size_t)lzma_index_uncompressed_size(index);
    lzma_index_end(index, NULL);
    return n;
}

golden_file golden_read(const char *path) {
    golden_file packed = read_all(path);
    if (!packed.bytes || !rf_str_ends(rf_str_of(path), RF_STR(".xz")))
        return packed;
    size_t n = unpacked_size(&packed);
    golden_file file = {.bytes = n ? rf_alloc(n + 1) : NULL};
    uint64_t memory = UINT64_MAX;
    size_t at = 0;
    lzma_ret ret = LZMA_BUF_ERROR;
    if (file.bytes)
        ret = lzma_stream_buffer_decode(&memory, 0, NULL, packed.bytes, &at, packed.n, file.bytes,
                                        &file.n, n);
    golden_free(&packed);
    if (ret != LZMA_OK || file.n != n) {
        golden_free(&file);
        return fail(path, "cannot unpack");
    }
    file.bytes[n] = 0;
    return file;
}

golden_file golden_vocab(const char *name) {
    char path[256];
    (void)snprintf(path, sizeof path, "tests/golden/vocab/%s.gguf.xz", name);
    return golden_read(path);
}

void golden_free(golden_file *file) {
    rf_free(file->bytes);
    *file = (golden_file){0};
}
