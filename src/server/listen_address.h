/*
 * Addresses to listen on: "HOST:PORT", "[V6]:PORT", "PORT" and "unix:PATH". Main thread.
 */
#ifndef RF_SERVER_LISTEN_ADDRESS_H
#define RF_SERVER_LISTEN_ADDRESS_H

#include <stdbool.h>

#include "base/status.h"

enum { RF_ADDRESS_BYTES = 160 };

typedef struct rf_listener {
    int fd;
    bool is_unix;
    bool is_loopback;            /* unix sockets too */
    char path[RF_ADDRESS_BYTES]; /* of a unix socket; removed when it is closed */
    char url[RF_ADDRESS_BYTES];
} rf_listener;

/* Opens, binds and listens. remote: other addresses than loopback are allowed. scheme: of its url,
 * "http" or "https"; unix sockets have none. */
RF_NODISCARD rf_status rf_listener_open(const char *address, const char *scheme, bool remote,
                                        rf_listener *out, rf_error *err);
void rf_listener_close(rf_listener *listener);

#endif
