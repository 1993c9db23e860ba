/*
 * The thread that owns all connections: waits for sockets, for those that hang up and for exchanges
 * with news, and lets libmicrohttpd parse and send. Others reach it through the two functions that
 * say so.
 */
#ifndef RF_SERVER_HTTP_LOOP_H
#define RF_SERVER_HTTP_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "server/exchange.h"

struct MHD_Daemon;

/* What an event of the loop's epoll set belongs to. */
typedef enum rf_watch { RF_WATCH_WAKE, RF_WATCH_DAEMON, RF_WATCH_CONNECTION } rf_watch;

typedef struct rf_connection {
    rf_watch watch;
    struct rf_loop *loop;
    struct MHD_Connection *mhd;
    int fd;
    bool is_unix, has_left;  /* left: the peer has closed its side */
    uint64_t waits_since_ns; /* for the head of a request */
    rf_exchange *exchange;   /* the one that is in work, or NULL */
    struct rf_connection *previous, *next;
} rf_connection;

typedef struct rf_port { /* one listener's parser */
    rf_watch watch;
    struct rf_loop *loop;
    struct MHD_Daemon *daemon;
    bool is_unix;
} rf_port;

typedef struct rf_loop {
    struct rf_server *server;
    pthread_t thread;
    bool has_thread;
    int epoll_fd, wake_fd;
    rf_watch wake_watch;
    rf_port ports[8];
    size_t n_ports;
    rf_connection *connections;
    uint32_t n_connections;
    uint64_t body_bytes; /* of all bodies that are being read or worked on */
    char said[200];      /* libmicrohttpd's first complaint */
    atomic_bool stops, drains, woken;
    bool rests;           /* nothing was asked at the last tick, and unused memory was given back */
    pthread_mutex_t lock; /* of the list */
    rf_exchange *dirty;
} rf_loop;

RF_NODISCARD rf_status rf_loop_create(struct rf_server *server, rf_loop **out, rf_error *err);
void rf_loop_destroy(rf_loop *loop); /* closes all connections, joins; NULL is a no-op */
void rf_loop_drain(rf_loop *loop);   /* any thread: no more connections */

/* Any thread: the exchange has news. The loop sees it after the next rf_loop_wake. */
void rf_loop_mark(rf_loop *loop, rf_exchange *exchange);
void rf_loop_wake(rf_loop *loop);

#endif
