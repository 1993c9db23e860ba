#include "cli/service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"

void rf_service_say(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') /* an abstract name */
        to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    (void)close(fd);
}

void rf_service_beat(void) {
    static uint64_t told_ns;
    const char *usec = getenv("WATCHDOG_USEC");
    int64_t every_us;
    if (!usec || !rf_number_int(usec, &every_us) || every_us <= 0)
        return;
    uint64_t now_ns = rf_clock_ns();
    if (now_ns - told_ns < (uint64_t)every_us * 500)
        return;
    told_ns = now_ns;
    rf_service_say("WATCHDOG=1");
}
