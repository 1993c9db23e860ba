/* Threads that do what may take its time with a body: parse, render, tokenise, submit. */
#ifndef RF_SERVER_WORKERS_H
#define RF_SERVER_WORKERS_H

#include "server/exchange.h"

typedef struct rf_workers rf_workers;

RF_NODISCARD rf_status rf_workers_create(uint32_t n, rf_workers **out, rf_error *err);
void rf_workers_destroy(rf_workers *workers); /* joins; what waits is dropped; NULL is a no-op */
/* Any thread. The exchange's handler runs on some worker; a reference is taken. The queue is as
 * long as the server lets requests in. */
void rf_workers_push(rf_workers *workers, rf_exchange *exchange);

#endif
