/*
 * Status codes and the error record. A function that can fail returns rf_status and fills the
 * rf_error of its caller once, at the origin, with the offending value. Any thread.
 */
#ifndef RF_BASE_STATUS_H
#define RF_BASE_STATUS_H

typedef enum rf_status {
#define X(id, name, exit_status) RF_##id,
#include "base/status.def"
#undef X
    RF_STATUS_COUNT
} rf_status;

enum { RF_ERROR_TEXT_BYTES = 1024 };

/* Owned by the caller; zero-initialise. text is always NUL-terminated, one line, no final dot. */
typedef struct rf_error {
    rf_status code;
    char text[RF_ERROR_TEXT_BYTES];
} rf_error;

#define RF_NODISCARD         __attribute__((warn_unused_result))
#define RF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Fills err (NULL allowed) and returns code, so that `return rf_fail(err, …)` reads well. A text
 * longer than the record is cut. Bytes that are not printable UTF-8 are written as \xNN. */
rf_status rf_fail(rf_error *err, rf_status code, const char *fmt, ...) RF_PRINTF(3, 4);

/* Puts "prefix: " in front of an error that passes through. Returns err->code. */
rf_status rf_fail_prefix(rf_error *err, const char *fmt, ...) RF_PRINTF(2, 3);

const char *rf_status_name(rf_status status);
int rf_status_exit(rf_status status);

/* Returns early with the status of a call that failed. */
#define RF_TRY(call)                       \
    do {                                   \
        rf_status rf_try_status_ = (call); \
        if (rf_try_status_ != RF_OK)       \
            return rf_try_status_;         \
    } while (0)

#endif
