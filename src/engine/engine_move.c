/* Contents of the cache go to a request's place in the region, or come from there. */
#include <stdio.h>
#include <string.h>

#include "engine/engine_state.h"

enum { PLACES = 256 }; /* blocks that are looked up at once */

static const int32_t *tokens_of(const rf_engine *engine, const rf_order *order) {
    return (const int32_t *)(void *)(engine->region + order->tokens_at);
}

/* ---- out ----------------------------------------------------------------------------------- */

/* Bytes of block number i, of the groups that have it. */
static uint64_t column_bytes(const rf_kv_shape *shape, const rf_kv_span *kv, uint32_t i) {
    uint64_t bytes = 0;
    for (uint32_t g = 0; g < shape->n_groups; g++)
        bytes += i >= kv->first[g] ? shape->block_bytes[g] : 0;
    return bytes;
}

static rf_status read_column(engine_core *core, const rf_kv_span *kv, uint32_t i,
                             const int32_t *blocks, unsigned char *out, rf_error *err) {
    const rf_backend_api *api = core->backend->api;
    uint32_t size = core->kv_shape.block_tokens, n = kv->to - i * size;
    for (uint32_t g = 0; g < core->kv_shape.n_groups; g++) {
        if (i < kv->first[g])
            continue;
        RF_TRY(api->kv_read(core->backend, g, (uint32_t)blocks[g], n < size ? n : size, out, err));
        out += core->kv_shape.block_bytes[g];
    }
    return RF_OK;
}

static rf_status move_out(rf_engine *engine, const rf_order *order, uint32_t *n_cached,
                          rf_error *err) {
    engine_core *core = &engine->core;
    const rf_kv_cache *cache = rf_scheduler_cache(core->sched);
    unsigned char *base = engine->region + order->result_at;
    rf_kv_match match =
        rf_kv_cache_lookup(cache, order->salt, tokens_of(engine, order), order->n_tokens);
    rf_kv_result result = {.kv = rf_kv_cache_span(cache, &match)};
    uint32_t size = core->kv_shape.block_tokens, n_groups = core->kv_shape.n_groups;
    uint32_t first = order->kv.from / size, i = first, whole = match.n_tokens;
    int32_t blocks[PLACES * RF_KV_GROUPS];
    *n_cached = whole;
    if (order->kv.from < whole)
        rf_kv_cache_places(cache, &match, first, PLACES, blocks);
    for (; i * size < whole && i - first < PLACES; i++) {
        uint64_t bytes = column_bytes(&core->kv_shape, &result.kv, i);
        if (result.n_bytes + bytes > order->kv_bytes)
            break;
        RF_TRY(read_column(core, &result.kv, i, blocks + (i - first) * n_groups,
                           base + sizeof result + result.n_bytes, err));
        result.n_bytes += bytes;
    }
    result.kv.from = order->kv.from;
    result.kv.to = i == first ? order->kv.from : i * size < whole ? i * size : whole;
    memcpy(base, &result, sizeof result);
    return RF_OK;
}

/* ---- in ------------------------------------------------------------------------------------ */

static rf_status write_span(rf_engine *engine, const rf_order *order, rf_error *err) {
    engine_core *core = &engine->core;
    const rf_kv_cache *cache = rf_scheduler_cache(core->sched);
    const rf_backend_api *api = core->backend->api;
    const unsigned char *at = engine->region + order->result_at;
    uint32_t size = core->kv_shape.block_tokens;
    for (uint32_t i = order->kv.from / size; i * size < order->kv.to; i++) {
        for (uint32_t g = 0; g < core->kv_shape.n_groups; g++) {
            if (i < order->kv.first[g])
                continue;
            int32_t block = rf_kv_cache_import_block(cache, g, i);
            RF_TRY(api->kv_write(core->backend, g, (uint32_t)block, at, err));
            at += core->kv_shape.block_bytes[g];
        }
    }
    return RF_OK;
}

static rf_status move_in(rf_engine *engine, const rf_order *order, uint32_t *n_cached,
                         rf_error *err) {
    rf_kv_cache *cache = rf_scheduler_import_cache(engine->core.sched);
    const int32_t *tokens = tokens_of(engine, order);
    const rf_kv_span *kv = &order->kv;
    rf_kv_import begun = rf_kv_cache_import_begin(cache, order->salt, tokens, kv);
    if (begun == RF_KV_IMPORT_GONE)
        return rf_fail(err, RF_ERR_LIMIT,
                       "the %u tokens before those that are moved in are not in the cache, or no "
                       "longer: others needed the room",
                       kv->from);
    if (begun == RF_KV_IMPORT_FULL)
        return rf_fail(err, RF_ERR_LIMIT,
                       "no room in the cache for tokens %u to %u: of its first group %u blocks of "
                       "%u tokens are not in use",
                       kv->from, kv->to - 1, rf_kv_cache_available(cache, 0),
                       engine->core.kv_shape.block_tokens);
    rf_status status = write_span(engine, order, err);
    rf_kv_cache_import_end(cache, tokens, kv, status == RF_OK);
    if (status == RF_OK)
        *n_cached = rf_kv_cache_lookup(cache, order->salt, tokens, order->n_tokens).n_tokens;
    return status;
}

void rf_core_move(rf_engine *engine, const rf_order *order) {
    engine_core *core = &engine->core;
    const rf_backend_api *api = core->backend->api;
    rf_error err = {0};
    rf_notice notice = {.id = order->id, .kind = RF_NOTICE_FINISH, .last = 1};
    bool out = order->request == RF_REQUEST_EXPORT;
    rf_status status =
        !api->kv_read || !api->kv_write
            ? rf_fail(&err, RF_ERR_UNSUPPORTED, "the backend %s cannot move its cache", api->name)
        : out ? move_out(engine, order, &notice.n_cached, &err)
              : move_in(engine, order, &notice.n_cached, &err);
    notice.finish = status == RF_OK ? RF_FINISH_ROWS : RF_FINISH_FAILED;
    notice.status = (uint16_t)status;
    (void)snprintf(notice.u.text, sizeof notice.u.text, "%.*s", RF_NOTICE_TEXT_BYTES - 1, err.text);
    core->counters.n_requests++;
    core->counters.n_finished++;
    core->counters.n_failed += status != RF_OK;
    rf_core_notify(engine, &notice);
}
