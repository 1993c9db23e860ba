/*
 * libmicrohttpd's callbacks: a request comes in, is let in or refused, and its answer goes out. On
 * the loop's thread.
 */
#ifndef RF_SERVER_HTTP_RECEIVE_H
#define RF_SERVER_HTTP_RECEIVE_H

#include <microhttpd.h>

#include "server/exchange.h"

enum MHD_Result rf_http_receive(void *port, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *n_upload, void **context);
void rf_http_completed(void *loop, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode how);

/* Queues the answer of an exchange that has one, as a whole or as a stream. */
enum MHD_Result rf_http_answer(rf_exchange *exchange, struct MHD_Connection *mhd);

#endif
