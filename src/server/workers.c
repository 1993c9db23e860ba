#include "server/workers.h"

#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "server/routes.h"

enum { MAX_WORKERS = 64 };

struct rf_workers {
    pthread_t threads[MAX_WORKERS];
    uint32_t n;
    pthread_mutex_t lock;
    pthread_cond_t more;
    rf_exchange *first, *last;
    bool stops;
};

static void *run(void *user) {
    rf_workers *workers = user;
    pthread_mutex_lock(&workers->lock);
    while (!workers->stops) {
        rf_exchange *exchange = workers->first;
        if (!exchange) {
            pthread_cond_wait(&workers->more, &workers->lock);
            continue;
        }
        workers->first = exchange->next_work;
        pthread_mutex_unlock(&workers->lock);
        exchange->route->handle(exchange);
        rf_exchange_unref(exchange);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

rf_status rf_workers_create(uint32_t n, rf_workers **out, rf_error *err) {
    rf_workers *workers = rf_calloc(1, sizeof *workers);
    if (!workers || pthread_mutex_init(&workers->lock, NULL) != 0 ||
        pthread_cond_init(&workers->more, NULL) != 0) {
        rf_free(workers);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the server");
    }
    *out = workers;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = 0;
    for (uint32_t i = 0; i < n && i < MAX_WORKERS && !failed; i++) {
        failed = pthread_create(&workers->threads[i], NULL, run, workers);
        workers->n += failed == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? rf_fail(err, RF_ERR_IO, "no thread for the server: %s", strerror(failed))
                  : RF_OK;
}

void rf_workers_destroy(rf_workers *workers) {
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->stops = true;
    pthread_cond_broadcast(&workers->more);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->n; i++)
        (void)pthread_join(workers->threads[i], NULL);
    while (workers->first) {
        rf_exchange *next = workers->first->next_work;
        rf_exchange_unref(workers->first);
        workers->first = next;
    }
    (void)pthread_cond_destroy(&workers->more);
    (void)pthread_mutex_destroy(&workers->lock);
    rf_free(workers);
}

void rf_workers_push(rf_workers *workers, rf_exchange *exchange) {
    exchange->next_work = NULL;
    pthread_mutex_lock(&workers->lock);
    if (workers->first)
        workers->last->next_work = rf_exchange_ref(exchange);
    else
        workers->first = rf_exchange_ref(exchange);
    workers->last = exchange;
    pthread_cond_signal(&workers->more);
    pthread_mutex_unlock(&workers->lock);
}
