#include "base/free_memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The number behind name in a small text file of the kernel; name "" is the file's first word.
 * UINT64_MAX when there is none. */
static uint64_t number_in(const char *path, const char *name) {
    char text[8192];
    uint64_t value = UINT64_MAX;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return UINT64_MAX;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strstr(text, name);
    if (!at || sscanf(at + strlen(name), " %" SCNu64, &value) != 1)
        return UINT64_MAX;
    return value;
}

uint64_t rf_free_memory(void) {
    uint64_t free_kib = number_in("/proc/meminfo", "MemAvailable:");
    uint64_t free_bytes = free_kib < UINT64_MAX >> 10 ? free_kib << 10 : UINT64_MAX;
    uint64_t limit = number_in("/sys/fs/cgroup/memory.max", "");
    uint64_t used = number_in("/sys/fs/cgroup/memory.current", "");
    uint64_t cache = number_in("/sys/fs/cgroup/memory.stat", "inactive_file ");
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return free_bytes;
    used -= cache < used ? cache : 0;
    uint64_t left = limit > used ? limit - used : 0;
    return left < free_bytes ? left : free_bytes;
}
