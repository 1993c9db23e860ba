#include "engine/sequence_format.h"

#include <string.h>

#include "base/checked.h"
#include "base/siphash.h"

static const char magic[8] = {'R', 'F', 'S', 'E', 'Q', '\r', '\n', 0x1a};

enum { CHUNK_BYTES = 2 << 20 };

/* ---- head ---------------------------------------------------------------------------------- */

rf_sequence_head rf_sequence_head_make(const rf_sequence_port *port, uint32_t n_tokens,
                                       const uint32_t *first) {
    const rf_kv_shape *shape = rf_engine_get_kv_shape(port->engine);
    rf_sequence_head head = {.byte_order = RF_SEQUENCE_BYTE_ORDER,
                             .version = RF_SEQUENCE_VERSION,
                             .model_hash = port->model_hash,
                             .rotation = shape->rotation,
                             .type_k = shape->type_k,
                             .type_v = shape->type_v,
                             .block_tokens = shape->block_tokens,
                             .n_groups = shape->n_groups,
                             .n_tokens = n_tokens};
    memcpy(head.magic, magic, sizeof magic);
    size_t n = strlen(shape->backend);
    memcpy(head.backend, shape->backend, n < sizeof head.backend ? n : sizeof head.backend);
    for (uint32_t g = 0; g < shape->n_groups; g++) {
        head.windows[g] = shape->windows[g];
        head.block_bytes[g] = shape->block_bytes[g];
        head.first[g] = first[g];
    }
    return head;
}

uint64_t rf_sequence_head_sum(const rf_sequence_head *head) {
    return rf_siphash((rf_hash_key){RF_SEQUENCE_VERSION, 0}, head, offsetof(rf_sequence_head, sum));
}

static rf_status check_groups(const rf_sequence_head *head, const rf_sequence_head *own,
                              const char *path, rf_error *err) {
    if (head->n_groups != own->n_groups ||
        memcmp(head->windows, own->windows, sizeof own->windows) != 0 ||
        memcmp(head->block_bytes, own->block_bytes, sizeof own->block_bytes) != 0)
        return rf_fail(
            err, RF_ERR_UNSUPPORTED,
            "%s: its %u groups of layers, the first with blocks of %llu bytes, are not the "
            "%u of this engine, with %llu bytes",
            path, head->n_groups, (unsigned long long)head->block_bytes[0], own->n_groups,
            (unsigned long long)own->block_bytes[0]);
    for (uint32_t g = 0; g < RF_KV_GROUPS; g++)
        if (head->first[g] > (head->windows[g] == 0 ? 0 : rf_sequence_n_columns(head)))
            return rf_fail(err, RF_ERR_INVALID, "%s: group %u begins at block %u of %u", path, g,
                           head->first[g], rf_sequence_n_columns(head));
    return RF_OK;
}

static rf_status check_owner(const rf_sequence_head *head, const rf_sequence_head *own,
                             const char *path, rf_error *err) {
    if (head->model_hash != own->model_hash)
        return rf_fail(
            err, RF_ERR_UNSUPPORTED,
            "%s: it was saved with another model: its hash is %016llx, this one's %016llx", path,
            (unsigned long long)head->model_hash, (unsigned long long)own->model_hash);
    if (memcmp(head->backend, own->backend, sizeof own->backend) != 0)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "%s: it was saved on backend %.16s, this is %.16s",
                       path, head->backend, own->backend);
    if (head->type_k != own->type_k || head->type_v != own->type_v)
        return rf_fail(
            err, RF_ERR_UNSUPPORTED,
            "%s: its cache holds keys as %s and values as %s, this one %s and %s", path,
            rf_kv_type_name((rf_kv_type)head->type_k), rf_kv_type_name((rf_kv_type)head->type_v),
            rf_kv_type_name((rf_kv_type)own->type_k), rf_kv_type_name((rf_kv_type)own->type_v));
    if (head->block_tokens != own->block_tokens)
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "%s: its blocks are of %u tokens, this engine's of %u", path,
                       head->block_tokens, own->block_tokens);
    if (head->rotation != own->rotation)
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "%s: positions were encoded in another way; was it saved with another "
                       "--ctx-size?",
                       path);
    return check_groups(head, own, path, err);
}

rf_status rf_sequence_head_check(const rf_sequence_head *head, const rf_sequence_port *port,
                                 const char *path, rf_error *err) {
    rf_sequence_head own = rf_sequence_head_make(port, 0, (const uint32_t[RF_KV_GROUPS]){0});
    if (memcmp(head->magic, magic, sizeof magic) != 0)
        return rf_fail(err, RF_ERR_INVALID, "%s: not a saved sequence", path);
    if (head->byte_order != RF_SEQUENCE_BYTE_ORDER)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "%s: byte order %08x, expected %08x", path,
                       head->byte_order, (unsigned)RF_SEQUENCE_BYTE_ORDER);
    if (head->version != RF_SEQUENCE_VERSION)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "%s: version %u, expected %d", path, head->version,
                       RF_SEQUENCE_VERSION);
    uint64_t sum = rf_sequence_head_sum(head);
    if (head->sum != sum || head->zero != 0)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: the head is damaged: its sum is %016llx, expected %016llx", path,
                       (unsigned long long)head->sum, (unsigned long long)sum);
    RF_TRY(check_owner(head, &own, path, err));
    uint32_t most = rf_engine_get_limits(port->engine)->max_context;
    if (head->n_tokens == 0 || head->n_tokens > most)
        return rf_fail(err, RF_ERR_LIMIT, "%s: %u tokens, expected 1 to the context of %u", path,
                       head->n_tokens, most);
    return RF_OK;
}

/* ---- sizes --------------------------------------------------------------------------------- */

uint32_t rf_sequence_n_columns(const rf_sequence_head *head) {
    return (uint32_t)rf_ceil_div(head->n_tokens, head->block_tokens);
}

uint32_t rf_sequence_first_column(const rf_sequence_head *head) {
    uint32_t first = head->first[0];
    for (uint32_t g = 1; g < head->n_groups; g++)
        first = head->first[g] < first ? head->first[g] : first;
    return first;
}

uint64_t rf_sequence_column_bytes(const rf_sequence_head *head, uint32_t i) {
    uint64_t bytes = 0;
    for (uint32_t g = 0; g < head->n_groups; g++)
        bytes += i >= head->first[g] ? head->block_bytes[g] : 0;
    return bytes;
}

uint64_t rf_sequence_file_bytes(const rf_sequence_head *head) {
    uint64_t n_sums = 2 + rf_sequence_n_columns(head) - rf_sequence_first_column(head);
    uint64_t bytes = sizeof *head + head->n_tokens * sizeof(int32_t) + n_sums * sizeof(uint64_t);
    for (uint32_t g = 0; g < head->n_groups; g++)
        bytes += (rf_sequence_n_columns(head) - head->first[g]) * head->block_bytes[g];
    return bytes;
}

uint64_t rf_sequence_chunk_bytes(const rf_sequence_head *head) {
    uint64_t column = 0;
    for (uint32_t g = 0; g < head->n_groups; g++)
        column += head->block_bytes[g];
    return column > CHUNK_BYTES ? column : CHUNK_BYTES;
}

/* ---- sums ---------------------------------------------------------------------------------- */

uint64_t rf_sequence_sum(const rf_sequence_head *head, uint32_t number, const void *bytes,
                         size_t n) {
    return rf_siphash((rf_hash_key){head->model_hash, number}, bytes, n);
}

uint64_t rf_sequence_add(uint64_t total, uint64_t sum) {
    return rf_siphash((rf_hash_key){total, 0}, &sum, sizeof sum);
}

/* ---- requests ------------------------------------------------------------------------------ */

static rf_status run_alone(rf_engine *engine, const rf_request *request, rf_sequence_take_fn take,
                           void *user, rf_error *err) {
    uint64_t id;
    rf_event event = {0};
    RF_TRY(rf_engine_submit(engine, request, &id, err));
    do {
        (void)rf_engine_next(engine, &event, UINT64_MAX);
    } while (event.id != id || !event.last);
    return event.status == RF_OK ? take(user, &event, err)
                                 : rf_fail(err, event.status, "%s", event.error);
}

rf_status rf_sequence_run(const rf_sequence_port *port, const rf_request *request,
                          rf_sequence_take_fn take, void *user, rf_error *err) {
    return port->run ? port->run(port->user, request, take, user, err)
                     : run_alone(port->engine, request, take, user, err);
}
