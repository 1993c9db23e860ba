#include "server/http_receive.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "chat/messages.h"
#include "server/http_head.h"
#include "server/http_loop.h"
#include "server/http_origin.h"
#include "server/metrics.h"
#include "server/routes.h"
#include "server/server_state.h"
#include "server/workers.h"

enum {
    LINE_BYTES = 2048,
    DISCARD_BYTES = 64 << 10,    /* of a refused body are read, so that the connection lives on */
    ALL_BODIES_BYTES = 256 << 20 /* that are in memory at once */
};

/* ---- who may come in ----------------------------------------------------------------------- */

static bool has_keys(struct rf_server *server) {
    pthread_mutex_lock(&server->keys_lock);
    bool has = server->keys && server->keys->n > 0;
    pthread_mutex_unlock(&server->keys_lock);
    return has;
}

static bool find_key(rf_exchange *exchange, rf_str shown) {
    struct rf_server *server = exchange->server;
    pthread_mutex_lock(&server->keys_lock);
    const rf_api_key *key = server->keys ? rf_api_keys_find(server->keys, shown) : NULL;
    if (key)
        memcpy(exchange->key_name, key->name, sizeof exchange->key_name);
    pthread_mutex_unlock(&server->keys_lock);
    return key != NULL;
}

static bool check_key(rf_exchange *exchange, const rf_head *head) {
    if (exchange->route->access == RF_ACCESS_OPEN || !has_keys(exchange->server))
        return true;
    rf_str shown = rf_head_key(head);
    return find_key(exchange, shown) ||
           rf_refuse(&exchange->refusal, RF_REFUSE_KEY, NULL,
                     shown.len > 0 ? "the API key is not known"
                                   : "an API key is expected: Authorization: Bearer KEY");
}

static bool check_length(rf_exchange *exchange, const rf_head *head) {
    uint64_t n;
    size_t most = exchange->server->options.max_body_bytes;
    if (!rf_head_length(head, &n) || n <= most)
        return true;
    return rf_refuse(&exchange->refusal, RF_REFUSE_BODY, NULL,
                     "a body of %llu bytes, expected at most %zu", (unsigned long long)n, most);
}

static bool check_room(rf_exchange *exchange) {
    struct rf_server *server = exchange->server;
    if (atomic_load(&server->draining)) {
        exchange->refusal.closes = true;
        exchange->refusal.retry_after_s = 5;
        return rf_refuse(&exchange->refusal, RF_REFUSE_DRAINING, NULL,
                         "the server is shutting down");
    }
    uint32_t most = server->options.max_running;
    if (atomic_load(&server->n_running) < most)
        return true;
    exchange->refusal.retry_after_s = rf_metrics_retry_after_s(&server->metrics, most);
    return rf_refuse(&exchange->refusal, RF_REFUSE_BUSY, NULL,
                     "%u requests are in work or waiting, which is as many as are taken", most);
}

/* A client's own id if it is plain, else one of ours. */
static void name_request(rf_exchange *exchange, rf_str given) {
    bool plain = given.len > 0 && given.len < sizeof exchange->id;
    for (size_t i = 0; plain && i < given.len; i++) {
        char c = given.ptr[i];
        plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                c == '-' || c == '_' || c == '.';
    }
    if (plain)
        memcpy(exchange->id, given.ptr, given.len);
    else
        rf_server_make_id("req_", exchange->id, sizeof exchange->id);
}

static bool let_in(rf_exchange *exchange, const rf_head *head, const char *method,
                   const char *url) {
    rf_refusal *refusal = &exchange->refusal;
    rf_str tail = {0}, path = rf_str_of(url);
    const rf_route *route = rf_route_find(rf_str_of(method), path, &tail, refusal);
    exchange->route = route;
    if (!route && refusal->kind == RF_REFUSE_METHOD)
        exchange->allow = rf_route_allow(path);
    rf_refusal framing = {0}; /* is told before what the table says */
    if (!rf_head_check(head, route && route->body == RF_BODY_JSON, &framing)) {
        *refusal = framing;
        return false;
    }
    if (!rf_origin_check(exchange, head,
                         !has_keys(exchange->server) && !exchange->server->options.insecure &&
                             !exchange->connection->is_unix))
        return false;
    if (rf_origin_is_preflight(exchange, head, method)) {
        *refusal = (rf_refusal){0};
        exchange->is_preflight = true;
        return true;
    }
    if (!route || !check_key(exchange, head))
        return false;
    if (tail.len >= sizeof exchange->tail)
        return rf_refuse(refusal, RF_REFUSE_PATH, NULL, "a name of %zu bytes, expected at most %zu",
                         tail.len, sizeof exchange->tail - 1);
    if (tail.len > 0)
        memcpy(exchange->tail, tail.ptr, tail.len);
    return route->body == RF_BODY_NONE || (check_length(exchange, head) && check_room(exchange));
}

/* ---- a request comes in -------------------------------------------------------------------- */

static rf_exchange *begin(rf_port *port, struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    rf_connection *connection = info ? info->socket_context : NULL;
    rf_exchange *exchange = connection ? rf_exchange_create(port->loop->server) : NULL;
    if (!exchange)
        return NULL;
    exchange->connection = connection;
    connection->exchange = exchange;
    (void)atomic_fetch_add(&exchange->server->n_open, 1);
    return exchange;
}

/* False: the connection cannot go on after the refusal. */
static bool can_discard(const rf_exchange *exchange, const rf_head *head) {
    uint64_t n = 0;
    bool known = head->n_encodings == 0 && (head->n_lengths == 0 || rf_head_length(head, &n));
    return known && n <= DISCARD_BYTES && !exchange->refusal.closes;
}

/* Address and port, for the log. */
static void name_client(rf_exchange *exchange, struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[RF_CLIENT_BYTES - 8], port[8];
    socklen_t n = info && info->client_addr && info->client_addr->sa_family == AF_INET6
                      ? sizeof(struct sockaddr_in6)
                      : sizeof(struct sockaddr_in);
    if (exchange->connection->is_unix || !info || !info->client_addr ||
        getnameinfo(info->client_addr, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(exchange->client, sizeof exchange->client, "unix");
    else
        (void)snprintf(exchange->client, sizeof exchange->client, "%s:%s", host, port);
}

static enum MHD_Result take_head(rf_port *port, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, void **context) {
    rf_exchange *exchange = begin(port, mhd);
    if (!exchange)
        return MHD_NO;
    *context = exchange;
    rf_head head;
    rf_head_read(mhd, version, &head);
    name_request(exchange, head.request_id);
    rf_str trace;
    if (rf_head_trace(&head, &trace))
        memcpy(exchange->traceparent, trace.ptr, trace.len);
    if (exchange->server->options.on_request)
        name_client(exchange, mhd);
    if (let_in(exchange, &head, method, url) || can_discard(exchange, &head))
        return MHD_YES;
    exchange->refusal.closes = true;
    exchange->handed_on = true;
    rf_exchange_refuse(exchange, &exchange->refusal);
    return rf_http_answer(exchange, mhd);
}

static enum MHD_Result take_body(rf_exchange *exchange, const char *bytes, size_t n) {
    rf_loop *loop = exchange->connection->loop;
    exchange->n_received += n;
    if (exchange->refusal.kind != RF_REFUSE_NOTHING)
        return exchange->n_received <= exchange->server->options.max_body_bytes + DISCARD_BYTES
                   ? MHD_YES
                   : MHD_NO;
    loop->body_bytes += n;
    rf_buf_append(&exchange->body, bytes, n);
    size_t most = exchange->server->options.max_body_bytes;
    if (exchange->n_received > most)
        (void)rf_refuse(&exchange->refusal, RF_REFUSE_BODY, NULL,
                        "a body of more than %zu bytes, expected at most that", most);
    else if (exchange->body.failed || loop->body_bytes > ALL_BODIES_BYTES)
        (void)rf_refuse(&exchange->refusal, RF_REFUSE_BUSY, NULL,
                        "the bodies of all requests take more than %d bytes", ALL_BODIES_BYTES);
    if (exchange->refusal.kind != RF_REFUSE_NOTHING) {
        loop->body_bytes -= exchange->body.len;
        rf_buf_deinit(&exchange->body);
        rf_buf_init(&exchange->body, most);
    }
    return MHD_YES;
}

static enum MHD_Result wait_for_answer(rf_exchange *exchange, struct MHD_Connection *mhd) {
    exchange->suspended = true;
    MHD_suspend_connection(mhd);
    return MHD_YES;
}

/* All of it is there. */
static enum MHD_Result hand_on(rf_exchange *exchange, struct MHD_Connection *mhd) {
    exchange->handed_on = true;
    if (exchange->refusal.kind != RF_REFUSE_NOTHING) {
        rf_exchange_refuse(exchange, &exchange->refusal);
        return rf_http_answer(exchange, mhd);
    }
    if (exchange->is_preflight) {
        rf_exchange_reply(exchange, NULL, &exchange->body);
        exchange->status = MHD_HTTP_NO_CONTENT;
        return rf_http_answer(exchange, mhd);
    }
    if (exchange->route->place == RF_PLACE_LOOP) {
        exchange->route->handle(exchange);
        return rf_http_answer(exchange, mhd);
    }
    rf_exchange_count(exchange);
    rf_workers_push(exchange->server->workers, exchange);
    return wait_for_answer(exchange, mhd);
}

enum MHD_Result rf_http_receive(void *port, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *n_upload, void **context) {
    rf_exchange *exchange = *context;
    if (!exchange)
        return take_head(port, mhd, url, method, version, context);
    if (*n_upload > 0) {
        size_t n = *n_upload;
        *n_upload = 0;
        return take_body(exchange, upload, n);
    }
    if (!exchange->handed_on)
        return hand_on(exchange, mhd);
    pthread_mutex_lock(&exchange->lock);
    bool broken = exchange->broken, works = exchange->phase == RF_EXCHANGE_WORKING;
    pthread_mutex_unlock(&exchange->lock);
    if (broken)
        return MHD_NO;
    return works ? wait_for_answer(exchange, mhd) : rf_http_answer(exchange, mhd);
}

/* ---- and is over --------------------------------------------------------------------------- */

static void write_account(const rf_account *account, rf_buf *out) {
    if (account->finish)
        rf_buf_printf(out,
                      ",\"finish\":\"%s\",\"prompt_tokens\":%llu,\"cached_tokens\":%llu,"
                      "\"generated_tokens\":%llu,\"queue_ms\":%.1f,\"ttft_ms\":%.1f",
                      account->finish, (unsigned long long)account->n_prompt,
                      (unsigned long long)account->n_cached,
                      (unsigned long long)account->n_generated, (double)account->queue_ns / 1e6,
                      (double)account->ttft_ns / 1e6);
}

static double unix_seconds(void) {
    struct timespec now;
    return clock_gettime(CLOCK_REALTIME, &now) == 0 ? (double)now.tv_sec + (double)now.tv_nsec / 1e9
                                                    : 0;
}

/* Behind the exchange's lock. */
static void log_request(const rf_exchange *exchange, bool whole) {
    const rf_server_options *options = &exchange->server->options;
    rf_buf line;
    if (!options->on_request)
        return;
    rf_buf_init(&line, LINE_BYTES);
    rf_buf_printf(&line,
                  "{\"time\":%.3f,\"id\":\"%s\",\"client\":\"%s\",\"route\":", unix_seconds(),
                  exchange->id, exchange->client);
    rf_json_append_string(&line, exchange->route ? exchange->route->path : RF_STR("-"));
    rf_buf_printf(&line, ",\"status\":%d,\"ms\":%.1f,\"body_bytes\":%llu,\"sent_bytes\":%llu",
                  exchange->status, (double)(rf_clock_ns() - exchange->begun_ns) / 1e6,
                  (unsigned long long)exchange->n_received, (unsigned long long)exchange->n_sent);
    write_account(&exchange->account, &line);
    if (exchange->key_name[0]) {
        rf_buf_text(&line, ",\"key\":");
        rf_json_append_string(&line, rf_str_of(exchange->key_name));
    }
    if (exchange->traceparent[0])
        rf_buf_printf(&line, ",\"traceparent\":\"%s\"", exchange->traceparent);
    rf_buf_text(&line, whole ? "}" : ",\"left\":true}");
    rf_buf_put(&line, 0);
    if (!line.failed)
        options->on_request(options->user, line.data);
    rf_buf_deinit(&line);
}

void rf_http_completed(void *user, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode how) {
    rf_loop *loop = user;
    rf_exchange *exchange = *context;
    (void)mhd;
    if (!exchange)
        return;
    *context = NULL;
    bool whole = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (!whole)
        rf_exchange_abandon(exchange);
    rf_exchange_uncount(exchange);
    pthread_mutex_lock(&exchange->lock);
    rf_metrics_count_status(&exchange->server->metrics, exchange->status);
    log_request(exchange, whole);
    pthread_mutex_unlock(&exchange->lock);
    if (exchange->refusal.kind == RF_REFUSE_NOTHING)
        loop->body_bytes -= exchange->body.len;
    exchange->connection->exchange = NULL;
    exchange->connection->waits_since_ns = rf_clock_ns();
    exchange->connection = NULL;
    (void)atomic_fetch_sub(&exchange->server->n_open, 1);
    rf_exchange_unref(exchange);
}
