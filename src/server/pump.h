/*
 * The engine's only client: submits answers, takes the engine's events on a thread of its own and
 * feeds them to the answers, and wakes the loop once for all events of a step.
 */
#ifndef RF_SERVER_PUMP_H
#define RF_SERVER_PUMP_H

#include "server/answer.h"

typedef struct rf_pump rf_pump;

RF_NODISCARD rf_status rf_pump_create(struct rf_server *server, rf_pump **out, rf_error *err);
/* Joins the thread: events are taken no more. */
void rf_pump_stop(rf_pump *pump);
void rf_pump_destroy(rf_pump *pump); /* NULL is a no-op; what is left is dropped */

/* All prompts of an answer, which the pump owns on success. RF_ERR_LIMIT: no room now. */
RF_NODISCARD rf_status rf_pump_submit(rf_pump *pump, rf_answer *answer, rf_error *err);
/* What the engine has now, up to n of it: any thread. */
typedef struct rf_pump_task {
    uint64_t id;
    size_t n_tokens; /* of the prompt */
    char request_id[RF_REQUEST_ID_BYTES];
} rf_pump_task;
size_t rf_pump_list(rf_pump *pump, rf_pump_task *out, size_t n);
/* Any thread, while the answer is attached to its exchange: its prompts end soon. */
void rf_pump_cancel(rf_pump *pump, rf_answer *answer, bool timed_out);

#endif
