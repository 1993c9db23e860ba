#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

enum { MODE = 0666, MAX_TRIES = 100 };

static const char *base_name(const rf_outfile *file) {
    const char *slash = strrchr(file->path, '/');
    return slash ? slash + 1 : file->path;
}

static void next_temp_name(rf_outfile *file) {
    static atomic_uint n_names;
    (void)snprintf(file->temp, sizeof file->temp, ".rocmforge-%ld-%u.tmp", (long)getpid(),
                   atomic_fetch_add(&n_names, 1));
}

static int open_folder(const rf_outfile *file) {
    const char *name = base_name(file);
    if (name == file->path)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *folder = rf_strndup(file->path, (size_t)(name - file->path));
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int saved = folder ? errno : ENOMEM;
    rf_free(folder);
    errno = saved;
    return fd;
}

/* Without a name if the file system can, else under a temporary one. */
static int open_temp(rf_outfile *file) {
    int fd = openat(file->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, MODE);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    for (int i = 0; i < MAX_TRIES && fd < 0; i++) {
        next_temp_name(file);
        fd = openat(file->dir_fd, file->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0)
        file->temp[0] = 0; /* the name, if it is there, is not ours */
    return fd;
}

rf_status rf_outfile_open(rf_outfile *file, const char *path, rf_error *err) {
    char resolved[PATH_MAX];
    struct stat info;
    *file = (rf_outfile){.fd = -1, .dir_fd = -1};
    const char *target = realpath(path, resolved) ? resolved : path;
    file->path = rf_strndup(target, strlen(target));
    if (!file->path)
        return rf_fail(err, RF_ERR_NO_MEMORY, "%s: no memory to write it", path);
    file->in_place = stat(file->path, &info) == 0 && !S_ISREG(info.st_mode);
    if (file->in_place) {
        file->fd = open(file->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    } else {
        file->dir_fd = open_folder(file);
        file->fd = file->dir_fd >= 0 ? open_temp(file) : -1;
    }
    if (file->fd >= 0)
        return RF_OK;
    rf_status status = rf_fail(err, errno == ENOMEM ? RF_ERR_NO_MEMORY : RF_ERR_IO,
                               "%s: cannot open for writing: %s", path, strerror(errno));
    rf_outfile_discard(file);
    return status;
}

rf_status rf_outfile_memory(rf_outfile *file, const char *name, rf_error *err) {
    *file = (rf_outfile){.fd = -1, .dir_fd = -1, .in_place = true};
    file->path = rf_strndup(name, strlen(name));
    file->fd = file->path ? memfd_create("rocmforge", MFD_CLOEXEC) : -1;
    if (file->fd >= 0)
        return RF_OK;
    rf_status status = rf_fail(err, file->path ? RF_ERR_IO : RF_ERR_NO_MEMORY,
                               "%s: cannot make a file in memory: %s", name,
                               strerror(file->path ? errno : ENOMEM));
    rf_outfile_discard(file);
    return status;
}

rf_status rf_outfile_skip(rf_outfile *file, uint64_t n, rf_error *err) {
    off_t at = n <= INT64_MAX ? lseek(file->fd, (off_t)n, SEEK_CUR) : -1;
    if (at < 0 || ftruncate(file->fd, at) != 0)
        return rf_fail(err, RF_ERR_IO, "%s: cannot leave a hole of %llu bytes: %s", file->path,
                       (unsigned long long)n, strerror(errno));
    return RF_OK;
}

rf_status rf_outfile_write(rf_outfile *file, const void *bytes, size_t n, rf_error *err) {
    const uint8_t *at = bytes;
    while (n > 0) {
        ssize_t done = write(file->fd, at, n < (1u << 30) ? n : (1u << 30));
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return rf_fail(err, RF_ERR_IO, "%s: cannot write: %s", file->path,
                           done < 0 ? strerror(errno) : "no progress");
        at += done;
        n -= (size_t)done;
    }
    return RF_OK;
}

/* Gives the file its temporary name, if it has none yet. */
static int name_temp(rf_outfile *file) {
    char link[64];
    if (file->temp[0])
        return 0;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file->fd);
    for (int i = 0; i < MAX_TRIES; i++) {
        next_temp_name(file);
        if (linkat(AT_FDCWD, link, file->dir_fd, file->temp, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    file->temp[0] = 0;
    return -1;
}

static int put_in_place(rf_outfile *file) {
    if (file->in_place)
        return 0;
    if (fsync(file->fd) != 0 || name_temp(file) != 0 ||
        renameat(file->dir_fd, file->temp, file->dir_fd, base_name(file)) != 0)
        return -1;
    file->temp[0] = 0;
    (void)fsync(file->dir_fd); /* some file systems cannot; the file is whole either way */
    return 0;
}

rf_status rf_outfile_commit(rf_outfile *file, rf_error *err) {
    rf_status status = RF_OK;
    if (put_in_place(file) != 0)
        status =
            rf_fail(err, RF_ERR_IO, "%s: cannot finish writing: %s", file->path, strerror(errno));
    rf_outfile_discard(file);
    return status;
}

void rf_outfile_discard(rf_outfile *file) {
    if (file->temp[0])
        (void)unlinkat(file->dir_fd, file->temp, 0);
    if (file->fd >= 0)
        (void)close(file->fd);
    if (file->dir_fd >= 0)
        (void)close(file->dir_fd);
    rf_free(file->path);
    *file = (rf_outfile){.fd = -1, .dir_fd = -1};
}
