#include "gguf/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Live mappings, for a signal handler that must tell whose page is gone. Writers hold the lock;
 * readers see a slot through its begin, which is set last and cleared first. Mappings beyond the
 * table work like the others but are not recognised by the handler. */
enum { MAX_LIVE = 256 };
static struct {
    atomic_uintptr_t begin, end; /* begin is 0 in a free slot */
    _Atomic(const char *) path;
} live[MAX_LIVE];
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;

static int live_add(const void *bytes, uint64_t n, const char *path) {
    int slot = -1;
    (void)pthread_mutex_lock(&live_lock);
    for (int i = 0; i < MAX_LIVE && slot < 0; i++)
        if (atomic_load(&live[i].begin) == 0)
            slot = i;
    if (slot >= 0) {
        atomic_store(&live[slot].end, (uintptr_t)bytes + (uintptr_t)n);
        atomic_store(&live[slot].path, path);
        atomic_store(&live[slot].begin, (uintptr_t)bytes);
    }
    (void)pthread_mutex_unlock(&live_lock);
    return slot;
}

const char *rf_mapping_path_at(const void *address) {
    uintptr_t at = (uintptr_t)address;
    for (int i = 0; i < MAX_LIVE; i++) {
        uintptr_t begin = atomic_load(&live[i].begin);
        if (begin != 0 && at >= begin && at < atomic_load(&live[i].end))
            return atomic_load(&live[i].path);
    }
    return NULL;
}

static const char *kind_of(mode_t mode) {
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

static rf_status map_fd(rf_mapping *mapping, const char *path, rf_error *err) {
    struct stat info;
    if (fstat(mapping->fd, &info) != 0)
        return rf_fail(err, RF_ERR_IO, "%s: cannot read its size: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return rf_fail(err, RF_ERR_IO, "%s: found %s, expected a regular file", path,
                       kind_of(info.st_mode));
    if (info.st_size == 0)
        return RF_OK;
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, mapping->fd, 0);
    if (bytes == MAP_FAILED)
        return rf_fail(err, RF_ERR_IO, "%s: cannot map its %lld bytes: %s", path,
                       (long long)info.st_size, strerror(errno));
    mapping->bytes = bytes;
    mapping->n = (uint64_t)info.st_size;
    mapping->i_live = live_add(bytes, mapping->n, path);
    return RF_OK;
}

rf_status rf_mapping_open(rf_mapping *mapping, const char *path, rf_error *err) {
    *mapping = (rf_mapping){.i_live = -1};
    mapping->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (mapping->fd < 0)
        return rf_fail(err, errno == ENOENT ? RF_ERR_NOT_FOUND : RF_ERR_IO, "%s: cannot open: %s",
                       path, strerror(errno));
    rf_status status = map_fd(mapping, path, err);
    if (status != RF_OK)
        rf_mapping_close(mapping);
    return status;
}

rf_status rf_mapping_open_fd(rf_mapping *mapping, int fd, const char *path, rf_error *err) {
    *mapping = (rf_mapping){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .i_live = -1};
    if (mapping->fd < 0)
        return rf_fail(err, RF_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    rf_status status = map_fd(mapping, path, err);
    if (status != RF_OK)
        rf_mapping_close(mapping);
    return status;
}

void rf_mapping_borrow(rf_mapping *mapping, const void *bytes, size_t n) {
    *mapping = (rf_mapping){.bytes = bytes, .n = n, .fd = -1, .i_live = -1};
}

void rf_mapping_close(rf_mapping *mapping) {
    if (mapping->i_live >= 0)
        atomic_store(&live[mapping->i_live].begin, 0);
    if (mapping->fd >= 0) {
        if (mapping->bytes)
            (void)munmap((void *)(uintptr_t)mapping->bytes, (size_t)mapping->n);
        (void)close(mapping->fd);
    }
    *mapping = (rf_mapping){.fd = -1, .i_live = -1};
}

bool rf_mapping_unchanged(const rf_mapping *mapping) {
    struct stat info;
    if (mapping->fd < 0)
        return true;
    return fstat(mapping->fd, &info) == 0 && (uint64_t)info.st_size == mapping->n;
}
