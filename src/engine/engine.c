#include "engine/engine.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/map.h"
#include "engine/engine_state.h"

_Static_assert((int)RF_KV_GROUPS == (int)RF_KV_MAX_GROUPS, "a program's groups fit the cache");

enum { DEFAULT_WAITING = 256, DEFAULT_WAITING_CONTEXTS = 16, POLL_NS = 1000000 };

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value > 0 ? value : otherwise;
}

/* ---- memory -------------------------------------------------------------------------------- */

static rf_status make_scheduler(engine_core *core, uint64_t *region_bytes, rf_error *err) {
    const rf_engine_options *options = &core->options;
    const rf_limits *limits = &core->limits;
    uint64_t seed = rf_hash_random_seed();
    rf_sched_config config = {
        .kv = {.n_groups = core->program->n_kv_groups,
               .block_tokens = limits->block_tokens,
               .max_seqs = limits->max_seqs,
               .max_context = limits->max_context,
               .key = {rf_hash(&seed, sizeof seed, seed), rf_hash("k1", 2, seed)}},
        .max_tokens = limits->max_tokens,
        .max_outputs = limits->max_outputs,
        .max_waiting = or_default(options->max_waiting, DEFAULT_WAITING),
        .max_waiting_tokens = options->max_waiting_tokens,
        .target_ns = options->target_ns,
        .aging_ns = options->aging_ns};
    if (config.max_waiting_tokens == 0)
        config.max_waiting_tokens = (uint64_t)DEFAULT_WAITING_CONTEXTS * limits->max_context;
    for (uint32_t g = 0; g < core->program->n_kv_groups; g++) {
        config.kv.windows[g] = core->program->kv_groups[g].window;
        config.kv.n_blocks[g] = limits->n_blocks[g];
    }
    core->n_requests_max = config.max_waiting + limits->max_seqs;
    /* Prompts that wait, and one of each sequence that runs; lists and results besides. */
    uint64_t n_tokens =
        config.max_waiting_tokens + (uint64_t)limits->max_seqs * limits->max_context;
    *region_bytes = n_tokens * sizeof(int32_t) + (8u << 20);
    for (uint32_t g = 0; g < core->program->n_kv_groups; g++) /* two that are moved at once */
        *region_bytes += 2 * core->kv_shape.block_bytes[g];
    return rf_scheduler_create(&config, &core->sched, err);
}

static uint32_t power_of_two(uint32_t least) {
    uint32_t n = 64;
    while (n < least && n < 1u << 20)
        n *= 2;
    return n;
}

static rf_ring *make_ring(uint32_t n_slots, uint32_t slot_bytes) {
    rf_ring *ring = rf_alloc_aligned(64, rf_ring_bytes(n_slots, slot_bytes));
    if (ring)
        rf_ring_init(ring, n_slots, slot_bytes);
    return ring;
}

static rf_status take_memory(rf_engine *engine, rf_error *err) {
    engine_core *core = &engine->core;
    engine_client *client = &engine->client;
    uint64_t region_bytes;
    size_t n_logits, n_hidden;
    RF_TRY(make_scheduler(core, &region_bytes, err));
    RF_TRY(rf_sample_scratch_create(core->program->n_vocab, &core->scratch, err));
    client->max_requests = core->n_requests_max;
    RF_TRY(rf_span_arena_init(&client->spans, region_bytes, client->max_requests, err));
    client->requests = rf_calloc(client->max_requests, sizeof *client->requests);
    core->requests = rf_calloc(core->n_requests_max, sizeof *core->requests);
    core->ends = rf_calloc(2 * (size_t)core->limits.max_seqs, sizeof *core->ends);
    engine->region = rf_alloc_aligned(RF_SPAN_ALIGN, region_bytes);
    engine->orders = make_ring(power_of_two(2 * client->max_requests), sizeof(rf_order));
    engine->notices = make_ring(power_of_two(2 * rf_core_most_notices(core) + client->max_requests),
                                sizeof(rf_notice));
    if (rf_mul_size(core->limits.max_outputs, core->program->n_vocab * sizeof(float), &n_logits) &&
        rf_mul_size(core->limits.max_outputs, core->program->n_embd * sizeof(float), &n_hidden)) {
        core->logits = rf_alloc_aligned(64, n_logits);
        core->hidden = rf_alloc_aligned(64, n_hidden);
    }
    if (core->options.times_ops)
        core->op_ns = rf_calloc((size_t)core->program->n_ops + 1, sizeof *core->op_ns);
    if (!client->requests || !core->requests || !core->ends || !engine->region || !engine->orders ||
        !engine->notices || !core->logits || !core->hidden ||
        (core->options.times_ops && !core->op_ns))
        return rf_fail(err, RF_ERR_NO_MEMORY,
                       "out of memory for %u requests and steps with %u rows of %u logits",
                       client->max_requests, core->limits.max_outputs, core->program->n_vocab);
    return RF_OK;
}

static void release(rf_engine *engine) {
    engine_core *core = &engine->core;
    for (uint32_t i = 0; core->requests && i < core->n_requests_max; i++)
        rf_core_free_request(&core->requests[i]);
    rf_scheduler_destroy(core->sched);
    rf_sample_scratch_destroy(core->scratch);
    rf_span_arena_deinit(&engine->client.spans);
    rf_free(engine->client.requests);
    rf_free(core->requests);
    rf_free_aligned(engine->region);
    rf_free_aligned(engine->orders);
    rf_free_aligned(engine->notices);
    rf_free_aligned(core->logits);
    rf_free_aligned(core->hidden);
    rf_free(core->op_ns);
    rf_free(core->ends);
    rf_core_drafts_deinit(core);
    rf_core_constraints_deinit(core);
    if (engine->has_lock) {
        pthread_mutex_destroy(&engine->client.lock);
        pthread_mutex_destroy(&engine->counters_lock);
    }
    rf_free_aligned(engine);
}

/* ---- thread -------------------------------------------------------------------------------- */

static void *engine_main(void *arg) {
    rf_engine *engine = arg;
    for (;;) {
        uint32_t heard = rf_bell_heard(&engine->core_bell);
        if (!rf_core_take_orders(engine))
            break;
        bool room = rf_ring_n_free(engine->notices) >= rf_core_most_notices(&engine->core);
        if (!room || !rf_core_step(engine))
            rf_bell_wait(&engine->core_bell, heard, UINT64_MAX);
    }
    atomic_store(&engine->ended, true);
    rf_bell_ring(&engine->client_bell);
    return NULL;
}

static rf_status start(rf_engine *engine, rf_error *err) {
    if (pthread_create(&engine->thread, NULL, engine_main, engine) != 0)
        return rf_fail(err, RF_ERR_LIMIT, "cannot start the engine's thread");
    engine->has_thread = true;
    return RF_OK;
}

static uint64_t hash_rotation(const rf_program *program) {
    rf_sip sip = rf_sip_begin((rf_hash_key){0, 0});
    for (uint32_t i = 0; i < program->n_ropes; i++) {
        const rf_rope *rope = &program->ropes[i];
        rf_sip_word(&sip, (uint64_t)rope->kind << 32 | rope->n_dims);
        rf_sip_word(&sip, rf_siphash((rf_hash_key){i, 0}, &rope->magnitude, sizeof(float)));
        rf_sip_word(&sip, rf_siphash((rf_hash_key){i, 1}, rope->inv_freq,
                                     rope->n_dims / 2 * sizeof(float)));
    }
    return rf_sip_end(&sip, 0);
}

static rf_status bind(engine_core *core, rf_backend *backend, rf_progress_fn progress, void *user,
                      rf_error *err) {
    const rf_backend_api *api = backend->api;
    RF_TRY(api->bind(backend, core->program, &core->limits, progress, user, err));
    core->kv_shape = (rf_kv_shape){.backend = api->name,
                                   .type_k = core->limits.type_k,
                                   .type_v = core->limits.type_v,
                                   .rotation = hash_rotation(core->program),
                                   .n_groups = core->program->n_kv_groups,
                                   .block_tokens = core->limits.block_tokens};
    for (uint32_t g = 0; g < core->program->n_kv_groups; g++) {
        core->kv_shape.windows[g] = core->program->kv_groups[g].window;
        core->kv_shape.block_bytes[g] = api->kv_block_bytes(backend, g);
    }
    return RF_OK;
}

static rf_status prepare(rf_engine *engine, rf_backend *backend, rf_progress_fn progress,
                         void *user, rf_error *err) {
    engine_core *core = &engine->core;
    if (pthread_mutex_init(&engine->client.lock, NULL) != 0)
        return rf_fail(err, RF_ERR_LIMIT, "cannot make the engine's locks");
    if (pthread_mutex_init(&engine->counters_lock, NULL) != 0) {
        pthread_mutex_destroy(&engine->client.lock);
        return rf_fail(err, RF_ERR_LIMIT, "cannot make the engine's locks");
    }
    engine->has_lock = true;
    RF_TRY(rf_engine_limits(core->program, &core->options, &core->limits, err));
    RF_TRY(bind(core, backend, progress, user, err));
    RF_TRY(take_memory(engine, err));
    core->backend = backend;
    RF_TRY(rf_core_constraints_init(core, err));
    RF_TRY(rf_core_drafts_init(core, progress, user, err));
    return start(engine, err);
}

rf_status rf_engine_own_bytes(const rf_program *program, const rf_engine_options *options,
                              uint64_t *bytes, rf_error *err) {
    size_t before = rf_alloc_live_bytes();
    rf_engine *engine = rf_alloc_aligned(64, sizeof *engine);
    if (!engine)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the engine");
    memset(engine, 0, sizeof *engine);
    engine->core.program = program;
    engine->core.options = *options;
    rf_status status = rf_engine_limits(program, options, &engine->core.limits, err);
    if (status == RF_OK)
        status = take_memory(engine, err);
    *bytes = rf_alloc_live_bytes() - before;
    release(engine);
    return status;
}

rf_status rf_engine_create(rf_backend *backend, const rf_program *program,
                           const rf_engine_options *options, rf_progress_fn progress, void *user,
                           rf_engine **out, rf_error *err) {
    *out = NULL;
    rf_engine *engine = rf_alloc_aligned(64, sizeof *engine);
    if (!engine)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the engine");
    memset(engine, 0, sizeof *engine);
    engine->core.program = program;
    engine->core.options = *options;
    rf_status status = prepare(engine, backend, progress, user, err);
    if (status != RF_OK)
        release(engine);
    else
        *out = engine;
    return status;
}

/* Orders are read while there is room for notices, of which nobody takes any more. */
static void shut_down(rf_engine *engine) {
    rf_order order = {.kind = RF_ORDER_SHUTDOWN};
    rf_notice notice;
    bool sent = false;
    while (!atomic_load(&engine->ended)) {
        uint32_t heard = rf_bell_heard(&engine->client_bell);
        while (rf_ring_pop(engine->notices, &notice)) {
        }
        sent = sent || rf_ring_push(engine->orders, &order);
        rf_bell_ring(&engine->core_bell);
        if (!atomic_load(&engine->ended))
            rf_bell_wait(&engine->client_bell, heard, sent ? UINT64_MAX : POLL_NS);
    }
    pthread_join(engine->thread, NULL);
}

void rf_engine_destroy(rf_engine *engine) {
    if (!engine)
        return;
    if (engine->has_thread)
        shut_down(engine);
    rf_backend *backend = engine->core.backend, *draft = engine->core.options.draft.backend;
    release(engine);
    backend->api->destroy(backend);
    if (draft)
        draft->api->destroy(draft);
}

rf_engine_counters rf_engine_get_counters(rf_engine *engine) {
    pthread_mutex_lock(&engine->counters_lock);
    rf_engine_counters counters = engine->counters;
    pthread_mutex_unlock(&engine->counters_lock);
    return counters;
}

const rf_limits *rf_engine_get_limits(const rf_engine *engine) { return &engine->core.limits; }

const rf_kv_shape *rf_engine_get_kv_shape(const rf_engine *engine) {
    return &engine->core.kv_shape;
}
