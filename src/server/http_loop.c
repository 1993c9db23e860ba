#include "server/http_loop.h"

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/http_receive.h"
#include "server/server_state.h"

/* GnuTLS: its safe defaults without what RFC 8996 has done away with. */
static const char TLS_VERSIONS[] = "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1:-VERS-DTLS-ALL";

enum {
    TICK_MS = 500,
    N_EVENTS = 256,
    IDLE_S = 75,                     /* between requests, and until the head is there */
    POOL_BYTES = 8 << 10,            /* of a connection: bounds its request's head */
    BODY_GRACE_S = 10,               /* a body has this long, and a second more */
    BODY_LEAST_BYTES_A_SECOND = 1024 /* for so many of its bytes */
};

void rf_loop_mark(rf_loop *loop, rf_exchange *exchange) {
    pthread_mutex_lock(&loop->lock);
    if (!exchange->is_dirty) {
        exchange->is_dirty = true;
        exchange->next_dirty = loop->dirty;
        loop->dirty = rf_exchange_ref(exchange);
    }
    pthread_mutex_unlock(&loop->lock);
}

void rf_loop_wake(rf_loop *loop) {
    uint64_t one = 1;
    if (!atomic_exchange(&loop->woken, true) && write(loop->wake_fd, &one, sizeof one) < 0)
        rf_log(RF_LOG_ERROR, "server", "cannot wake the loop: %s", strerror(errno));
}

/* ---- what happens in a turn ---------------------------------------------------------------- */

static void go_on(rf_exchange *exchange) {
    if (!exchange->connection || !exchange->suspended)
        return;
    exchange->suspended = false;
    MHD_resume_connection(exchange->connection->mhd);
}

static void take_news(rf_loop *loop) {
    uint64_t ignored;
    ssize_t n = read(loop->wake_fd, &ignored, sizeof ignored);
    (void)n; /* nothing to read: something else ended the wait */
    /* In this order: whoever finds the flag set has marked before the list is taken. */
    atomic_store(&loop->woken, false);
    pthread_mutex_lock(&loop->lock);
    rf_exchange *list = loop->dirty;
    loop->dirty = NULL;
    for (rf_exchange *e = list; e; e = e->next_dirty)
        e->is_dirty = false;
    /* next_dirty may change as soon as the lock is released: walk a list of our own. */
    rf_exchange *first = NULL;
    while (list) {
        rf_exchange *next = list->next_dirty;
        list->next_news = first;
        first = list;
        list = next;
    }
    pthread_mutex_unlock(&loop->lock);
    while (first) {
        rf_exchange *next = first->next_news;
        go_on(first);
        rf_exchange_unref(first);
        first = next;
    }
}

/* The peer has closed its side: it is taken to have left, also while nothing is being sent. */
static void hang_up(rf_connection *connection) {
    rf_exchange *exchange = connection->exchange;
    connection->has_left = true; /* what it has sent before is read; the rest never comes */
    if (!exchange || !exchange->handed_on)
        return;
    rf_exchange_abandon(exchange);
    go_on(exchange);
}

static void check_times(rf_connection *connection, uint64_t now_ns) {
    const uint64_t second = 1000000000;
    rf_exchange *exchange = connection->exchange;
    const rf_server_options *options = &connection->loop->server->options;
    bool late;
    if (!exchange) {
        late = now_ns - connection->waits_since_ns > IDLE_S * second;
    } else if (!exchange->handed_on) {
        uint64_t allowed_s = BODY_GRACE_S + exchange->body.len / BODY_LEAST_BYTES_A_SECOND;
        late = now_ns - exchange->begun_ns > allowed_s * second;
    } else {
        rf_exchange_time_out(exchange, now_ns);
        rf_exchange_ping(exchange, now_ns, options->ping_s * second);
        late = false;
    }
    if (late || (connection->has_left && !(exchange && exchange->handed_on)))
        (void)shutdown(connection->fd, SHUT_RDWR);
}

/* A server that was busy and rests keeps what it uses, not what it used. */
static void give_back_memory(rf_loop *loop) {
    bool rests = atomic_load(&loop->server->n_open) == 0;
    if (rests && !loop->rests)
        rf_alloc_return_unused();
    loop->rests = rests;
}

static void tick(rf_loop *loop) {
    uint64_t now_ns = rf_clock_ns();
    rf_server_watch(loop->server, now_ns);
    give_back_memory(loop);
    for (rf_connection *c = loop->connections; c; c = c->next)
        check_times(c, now_ns);
    if (atomic_exchange(&loop->drains, false)) {
        for (size_t i = 0; i < loop->n_ports; i++) {
            MHD_socket fd = MHD_quiesce_daemon(loop->ports[i].daemon);
            (void)fd; /* the server closes its listeners itself */
        }
    }
}

static int wait_ms(const rf_loop *loop) {
    unsigned long long least = TICK_MS, ms;
    for (size_t i = 0; i < loop->n_ports; i++)
        if (MHD_get_timeout(loop->ports[i].daemon, &ms) == MHD_YES && ms < least)
            least = ms;
    return (int)least;
}

static void *run(void *user) {
    rf_loop *loop = user;
    struct epoll_event events[N_EVENTS];
    uint64_t ticked_ns = 0;
    while (!atomic_load(&loop->stops)) {
        int n = epoll_wait(loop->epoll_fd, events, N_EVENTS, wait_ms(loop));
        for (int i = 0; i < n; i++)
            if (*(const rf_watch *)events[i].data.ptr == RF_WATCH_CONNECTION)
                hang_up(events[i].data.ptr);
        take_news(loop);
        uint64_t now_ns = rf_clock_ns();
        if (now_ns - ticked_ns >= (uint64_t)TICK_MS * 1000000 || atomic_load(&loop->drains)) {
            ticked_ns = now_ns;
            tick(loop);
        }
        for (size_t i = 0; i < loop->n_ports; i++)
            (void)MHD_run(loop->ports[i].daemon);
    }
    return NULL;
}

/* ---- connections --------------------------------------------------------------------------- */

static void open_connection(rf_port *port, struct MHD_Connection *mhd, void **context) {
    rf_loop *loop = port->loop;
    rf_connection *connection = rf_calloc(1, sizeof *connection);
    if (!connection)
        return; /* its requests are refused */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    *connection = (rf_connection){.watch = RF_WATCH_CONNECTION,
                                  .loop = loop,
                                  .mhd = mhd,
                                  .fd = info ? info->connect_fd : -1,
                                  .is_unix = port->is_unix,
                                  .waits_since_ns = rf_clock_ns(),
                                  .next = loop->connections};
    if (loop->connections)
        loop->connections->previous = connection;
    loop->connections = connection;
    loop->n_connections++;
    (void)atomic_fetch_add(&loop->server->n_connections, 1);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    *context = connection;
}

static void close_connection(rf_connection *connection, void **context) {
    if (!connection)
        return;
    rf_loop *loop = connection->loop;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        loop->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    loop->n_connections--;
    (void)atomic_fetch_sub(&loop->server->n_connections, 1);
    rf_free(connection);
    *context = NULL;
}

static void on_connection(void *user, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        open_connection(user, mhd, context);
    else
        close_connection(*context, context);
}

static void on_log(void *user, const char *format, va_list args) RF_PRINTF(2, 0);
static void on_log(void *user, const char *format, va_list args) {
    rf_loop *loop = user;
    char text[sizeof loop->said];
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = 0;
    if (!loop->said[0]) /* the cause comes first, what it leads to follows */
        memcpy(loop->said, text, sizeof text);
    rf_log(RF_LOG_DEBUG, "http", "%s", text);
}

/* Paths are compared as they were sent: nothing in them is decoded. */
static size_t keep_escapes(void *user, struct MHD_Connection *mhd, char *path) {
    (void)user;
    (void)mhd;
    return strlen(path);
}

/* ---- life ---------------------------------------------------------------------------------- */

static rf_status open_port(rf_loop *loop, const rf_listener *listener, rf_error *err) {
    rf_port *port = &loop->ports[loop->n_ports];
    *port = (rf_port){.watch = RF_WATCH_DAEMON, .loop = loop, .is_unix = listener->is_unix};
    const rf_server_options *options = &loop->server->options;
    bool tls = options->tls_key && !listener->is_unix;
    struct MHD_OptionItem tls_items[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->tls_key},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->tls_cert},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_VERSIONS},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none = {MHD_OPTION_END, 0, NULL};
    port->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0U), 0,
        NULL, NULL, rf_http_receive, port, MHD_OPTION_EXTERNAL_LOGGER, on_log, loop,
        MHD_OPTION_LISTEN_SOCKET, listener->fd, MHD_OPTION_CONNECTION_LIMIT,
        options->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED,
        rf_http_completed, loop, MHD_OPTION_NOTIFY_CONNECTION, on_connection, port,
        MHD_OPTION_ARRAY, tls ? tls_items : &none, MHD_OPTION_END);
    if (!port->daemon)
        return rf_fail(err, RF_ERR_IO, "%s: libmicrohttpd did not start: %s", listener->url,
                       loop->said[0] ? loop->said : "no reason was given");
    loop->n_ports++;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = port};
    if (!info || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) != 0)
        return rf_fail(err, RF_ERR_IO, "epoll: %s", strerror(errno));
    return RF_OK;
}

static rf_status start_thread(rf_loop *loop, rf_error *err) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&loop->thread, NULL, run, loop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return rf_fail(err, RF_ERR_IO, "no thread for the server: %s", strerror(failed));
    loop->has_thread = true;
    return RF_OK;
}

static rf_status open_loop(rf_loop *loop, rf_error *err) {
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->wake_watch = RF_WATCH_WAKE;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &loop->wake_watch};
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0)
        return rf_fail(err, RF_ERR_IO, "epoll: %s", strerror(errno));
    for (size_t i = 0; i < loop->server->n_listeners; i++)
        RF_TRY(open_port(loop, &loop->server->listeners[i], err));
    return start_thread(loop, err);
}

rf_status rf_loop_create(struct rf_server *server, rf_loop **out, rf_error *err) {
    rf_loop *loop = rf_calloc(1, sizeof *loop);
    if (!loop || pthread_mutex_init(&loop->lock, NULL) != 0) {
        rf_free(loop);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the server");
    }
    loop->server = server;
    loop->epoll_fd = loop->wake_fd = -1;
    *out = loop; /* exchanges find it there from the first connection on */
    rf_status status = open_loop(loop, err);
    if (status != RF_OK) {
        rf_loop_destroy(loop);
        *out = NULL;
    }
    return status;
}

void rf_loop_drain(rf_loop *loop) {
    atomic_store(&loop->drains, true);
    rf_loop_wake(loop);
}

/* A parser may not be stopped while one of its connections is suspended. */
static void resume_all(rf_loop *loop) {
    for (rf_connection *c = loop->connections; c; c = c->next) {
        if (!c->exchange)
            continue;
        rf_exchange_abandon(c->exchange);
        go_on(c->exchange);
    }
}

void rf_loop_destroy(rf_loop *loop) {
    if (!loop)
        return;
    atomic_store(&loop->stops, true);
    if (loop->has_thread) {
        rf_loop_wake(loop);
        (void)pthread_join(loop->thread, NULL);
    }
    resume_all(loop);
    for (size_t i = 0; i < loop->n_ports; i++) {
        MHD_socket fd = MHD_quiesce_daemon(loop->ports[i].daemon);
        (void)fd; /* the server closes its listeners itself */
        (void)MHD_run(loop->ports[i].daemon);
        MHD_stop_daemon(loop->ports[i].daemon);
    }
    while (loop->dirty) {
        rf_exchange *next = loop->dirty->next_dirty;
        rf_exchange_unref(loop->dirty);
        loop->dirty = next;
    }
    if (loop->epoll_fd >= 0)
        (void)close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        (void)close(loop->wake_fd);
    (void)pthread_mutex_destroy(&loop->lock);
    rf_free(loop);
}
