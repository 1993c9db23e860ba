/*
 * Pages in browsers: which may ask, and what their browsers must be told (Fetch's CORS protocol).
 * On the loop's thread.
 */
#ifndef RF_SERVER_HTTP_ORIGIN_H
#define RF_SERVER_HTTP_ORIGIN_H

#include "server/exchange.h"
#include "server/http_head.h"

struct MHD_Response;

/* Refuses a page of another site that is not in the list, and a browser that was told that a
 * foreign name is this machine; checks_host: only names of this machine are taken. Sets
 * exchange->crosses. */
bool rf_origin_check(rf_exchange *exchange, const rf_head *head, bool checks_host);
/* The browser asks first, for a page that may: there is no body, no key and nothing to be done. */
bool rf_origin_is_preflight(const rf_exchange *exchange, const rf_head *head, const char *method);
/* Adds what lets the page see the answer. */
bool rf_origin_add_headers(const rf_exchange *exchange, struct MHD_Connection *mhd,
                           struct MHD_Response *response);

#endif
