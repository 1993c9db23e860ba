/* One step: plan, copies, the backend, results, notices. Takes no memory. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/engine_state.h"

uint32_t rf_core_most_notices(const engine_core *core) {
    uint32_t a_token = 2 + RF_SAMPLE_MAX_PROBS / RF_NOTICE_TOPS; /* the last, and its end */
    /* Each row with a result gives a token, and one row several where choices fork. */
    return (core->limits.max_outputs + core->limits.max_seqs) * a_token + core->limits.max_seqs;
}

/* ---- running ------------------------------------------------------------------------------- */

/* Rows of drafts are shown when these have come true. */
static void show_row(const engine_core *core, const rf_step_entry *entry, uint32_t k) {
    size_t row = entry->first_output + k;
    if (core->options.on_row)
        core->options.on_row(core->options.user, entry->job, entry->first_output_position + k,
                             core->has_logits ? core->logits + row * core->program->n_vocab : NULL,
                             core->has_hidden ? core->hidden + row * core->program->n_embd : NULL);
}

static rf_status run(engine_core *core, const rf_step *step, rf_error *err) {
    const rf_backend_api *api = core->backend->api;
    for (uint32_t i = 0; i < step->n_copies; i++)
        RF_TRY(api->kv_copy(core->backend, step->copies[i].group, (uint32_t)step->copies[i].from,
                            (uint32_t)step->copies[i].to, err));
    bool wants_logits = false, wants_hidden = false;
    for (int32_t i = 0; i < step->batch.n_seqs; i++) {
        const rf_step_entry *entry = &step->entries[i];
        bool embeds = core->requests[entry->tag].order.request == RF_REQUEST_EMBED;
        wants_logits |= entry->n_outputs > 0 && !embeds;
        wants_hidden |= entry->n_outputs > 0 && embeds;
    }
    rf_outputs outputs = {.logits = wants_logits ? core->logits : NULL,
                          .hidden = wants_hidden ? core->hidden : NULL,
                          .op_ns = core->op_ns,
                          .observer = core->options.observer};
    RF_TRY(api->run(core->backend, &step->batch, &outputs, err));
    core->has_logits = wants_logits;
    core->has_hidden = wants_hidden;
    for (int32_t i = 0; i < step->batch.n_seqs; i++)
        for (uint32_t k = 0; k < step->entries[i].n_outputs - step->entries[i].n_drafts; k++)
            show_row(core, &step->entries[i], k);
    return RF_OK;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static bool is_stop(const rf_engine *engine, const rf_order *order, int32_t token) {
    const int32_t *stop = (const int32_t *)(void *)(engine->region + order->stop_at);
    for (uint32_t i = 0; i < order->n_stop; i++)
        if (stop[i] == token)
            return true;
    return false;
}

static void notify_token(rf_engine *engine, const rf_step_sample *sample,
                         const rf_sampled *sampled) {
    rf_notice notice = {.id = sample->job,
                        .kind = RF_NOTICE_TOKEN,
                        .choice = sample->choice,
                        .token = sampled->token,
                        .logprob = sampled->logprob,
                        .n_top = sampled->n_top};
    uint32_t n = 0;
    do {
        uint32_t here = sampled->n_top - n < RF_NOTICE_TOPS ? sampled->n_top - n : RF_NOTICE_TOPS;
        memcpy(notice.u.top, sampled->top + n, here * sizeof *sampled->top);
        rf_core_notify(engine, &notice);
        n += here;
        notice.kind = RF_NOTICE_MORE;
        notice.n_top = sampled->n_top - n;
    } while (n < sampled->n_top);
}

static void fail_request(core_request *request, rf_status status, const char *text) {
    request->status = status;
    (void)snprintf(request->error, sizeof request->error, "%.*s", RF_NOTICE_TEXT_BYTES - 1, text);
}

/* Token number i of a sample. */
static void choose_one(rf_engine *engine, rf_step_sample *sample, uint32_t i) {
    engine_core *core = &engine->core;
    core_request *request = &core->requests[sample->tag];
    rf_sampler *sampler = request->samplers[sample->choice];
    rf_sampled sampled;
    rf_error err = {0};
    const float *logits = core->logits + (size_t)(sample->output + i) * core->program->n_vocab;
    const uint32_t *mask;
    rf_status status = rf_core_mask(engine, request, sample->choice, &mask, &err);
    if (status == RF_OK)
        status = rf_sampler_sample(sampler, core->scratch, logits, mask, &sampled, &err);
    if (status != RF_OK) {
        sample->failed = true;
        fail_request(request, status, err.text);
        return;
    }
    rf_sampler_accept(sampler, sampled.token);
    sample->tokens[i] = sampled.token;
    bool over = rf_core_is_over(request, sample->choice, sampled.token);
    sample->stop = over || is_stop(engine, &request->order, sampled.token);
    request->n_generated[sample->choice]++;
    core->counters.n_generated++;
    notify_token(engine, sample, &sampled);
}

/* The first row's token, and the next one's for as long as the tokens are the drafts. */
static void choose(rf_engine *engine, const rf_step *step, rf_step_sample *sample) {
    for (uint32_t i = 0; i <= sample->n_drafts; i++) {
        sample->n_tokens = i + 1;
        if (i > 0)
            show_row(&engine->core, &step->entries[sample->entry], i);
        choose_one(engine, sample, i);
        if (sample->failed || sample->stop || i == sample->n_drafts ||
            sample->tokens[i] != sample->drafts[i])
            return;
    }
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void end_choice(rf_engine *engine, const rf_step_sample *sample) {
    core_request *request = &engine->core.requests[sample->tag];
    rf_notice notice = {.id = sample->job,
                        .kind = RF_NOTICE_FINISH,
                        .finish = (uint16_t)sample->finish,
                        .choice = sample->choice,
                        .n_generated = request->n_generated[sample->choice],
                        .n_cached = request->n_cached,
                        .last = --request->n_left == 0,
                        .u.began_ns = request->began_ns};
    if (request->drafts) {
        notice.n_drafted = request->drafts[sample->choice].record.n_drafted;
        notice.n_accepted = request->drafts[sample->choice].record.n_accepted;
    }
    if (notice.last) {
        rf_core_tell_end(&engine->core, sample->job, sample->finish);
        rf_core_free_request(request);
        engine->core.counters.n_finished++;
    }
    rf_core_notify(engine, &notice);
}

static void end_requests(rf_engine *engine, const rf_step *step) {
    for (uint32_t i = 0; i < step->n_samples; i++)
        if (step->samples[i].finish != RF_FINISH_NONE)
            end_choice(engine, &step->samples[i]);
    for (int32_t i = 0; i < step->batch.n_seqs; i++) {
        const rf_step_entry *entry = &step->entries[i];
        core_request *request = &engine->core.requests[entry->tag];
        if (entry->finish == RF_FINISH_NONE || !request->used || request->order.id != entry->job)
            continue;
        if (entry->finish == RF_FINISH_ROWS)
            rf_core_finish_rows(engine, request);
        char text[RF_NOTICE_TEXT_BYTES];
        memcpy(text, request->error, sizeof text);
        rf_core_end(engine, request, entry->finish, request->status, text);
    }
}

static void abort_step(rf_engine *engine, const rf_step *step, const rf_error *err) {
    rf_scheduler_abort(engine->core.sched);
    for (int32_t i = 0; i < step->batch.n_seqs; i++)
        fail_request(&engine->core.requests[step->entries[i].tag], err->code, err->text);
    end_requests(engine, &(rf_step){.batch.n_seqs = step->batch.n_seqs, .entries = step->entries});
}

static void report(rf_engine *engine, const rf_step *step, rf_status status, uint64_t start_ns) {
    const engine_core *core = &engine->core;
    if (!core->options.on_step)
        return;
    rf_step_report r = {.start_ns = start_ns,
                        .ns = core->counters.last_step_ns,
                        .status = status,
                        .n_decode = step->n_decode,
                        .n_draft = step->n_draft,
                        .n_prefill = step->n_prefill,
                        .n_copies = step->n_copies,
                        .entries = step->entries,
                        .n_entries = (uint32_t)step->batch.n_seqs,
                        .n_blocks_available =
                            rf_kv_cache_available(rf_scheduler_cache(core->sched), 0),
                        .op_ns = core->op_ns,
                        .counters = &core->counters};
    core->options.on_step(core->options.user, &r);
}

/* What others may see of the engine. */
static void show_counters(rf_engine *engine) {
    engine_core *core = &engine->core;
    core->counters.sched = rf_scheduler_counters(core->sched);
    core->counters.n_blocks_available = rf_kv_cache_available(rf_scheduler_cache(core->sched), 0);
    pthread_mutex_lock(&engine->counters_lock);
    engine->counters = core->counters;
    pthread_mutex_unlock(&engine->counters_lock);
}

/* A step is done; wakes who waits for its tokens. */
static void publish(rf_engine *engine, uint64_t ns) {
    engine->core.counters.step_ns += ns;
    engine->core.counters.last_step_ns = ns;
    show_counters(engine);
    rf_bell_ring(&engine->client_bell);
}

static void note_begun(engine_core *core, const rf_step *step, uint64_t now_ns) {
    for (int32_t i = 0; i < step->batch.n_seqs; i++) {
        const rf_step_entry *entry = &step->entries[i];
        core_request *request = &core->requests[entry->tag];
        uint32_t first = (uint32_t)step->batch.positions[entry->first_row];
        if (request->began_ns != 0)
            continue;
        request->n_cached = first;
        request->began_ns = now_ns;
    }
}

static bool step_once(rf_engine *engine) {
    engine_core *core = &engine->core;
    rf_error err = {0};
    rf_step *step;
    uint64_t start = rf_clock_ns();
    rf_core_drafts_propose(core);
    uint64_t drafted = rf_clock_ns();
    if (!rf_scheduler_plan(core->sched, &step)) {
        show_counters(engine); /* cancels may have given blocks back since the last step */
        return false;
    }
    core->counters.draft_ns += drafted - start;
    uint64_t planned = rf_clock_ns();
    note_begun(core, step, planned);
    rf_status status = run(core, step, &err);
    uint64_t run_ns = rf_clock_ns() - planned;
    if (status != RF_OK) {
        abort_step(engine, step, &err);
        publish(engine, rf_clock_ns() - start);
        report(engine, step, err.code, start);
        return true;
    }
    for (int32_t i = 0; i < step->batch.n_seqs; i++) {
        rf_step_entry *entry = &step->entries[i];
        core_request *request = &core->requests[entry->tag];
        entry->failed = entry->n_outputs > 0 && request->order.request != RF_REQUEST_GENERATE &&
                        !rf_core_take_rows(engine, request, entry);
    }
    for (uint32_t i = 0; i < step->n_samples; i++)
        choose(engine, step, &step->samples[i]);
    rf_core_drafts_learn(core, step, run_ns);
    uint64_t ns = rf_clock_ns() - start;
    rf_scheduler_commit(core->sched, ns - (drafted - start));
    end_requests(engine, step);
    publish(engine, ns);
    report(engine, step, RF_OK, start);
    return true;
}

bool rf_core_step(rf_engine *engine) {
    engine_core *core = &engine->core;
    core->in_step = true;
    rf_alloc_forbid(1);
    bool ran = step_once(engine);
    rf_alloc_forbid(0);
    core->in_step = false;
    for (uint32_t i = 0; i < core->n_ends; i++)
        rf_core_notify(engine, &core->ends[i]);
    core->n_ends = 0;
    return ran;
}
