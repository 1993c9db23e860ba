/*
 * Why a request is refused: an HTTP status and OpenAI's error object. Plain values.
 */
#ifndef RF_SERVER_REFUSAL_H
#define RF_SERVER_REFUSAL_H

#include <stdint.h>

#include "base/buf.h"

typedef enum rf_refusal_kind {
#define X(id, http_status, type, code) RF_REFUSE_##id,
#include "server/refusals.def"
#undef X
    RF_REFUSE_COUNT
} rf_refusal_kind;

enum { RF_PARAM_BYTES = 64 };

/* Zero-initialise: nothing is refused. */
typedef struct rf_refusal {
    rf_refusal_kind kind;       /* RF_REFUSE_NOTHING: let through */
    char param[RF_PARAM_BYTES]; /* the field that is wrong, or "" */
    rf_error error;             /* its text is the message */
    uint32_t retry_after_s;     /* 0: no such header */
    bool closes;                /* what follows on the connection is not to be trusted */
} rf_refusal;

/* Fills it and returns false, so that `return rf_refuse(r, …)` reads well in a check. The first
 * refusal stays. param may be NULL. */
bool rf_refuse(rf_refusal *refusal, rf_refusal_kind kind, const char *param, const char *fmt, ...)
    RF_PRINTF(4, 5);
/* The same from a failed call: what the request asked for is wrong, there is too much of it, or
 * the server failed. */
bool rf_refuse_status(rf_refusal *refusal, const char *param, const rf_error *err);

int rf_refusal_http_status(rf_refusal_kind kind);
const char *rf_refusal_code(rf_refusal_kind kind);
/* {"error":{"message","type","param","code"}}, as a whole body. */
void rf_refusal_write(const rf_refusal *refusal, rf_buf *out);
/* {"type":"error","error":{"type","message"},"request_id"}, as Anthropic has it. */
void rf_refusal_write_anthropic(const rf_refusal *refusal, const char *id, rf_buf *out);

#endif
