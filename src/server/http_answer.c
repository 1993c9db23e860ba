/* Answers go out: whole bodies are handed to libmicrohttpd, streams are read as they come. */
#include <errno.h>
#include <stdio.h>

#include "server/http_loop.h"
#include "server/http_origin.h"
#include "server/http_receive.h"
#include "server/routes.h"
#include "server/server_state.h"

enum { STREAM_BLOCK_BYTES = 1024 };

/* What is there of a stream. Asked again when the connection is resumed or can take more. */
static ssize_t read_stream(void *user, uint64_t at, char *out, size_t n) {
    rf_exchange *exchange = user;
    (void)at;
    pthread_mutex_lock(&exchange->lock);
    size_t there = exchange->out.len - exchange->out_at;
    size_t take = there < n ? there : n;
    bool ended = exchange->ended, broken = exchange->broken;
    if (take > 0 && !broken) {
        memcpy(out, exchange->out.data + exchange->out_at, take);
        exchange->out_at += take;
    }
    pthread_mutex_unlock(&exchange->lock);
    if (broken)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    exchange->n_sent += take;
    if (take > 0)
        return (ssize_t)take;
    if (ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection->mhd);
    return 0;
}

static void release(void *user) { rf_exchange_unref(user); }

static struct MHD_Response *make_response(rf_exchange *exchange) {
    if (exchange->phase == RF_EXCHANGE_STREAM) {
        struct MHD_Response *made = MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream, exchange, release);
        if (made)
            (void)rf_exchange_ref(exchange);
        return made;
    }
    exchange->n_sent = exchange->out.len;
    /* The exchange outlives its answer: completed drops the loop's reference after it was sent. */
    return MHD_create_response_from_buffer(exchange->out.len, exchange->out.data,
                                           MHD_RESPMEM_PERSISTENT);
}

static bool add_headers(const rf_exchange *exchange, struct MHD_Response *response) {
    char number[16];
    bool ok = !exchange->content_type ||
              MHD_add_response_header(response, "Content-Type", exchange->content_type) == MHD_YES;
    ok &= MHD_add_response_header(response, "X-Request-Id", exchange->id) == MHD_YES;
    if (rf_route_is_anthropic(exchange->route))
        ok &= MHD_add_response_header(response, "Request-Id", exchange->id) == MHD_YES;
    if (exchange->phase == RF_EXCHANGE_STREAM) {
        ok &= MHD_add_response_header(response, "Cache-Control", "no-cache") == MHD_YES;
        ok &= MHD_add_response_header(response, "X-Accel-Buffering", "no") == MHD_YES;
    }
    if (exchange->retry_after_s > 0) {
        (void)snprintf(number, sizeof number, "%u", exchange->retry_after_s);
        ok &= MHD_add_response_header(response, "Retry-After", number) == MHD_YES;
    }
    if (exchange->allow)
        ok &= MHD_add_response_header(response, "Allow", exchange->allow) == MHD_YES;
    if (exchange->status == 401)
        ok &= MHD_add_response_header(response, "WWW-Authenticate", "Bearer") == MHD_YES;
    if (exchange->closes || atomic_load(&exchange->server->draining))
        ok &= MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    return ok;
}

enum MHD_Result rf_http_answer(rf_exchange *exchange, struct MHD_Connection *mhd) {
    pthread_mutex_lock(&exchange->lock);
    struct MHD_Response *response = make_response(exchange);
    bool ok = response && add_headers(exchange, response) &&
              rf_origin_add_headers(exchange, mhd, response);
    unsigned status = (unsigned)exchange->status;
    pthread_mutex_unlock(&exchange->lock);
    enum MHD_Result queued = ok ? MHD_queue_response(mhd, status, response) : MHD_NO;
    if (response)
        MHD_destroy_response(response);
    return queued;
}
