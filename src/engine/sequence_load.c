/* The whole file is read and compared with its sums before anything of it goes to the engine, and
 * each part once more when it goes there. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/sequence_format.h"

typedef struct loading {
    const rf_sequence_port *port;
    const char *path;
    int fd; /* -1: not open */
    uint64_t n_bytes, at;
    rf_sequence_head head;
    int32_t *tokens;      /* owned */
    unsigned char *chunk; /* owned; [rf_sequence_chunk_bytes] */
    uint64_t total;
    uint32_t n_cached; /* tokens that the engine has found at last */
} loading;

/* ---- reading ------------------------------------------------------------------------------- */

static rf_status read_bytes(loading *l, void *out, uint64_t n, rf_error *err) {
    for (uint64_t done = 0; done < n;) {
        uint64_t rest = n - done < 1u << 30 ? n - done : 1u << 30;
        ssize_t got = pread(l->fd, (char *)out + done, (size_t)rest, (off_t)(l->at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return rf_fail(err, RF_ERR_IO, "%s: cannot read at byte %llu: %s", l->path,
                           (unsigned long long)(l->at + done),
                           got < 0 ? strerror(errno) : "the file ends there");
        done += (uint64_t)got;
    }
    l->at += n;
    return RF_OK;
}

static rf_status read_sum(loading *l, uint64_t expected, const char *what, uint32_t number,
                          rf_error *err) {
    uint64_t sum;
    RF_TRY(read_bytes(l, &sum, sizeof sum, err));
    l->total = rf_sequence_add(l->total, sum);
    if (sum == expected)
        return RF_OK;
    return rf_fail(err, RF_ERR_INVALID,
                   "%s: damaged before byte %llu: the sum of %s %u is %016llx, expected %016llx",
                   l->path, (unsigned long long)l->at, what, number, (unsigned long long)sum,
                   (unsigned long long)expected);
}

static rf_status open_file(loading *l, rf_error *err) {
    struct stat info;
    l->fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (l->fd < 0)
        return rf_fail(err, errno == ENOENT ? RF_ERR_NOT_FOUND : RF_ERR_IO, "%s: cannot open: %s",
                       l->path, strerror(errno));
    if (fstat(l->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return rf_fail(err, RF_ERR_IO, "%s: not a regular file", l->path);
    l->n_bytes = (uint64_t)info.st_size;
    return RF_OK;
}

static rf_status read_head(loading *l, rf_error *err) {
    if (l->n_bytes < sizeof l->head)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: %llu bytes, expected a saved sequence of %zu or more", l->path,
                       (unsigned long long)l->n_bytes, sizeof l->head);
    RF_TRY(read_bytes(l, &l->head, sizeof l->head, err));
    RF_TRY(rf_sequence_head_check(&l->head, l->port, l->path, err));
    uint64_t expected = rf_sequence_file_bytes(&l->head);
    if (l->n_bytes != expected)
        return rf_fail(err, RF_ERR_INVALID, "%s: %llu bytes, expected %llu for its %u tokens",
                       l->path, (unsigned long long)l->n_bytes, (unsigned long long)expected,
                       l->head.n_tokens);
    l->total = rf_sequence_add(0, l->head.sum);
    return RF_OK;
}

static rf_status read_tokens(loading *l, rf_error *err) {
    uint64_t bytes = l->head.n_tokens * sizeof *l->tokens;
    l->tokens = rf_alloc(bytes);
    l->chunk = rf_alloc(rf_sequence_chunk_bytes(&l->head));
    if (!l->tokens || !l->chunk)
        return rf_fail(err, RF_ERR_NO_MEMORY, "%s: out of memory for %u tokens", l->path,
                       l->head.n_tokens);
    RF_TRY(read_bytes(l, l->tokens, bytes, err));
    return read_sum(l, rf_sequence_sum(&l->head, 0, l->tokens, bytes), "tokens", l->head.n_tokens,
                    err);
}

/* The contents of block number i go to out. */
static rf_status read_column(loading *l, uint32_t i, unsigned char *out, rf_error *err) {
    uint64_t n = rf_sequence_column_bytes(&l->head, i);
    RF_TRY(read_bytes(l, out, n, err));
    return read_sum(l, rf_sequence_sum(&l->head, 1 + i, out, n), "block", i, err);
}

static rf_status verify(loading *l, rf_error *err) {
    uint64_t total, begin = l->at;
    uint32_t n = rf_sequence_n_columns(&l->head);
    for (uint32_t i = rf_sequence_first_column(&l->head); i < n; i++)
        RF_TRY(read_column(l, i, l->chunk, err));
    RF_TRY(read_bytes(l, &total, sizeof total, err));
    if (total != l->total)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: damaged at its end: the sum of all is %016llx, expected %016llx",
                       l->path, (unsigned long long)total, (unsigned long long)l->total);
    l->at = begin;
    return RF_OK;
}

/* ---- into the cache ------------------------------------------------------------------------ */

static rf_status take_cached(void *user, const rf_event *event, rf_error *err) {
    loading *l = user;
    (void)err;
    l->n_cached = event->n_cached;
    return RF_OK;
}

static rf_status move_in(loading *l, uint32_t first, uint32_t end, uint64_t bytes, rf_error *err) {
    uint32_t size = l->head.block_tokens;
    bool last = end == rf_sequence_n_columns(&l->head);
    rf_request request = {.kind = RF_REQUEST_IMPORT,
                          .tokens = l->tokens,
                          .n_tokens = last ? l->head.n_tokens : end * size,
                          .salt = l->port->salt,
                          .kv.from = first * size,
                          .kv_data = l->chunk,
                          .kv_bytes = bytes};
    request.kv.to = request.n_tokens;
    for (uint32_t g = 0; g < l->head.n_groups; g++) {
        uint32_t at = l->head.first[g];
        request.kv.first[g] = at < first ? first : at < end ? at : end;
    }
    return rf_sequence_run(l->port, &request, take_cached, l, err);
}

static rf_status fill(loading *l, rf_error *err) {
    uint64_t room = rf_sequence_chunk_bytes(&l->head), bytes = 0;
    uint32_t n = rf_sequence_n_columns(&l->head), begin = 0;
    for (uint32_t i = rf_sequence_first_column(&l->head); i < n; i++) {
        RF_TRY(read_column(l, i, l->chunk + bytes, err));
        bytes += rf_sequence_column_bytes(&l->head, i);
        if (i + 1 < n && bytes + rf_sequence_column_bytes(&l->head, i + 1) <= room)
            continue;
        RF_TRY(move_in(l, begin, i + 1, bytes, err));
        begin = i + 1;
        bytes = 0;
    }
    if (l->n_cached == l->head.n_tokens)
        return RF_OK;
    return rf_fail(err, RF_ERR_LIMIT,
                   "%s: of its %u tokens %u are in the cache: others needed the room meanwhile",
                   l->path, l->head.n_tokens, l->n_cached);
}

static rf_status load(loading *l, rf_error *err) {
    RF_TRY(open_file(l, err));
    RF_TRY(read_head(l, err));
    RF_TRY(read_tokens(l, err));
    RF_TRY(verify(l, err));
    return fill(l, err);
}

rf_status rf_sequence_load(const rf_sequence_port *port, const char *path, int32_t **out_tokens,
                           rf_sequence_size *out, rf_error *err) {
    loading l = {.port = port, .path = path, .fd = -1};
    *out = (rf_sequence_size){0};
    rf_status status = load(&l, err);
    if (status == RF_OK)
        *out = (rf_sequence_size){l.head.n_tokens, l.n_bytes};
    if (status == RF_OK && out_tokens) {
        *out_tokens = l.tokens;
        l.tokens = NULL;
    }
    if (l.fd >= 0)
        (void)close(l.fd);
    rf_free(l.tokens);
    rf_free(l.chunk);
    return status;
}
