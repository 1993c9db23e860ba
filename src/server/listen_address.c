#include "server/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"

enum { BACKLOG = 4096, SEND_BUFFER_BYTES = 256 << 10 };

static rf_status fail_on(const char *address, const char *what, rf_error *err) {
    return rf_fail(err, RF_ERR_IO, "%s: %s: %s", address, what, strerror(errno));
}

static rf_status start(const char *address, int fd, const struct sockaddr *to, socklen_t n,
                       rf_error *err) {
    int bytes = SEND_BUFFER_BYTES;
    /* Bounds what the kernel keeps for a reader that does not read; sockets inherit it. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (bind(fd, to, n) != 0)
        return fail_on(address, "cannot bind", err);
    if (listen(fd, BACKLOG) != 0)
        return fail_on(address, "cannot listen", err);
    return RF_OK;
}

/* A socket that nobody listens on is left over from a server that was killed. */
static void remove_stale(const struct sockaddr_un *to) {
    struct stat info;
    if (lstat(to->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0 && errno == ECONNREFUSED)
        (void)unlink(to->sun_path);
    (void)close(fd);
}

static rf_status open_unix(const char *address, const char *path, rf_listener *out, rf_error *err) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof to.sun_path)
        return rf_fail(err, RF_ERR_USAGE, "%s: a path of %zu bytes, expected 1 to %zu", address, n,
                       sizeof to.sun_path - 1);
    memcpy(to.sun_path, path, n + 1);
    remove_stale(&to);
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (out->fd < 0)
        return fail_on(address, "cannot open a socket", err);
    out->is_unix = out->is_loopback = true;
    (void)snprintf(out->url, sizeof out->url, "unix:%s", path);
    mode_t mask = umask(0077); /* for this user alone; who wants more changes the mode */
    rf_status status = start(address, out->fd, (const struct sockaddr *)&to, sizeof to, err);
    (void)umask(mask);
    if (status == RF_OK)
        memcpy(out->path, path, n + 1);
    return status;
}

static bool is_loopback(const struct sockaddr *to) {
    if (to->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, to, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, to, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

static void name_url(const char *scheme, rf_listener *out) {
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    char host[INET6_ADDRSTRLEN] = "", port[8] = "";
    if (getsockname(out->fd, (struct sockaddr *)&bound, &n) != 0 ||
        getnameinfo((struct sockaddr *)&bound, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    bool v6 = bound.ss_family == AF_INET6;
    (void)snprintf(out->url, sizeof out->url, "%s://%s%s%s:%s", scheme, v6 ? "[" : "", host,
                   v6 ? "]" : "", port);
}

/* Only numbers and localhost: nothing is looked up in the network. */
static rf_status resolve(const char *address, const char *host, const char *port,
                         struct addrinfo **out, rf_error *err) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    int64_t number;
    bool in_range = rf_number_int(port, &number) && number >= 0 && number <= 65535;
    int failed = in_range ? getaddrinfo(numeric, port, &hints, out) : EAI_SERVICE;
    if (failed)
        return rf_fail(err, RF_ERR_USAGE,
                       "%s: %s; expected ADDRESS:PORT with a numeric address or localhost, or "
                       "unix:PATH",
                       address, gai_strerror(failed));
    return RF_OK;
}

static rf_status open_inet(const char *address, const char *scheme, const struct addrinfo *found,
                           bool remote, rf_listener *out, rf_error *err) {
    out->is_loopback = is_loopback(found->ai_addr);
    if (!out->is_loopback && !remote)
        return rf_fail(err, RF_ERR_USAGE,
                       "%s can be reached from other machines: expected --api-key, "
                       "--api-key-file or --insecure",
                       address);
    out->fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (out->fd < 0)
        return fail_on(address, "cannot open a socket", err);
    int on = 1;
    (void)setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (found->ai_family == AF_INET6)
        (void)setsockopt(out->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    RF_TRY(start(address, out->fd, found->ai_addr, found->ai_addrlen, err));
    name_url(scheme, out);
    return RF_OK;
}

rf_status rf_listener_open(const char *address, const char *scheme, bool remote, rf_listener *out,
                           rf_error *err) {
    *out = (rf_listener){.fd = -1};
    char host[RF_ADDRESS_BYTES];
    const char *colon = strrchr(address, ':'), *port = colon ? colon + 1 : address;
    rf_status status;
    if (strncmp(address, "unix:", 5) == 0) {
        status = open_unix(address, address + 5, out, err);
    } else if (colon && (size_t)(colon - address) >= sizeof host) {
        status = rf_fail(err, RF_ERR_USAGE, "%s: the address is too long", address);
    } else {
        size_t n = colon ? (size_t)(colon - address) : 0;
        bool bracket = n > 1 && address[0] == '[' && address[n - 1] == ']';
        (void)snprintf(host, sizeof host, "%.*s", (int)(bracket ? n - 2 : n), address + bracket);
        struct addrinfo *found = NULL;
        status = resolve(address, n > 0 ? host : "127.0.0.1", port, &found, err);
        if (status == RF_OK) {
            status = open_inet(address, scheme, found, remote, out, err);
            freeaddrinfo(found);
        }
    }
    if (status != RF_OK)
        rf_listener_close(out);
    return status;
}

void rf_listener_close(rf_listener *listener) {
    if (listener->fd >= 0)
        (void)close(listener->fd);
    if (listener->path[0])
        (void)unlink(listener->path);
    *listener = (rf_listener){.fd = -1};
}
