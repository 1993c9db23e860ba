/*
 * What stands behind a rocmforge_engine, and how events find their requests. No thread of the
 * library's own takes them: of the threads that wait for something, one takes events from the
 * engine for all, and hands this duty on when it has what it waited for.
 *
 * The shell lives until the last of its requests is closed; the engine in it until the engine's
 * handle is closed. Everything but object, model, n_ctx and numbers is guarded by lock.
 */
#ifndef RF_API_ENGINE_HANDLE_H
#define RF_API_ENGINE_HANDLE_H

#include <pthread.h>

#include "api/model_handle.h"
#include "engine/engine.h"

struct rf_api_request;

/* A request that the engine has. */
typedef struct rf_api_live {
    uint64_t id;
    struct rf_api_request *request; /* NULL: closed by its owner, nobody wants its events */
    bool cancels;                   /* the order to cancel is still to be sent */
} rf_api_live;

/* A thread that sleeps, on its own stack. */
typedef struct rf_api_waiter {
    pthread_cond_t *cond;
    const struct rf_api_request *request; /* NULL: any */
    struct rf_api_waiter *next;
} rf_api_waiter;

typedef struct rf_api_engine {
    rf_object object;
    rf_api_model *model; /* held, and its child */
    rf_model *bound;     /* for this engine's context */
    rf_api_model *draft; /* likewise held, or NULL; and bound */
    rf_model *bound_draft;
    uint32_t n_ctx;
    bool has_lock;
    pthread_mutex_t lock;
    pthread_cond_t idle; /* nobody takes events any more, while closing */
    rf_engine *engine;   /* NULL: closed */
    bool closing;
    uint32_t n_files;  /* that are being written or read */
    bool taking;       /* a thread takes events, without the lock */
    bool waiting;      /* a thread is inside rocmforge_engine_wait */
    rf_api_live *live; /* owned, [n_live] */
    size_t n_live, cap_live;
    struct rf_api_request *ready, *last_ready; /* those with events, in the order of their turns */
    rf_api_waiter *waiters;
} rf_api_engine;

RF_NODISCARD rocmforge_status rf_api_engine_take(const rocmforge_engine *handle,
                                                 rf_api_engine **out);

/* Sends a request to the engine; the lock is held. request->id is set. */
RF_NODISCARD rf_status rf_api_engine_submit(rf_api_engine *engine, struct rf_api_request *request,
                                            const rf_request *order, rf_error *err);
/* Asks for the end of a request that the engine has; the lock is held. */
void rf_api_engine_cancel(rf_api_engine *engine, const struct rf_api_request *request);
/* Its owner wants no more of it; the lock is held. */
void rf_api_engine_forget(rf_api_engine *engine, struct rf_api_request *request);

/* Takes one event for whomever, or sleeps until there is something for request (NULL: for any), the
 * deadline has passed (rf_clock_ns; UINT64_MAX: never) or somebody else stopped taking. The lock is
 * held, and given up in between. */
void rf_api_engine_turn(rf_api_engine *engine, const struct rf_api_request *request,
                        uint64_t deadline_ns);
/* To be called with the lock held by whoever stops waiting, and after a submit: somebody else takes
 * events from now on. */
void rf_api_engine_hand_over(rf_api_engine *engine);
/* The waiters of a request, or of any, look again; the lock is held. */
void rf_api_engine_wake(rf_api_engine *engine, const struct rf_api_request *request);

#endif
