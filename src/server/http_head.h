/*
 * The head of a request: what libmicrohttpd lets through and is not to be trusted, and who may
 * come in. On the loop's thread.
 */
#ifndef RF_SERVER_HTTP_HEAD_H
#define RF_SERVER_HTTP_HEAD_H

#include <stdbool.h>

#include "server/refusal.h"

struct MHD_Connection;

/* Texts are borrowed from the connection, valid while its request is in work. */
typedef struct rf_head {
    bool is_1_1;
    uint32_t n_hosts, n_lengths, n_encodings;
    bool malformed;
    rf_str host, length, encoding, content_encoding, origin;
    rf_str asked_method; /* by a browser that asks whether a page may send the real request */
    rf_str authorization, api_key, request_id, traceparent;
} rf_head;

void rf_head_read(struct MHD_Connection *mhd, const char *version, rf_head *out);
/* Framing: conflicting lengths, unknown encodings, names and values that are none. What follows
 * such a head is not to be trusted: the connection closes. */
bool rf_head_check(const rf_head *head, bool takes_body, rf_refusal *refusal);
/* The key that the request shows, or empty. */
rf_str rf_head_key(const rf_head *head);
/* W3C's Trace Context, version 00: hexadecimal digits of the right number, ids not zero. */
bool rf_head_trace(const rf_head *head, rf_str *out);
/* Bytes of the body; false: unknown (chunked). */
bool rf_head_length(const rf_head *head, uint64_t *out);

#endif
