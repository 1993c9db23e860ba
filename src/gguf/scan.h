/*
 * Bounds-checked reading of a GGUF file from front to back, and the one form of its messages:
 * file, key or tensor, byte offset, what was found, what was expected. One thread at a time.
 */
#ifndef RF_GGUF_SCAN_H
#define RF_GGUF_SCAN_H

#include <stdint.h>
#include <string.h>

#include "base/status.h"
#include "base/str.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are read as they lie");

typedef struct rf_scan {
    const uint8_t *bytes; /* the whole file, borrowed */
    uint64_t n, at;       /* at <= n always */
    const char *path;     /* borrowed, for messages */
    const char *noun;     /* what is being read: "header", "key", "tensor" */
    rf_str name;          /* of the key or tensor; empty while it is not known */
    rf_error *err;
} rf_scan;

static inline uint64_t rf_scan_left(const rf_scan *scan) { return scan->n - scan->at; }

/* Fails with "path: noun "name" at byte offset: text". */
rf_status rf_scan_fail(const rf_scan *scan, rf_status code, uint64_t offset, const char *fmt, ...)
    RF_PRINTF(4, 5);

/* Each takes the next bytes, or fails with what (a noun: "value type") and what is left. */
RF_NODISCARD rf_status rf_scan_u32(rf_scan *scan, const char *what, uint32_t *out);
RF_NODISCARD rf_status rf_scan_u64(rf_scan *scan, const char *what, uint64_t *out);
RF_NODISCARD rf_status rf_scan_skip(rf_scan *scan, const char *what, uint64_t bytes);
/* A length (u64) and as many bytes, at most max_bytes: a view into the file. */
RF_NODISCARD rf_status rf_scan_str(rf_scan *scan, const char *what, uint64_t max_bytes,
                                   rf_str *out);

/* What breaks the rules that reader and writer share; NULL when nothing does. *i_bad is the index
 * of the byte. Keys: 1 to 65535 bytes of printable ASCII. Tensors: 1 to 64 bytes of UTF-8 without
 * control characters. Text (string values): UTF-8 without NUL. */
enum { RF_GGUF_MAX_KEY_BYTES = 65535, RF_GGUF_MAX_TENSOR_NAME_BYTES = 64 };
const char *rf_gguf_key_name_fault(rf_str name, size_t *i_bad);
const char *rf_gguf_tensor_name_fault(rf_str name, size_t *i_bad);
const char *rf_gguf_text_fault(rf_str text, size_t *i_bad);

#endif
