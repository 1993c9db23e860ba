/*
 * What stands behind a rocmforge_request: events that came from the engine and were not taken yet,
 * and the answers that become of them. Guarded by the engine's lock, but for what belongs to the
 * one thread that takes events (request->reads).
 */
#ifndef RF_API_REQUEST_HANDLE_H
#define RF_API_REQUEST_HANDLE_H

#include "api/engine_handle.h"
#include "base/arena.h"
#include "text/answer_text.h"

/* An event as it came; in one piece of memory. */
typedef struct rf_api_note {
    struct rf_api_note *next;
    rf_event_kind kind;
    uint32_t choice, n_top, n_generated, n_cached;
    int32_t token;
    float logprob;
    rf_finish finish;
    rf_status status;
    bool last, has_scores, has_embedding;
    uint32_t n_drafted, n_accepted;
    rf_kv_span kv;
    uint64_t kv_bytes;
    /* alternatives, scores, a vector or contents of the cache; or the error's text */
    _Alignas(8) unsigned char payload[];
} rf_api_note;

typedef struct rf_api_choice {
    rf_answer_text text;
    uint32_t n_generated;
    bool done;
} rf_api_choice;

typedef struct rf_api_request {
    rf_object object;
    rocmforge_request *handle; /* NULL: of rocmforge_run */
    rf_api_engine *engine;     /* held */
    /* As asked. */
    int32_t kind;
    uint32_t n_new, n_choices, n_prompt, n_top, scores_from;
    bool ignore_end;
    int64_t seed;
    void *user;
    rf_arena texts; /* copies of the stop texts */
    /* Under the engine's lock. */
    uint64_t id;
    bool in_engine; /* its last event has not come yet */
    bool closed;
    bool lost;  /* there was no memory for an event */
    bool reads; /* a thread takes events */
    rf_api_note *first, *last;
    bool is_ready; /* in the engine's list */
    struct rf_api_request *next_ready;
    /* Of the thread that takes events. */
    rf_api_choice *choices; /* owned, [n_choices] */
    uint32_t n_done;
    bool ended;               /* its last event is in todo, or was given */
    rf_api_note *note;        /* what todo points into; owned */
    rocmforge_event *todo;    /* owned, [n_choices + 3] */
    uint32_t n_todo, at_todo; /* of them given */
    int32_t finish;           /* what the last event will say, where it is known already; or 0 */
    uint32_t finish_choice;
    rf_error err; /* with ROCMFORGE_FINISH_FAILED */
} rf_api_request;

RF_NODISCARD rocmforge_status rf_api_request_take(const rocmforge_request *handle,
                                                  rf_api_request **out);
/* Without anything asked; one holder. NULL: no memory. */
rf_api_request *rf_api_request_new(rf_api_engine *engine);
/* Fills *out, a struct of this library's, with the next event. */
RF_NODISCARD rocmforge_status rf_api_request_await(rf_api_request *request, rocmforge_event *out,
                                                   int64_t timeout_ms);
/* The holder's handle is gone: nobody takes events any more. Drops it. */
void rf_api_request_end(rf_api_request *request);

/* rf_clock_ns of the end of a time to wait; negative: UINT64_MAX. */
uint64_t rf_api_deadline(int64_t timeout_ms);

/* With the engine's lock: a copy of an event for whoever takes it; false: no memory. */
bool rf_api_request_give(rf_api_request *request, const rf_event *event);
/* To the end of the list of those with events; out of it. */
void rf_api_request_ready(rf_api_request *request);
void rf_api_request_unready(rf_api_request *request);

/* Turns a note into todo, which may stay empty; takes the note. True: the engine is to end the
 * request. */
bool rf_api_answer_note(rf_api_request *request, rf_api_note *note);
/* The last event of a request that gets no more notes. */
void rf_api_answer_closed(rf_api_request *request);

#endif
