#include <string.h>

#include "base/alloc.h"
#include "base/outfile.h"
#include "engine/sequence_format.h"

typedef struct saving {
    const rf_sequence_port *port;
    const char *path;
    const int32_t *tokens;
    uint32_t n_tokens; /* that the cache had when it was asked first */
    uint32_t at;       /* tokens whose blocks are written */
    rf_sequence_head head;
    uint64_t total;
    rf_outfile file;
} saving;

/* ---- parts --------------------------------------------------------------------------------- */

static rf_status write_sum(saving *s, uint64_t sum, rf_error *err) {
    s->total = rf_sequence_add(s->total, sum);
    return rf_outfile_write(&s->file, &sum, sizeof sum, err);
}

static rf_status write_beginning(saving *s, rf_error *err) {
    size_t bytes = s->n_tokens * sizeof *s->tokens;
    s->head.sum = rf_sequence_head_sum(&s->head);
    s->total = rf_sequence_add(0, s->head.sum);
    RF_TRY(rf_outfile_write(&s->file, &s->head, sizeof s->head, err));
    RF_TRY(rf_outfile_write(&s->file, s->tokens, bytes, err));
    return write_sum(s, rf_sequence_sum(&s->head, 0, s->tokens, bytes), err);
}

/* ---- what the engine says ------------------------------------------------------------------ */

static rf_status take_size(void *user, const rf_event *event, rf_error *err) {
    saving *s = user;
    if (event->n_cached == 0)
        return rf_fail(err, RF_ERR_NOT_FOUND, "%s: the cache holds none of these %u tokens",
                       s->path, s->n_tokens);
    s->n_tokens = event->n_cached;
    s->head = rf_sequence_head_make(s->port, event->n_cached, event->kv.first);
    return RF_OK;
}

static rf_status take_columns(void *user, const rf_event *event, rf_error *err) {
    saving *s = user;
    uint32_t size = s->head.block_tokens;
    const unsigned char *at = event->kv_data;
    if (event->n_cached != s->n_tokens || event->kv.to <= s->at ||
        memcmp(event->kv.first, s->head.first, s->head.n_groups * sizeof *s->head.first) != 0)
        return rf_fail(err, RF_ERR_LIMIT,
                       "%s: of %u tokens in the cache %u are left while it is saved: others needed "
                       "the room",
                       s->path, s->n_tokens, event->n_cached);
    for (uint32_t i = s->at / size; i * size < event->kv.to; i++) {
        size_t n = (size_t)rf_sequence_column_bytes(&s->head, i);
        RF_TRY(rf_outfile_write(&s->file, at, n, err));
        RF_TRY(write_sum(s, rf_sequence_sum(&s->head, 1 + i, at, n), err));
        at += n;
    }
    s->at = event->kv.to;
    return RF_OK;
}

/* ---- saving -------------------------------------------------------------------------------- */

static rf_status ask(saving *s, uint64_t room, rf_sequence_take_fn take, rf_error *err) {
    rf_request request = {.kind = RF_REQUEST_EXPORT,
                          .tokens = s->tokens,
                          .n_tokens = s->n_tokens,
                          .salt = s->port->salt,
                          .kv.from = s->at,
                          .kv_bytes = room};
    return rf_sequence_run(s->port, &request, take, s, err);
}

static rf_status write_all(saving *s, rf_error *err) {
    RF_TRY(write_beginning(s, err));
    s->at = rf_sequence_first_column(&s->head) * s->head.block_tokens;
    while (s->at < s->n_tokens)
        RF_TRY(ask(s, rf_sequence_chunk_bytes(&s->head), take_columns, err));
    RF_TRY(rf_outfile_write(&s->file, &s->total, sizeof s->total, err));
    return rf_outfile_commit(&s->file, err);
}

rf_status rf_sequence_save(const rf_sequence_port *port, const char *path, const int32_t *tokens,
                           uint32_t n_tokens, rf_sequence_size *out, rf_error *err) {
    saving s = {.port = port, .path = path, .tokens = tokens, .n_tokens = n_tokens};
    *out = (rf_sequence_size){0};
    RF_TRY(ask(&s, 0, take_size, err));
    RF_TRY(rf_outfile_open(&s.file, path, err));
    rf_status status = write_all(&s, err);
    rf_outfile_discard(&s.file);
    if (status == RF_OK)
        *out = (rf_sequence_size){s.n_tokens, rf_sequence_file_bytes(&s.head)};
    return status;
}
