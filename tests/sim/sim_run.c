/* One scenario: a model that remembers, for every place of the cache, which prefix was stored
 * there, and checks before each row that all it sees is its own sequence's. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_state.h"

static uint64_t n_runs; /* of scenarios, for SIM_FAULT_ORDER */

void sim_wrong(run *r, const char *format, ...) {
    if (r->outcome->failed)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->outcome->text, sizeof r->outcome->text, format, args);
    va_end(args);
    r->outcome->failed = true;
}

static uint64_t blocks_of(const sim_scenario *s, uint32_t group) {
    return group ? s->blocks1 : s->blocks0;
}

static uint64_t window_of(const sim_scenario *s, uint32_t group) {
    return group ? s->window1 : s->window0;
}

static request *request_of(const run *r, uint64_t job) {
    for (uint32_t i = 0; i < r->scenario->n_events; i++) {
        const sim_event *e = &r->scenario->events[i];
        if (e->kind == SIM_SUBMIT && e->id == job && r->requests[i].accepted)
            return &r->requests[i];
    }
    return NULL;
}

static uint32_t n_choices(const request *q) { return (uint32_t)q->event->n_choices; }

static void end_all(request *q) {
    for (uint32_t c = 0; c < n_choices(q); c++)
        q->ended[c] = true;
    q->n_ended = n_choices(q);
}

/* ---- events -------------------------------------------------------------------------------- */

/* As a beam does: the prompt begins with another's and all that it has generated so far. */
static void follow(const run *r, request *q, const sim_event *e) {
    const request *other = e->follows ? request_of(r, e->follows - 1) : NULL;
    for (uint32_t t = 0; other && t < e->n_tokens; t++) {
        uint32_t n = (uint32_t)other->event->n_tokens;
        if (t < n)
            q->prompt[t] = other->prompt[t];
        else if (t - n < other->n_got[0])
            q->prompt[t] = other->got[0][t - n];
    }
}

static void submit(run *r, uint32_t i) {
    const sim_event *e = &r->scenario->events[i];
    request *q = &r->requests[i];
    if (e->n_tokens > MAX_CONTEXT || e->n_choices > MAX_CHOICES || request_of(r, e->id))
        return;
    for (uint32_t t = 0; t < e->n_tokens; t++)
        q->prompt[t] = sim_prompt_token(r->scenario, e, t);
    follow(r, q, e);
    q->event = e;
    q->place = i;
    q->urgency = (int64_t)(r->now_us * 1000) - (int64_t)e->priority * AGING_NS;
    q->rows_next = (uint32_t)e->rows_from;
    rf_job job = {.id = e->id,
                  .tokens = q->prompt,
                  .n_tokens = (uint32_t)e->n_tokens,
                  .n_new = (uint32_t)e->n_new,
                  .n_choices = n_choices(q),
                  .priority = (int32_t)e->priority,
                  .rows_from = (uint32_t)e->rows_from,
                  .rows_to = (uint32_t)e->n_tokens,
                  .salt = e->salt,
                  .keeps_private = e->keeps_private != 0};
    rf_error err = {0};
    q->accepted = rf_scheduler_submit(r->sched, &job, r->now_us * 1000, &err) == RF_OK;
    r->outcome->n_jobs += q->accepted;
}

static void cancel(run *r, uint64_t id) {
    request *q = request_of(r, id);
    bool lost = r->scenario->fault == SIM_FAULT_FREE && id % 2;
    bool alive = q && q->n_ended < n_choices(q), found = !lost && rf_scheduler_cancel(r->sched, id);
    if (found != alive)
        sim_wrong(r, "cancel of job %llu: found %d, alive %d", (unsigned long long)id, found,
                  alive);
    if (found)
        end_all(q);
}

static void happen(run *r, uint32_t i) {
    const sim_event *e = &r->scenario->events[i];
    if (e->kind == SIM_SUBMIT)
        submit(r, i);
    else if (e->kind == SIM_CANCEL)
        cancel(r, e->id);
    else
        r->crash = true;
}

/* ---- the model ----------------------------------------------------------------------------- */

static uint64_t *place(run *r, uint32_t group, int32_t block, uint32_t position) {
    uint64_t size = r->scenario->block_tokens;
    return &r->stored[group][(uint64_t)block * size + position % size];
}

static void copy_blocks(run *r, const rf_step *step) {
    uint64_t size = r->scenario->block_tokens;
    uint32_t n = step->n_copies;
    for (uint32_t i = 0; i < (r->scenario->fault == SIM_FAULT_COPY && n > 0 ? n - 1 : n); i++) {
        const rf_kv_copy *c = &step->copies[i];
        memcpy(place(r, c->group, c->to, 0), place(r, c->group, c->from, 0),
               size * sizeof(uint64_t));
    }
}

static void see(run *r, const rf_step *step, uint32_t entry, uint32_t group, uint32_t position,
                const uint64_t *prefix) {
    const rf_batch *b = &step->batch;
    uint64_t window = window_of(r->scenario, group);
    uint32_t from = window && position + 1 > window ? position + 1 - (uint32_t)window : 0;
    const int32_t *table =
        b->block_tables + (size_t)(group * (uint32_t)b->n_seqs + entry) * (size_t)b->table_stride;
    if (r->scenario->fault == SIM_FAULT_TABLE && entry > 0)
        table -= b->table_stride;
    for (uint32_t p = from; p <= position; p++) {
        uint64_t i = p / r->scenario->block_tokens;
        if (i >= (uint64_t)b->table_stride || table[i] < 0 ||
            (uint64_t)table[i] >= blocks_of(r->scenario, group)) {
            sim_wrong(r, "position %u of entry %u has no block in group %u", p, entry, group);
            return;
        }
        uint64_t *at = place(r, group, table[i], p);
        if (p == position)
            *at = prefix[p];
        else if (*at != prefix[p])
            sim_wrong(r, "position %u of entry %u, group %u: another prefix lies in block %d", p,
                      entry, group, table[i]);
    }
}

/* Hash of each prefix of a sequence, checked against what the request has received. */
static uint32_t prefixes(run *r, const rf_step_entry *entry, uint64_t *out) {
    request *q = request_of(r, entry->job);
    uint32_t n;
    const int32_t *tokens = rf_scheduler_tokens(r->sched, entry->seq, &n);
    uint64_t hash = q ? q->event->salt : 0;
    for (uint32_t i = 0; i < n && i < MAX_CONTEXT; i++)
        out[i] = hash = sim_mix(hash, (uint64_t)tokens[i]);
    if (!q || n < q->event->n_tokens ||
        memcmp(tokens, q->prompt, q->event->n_tokens * sizeof *tokens) != 0)
        sim_wrong(r, "job %llu: not its prompt", (unsigned long long)entry->job);
    return n;
}

static void check_outputs(run *r, const rf_step_entry *entry) {
    request *q = request_of(r, entry->job);
    if (!q || entry->n_outputs == 0 || q->n_got[0] > 0 || q->ended[0])
        return;
    bool prompt = entry->first_output_position < q->event->n_tokens;
    if (prompt && entry->first_output_position != q->rows_next)
        sim_wrong(r, "job %llu: results from row %u, expected %u", (unsigned long long)entry->job,
                  entry->first_output_position, q->rows_next);
    if (prompt)
        q->rows_next = entry->first_output_position + entry->n_outputs;
}

static void run_rows(run *r, const rf_step *step) {
    uint64_t prefix[MAX_CONTEXT];
    const rf_batch *b = &step->batch;
    for (uint32_t i = 0; i < (uint32_t)b->n_seqs && !r->outcome->failed; i++) {
        const rf_step_entry *entry = &step->entries[i];
        uint32_t n = prefixes(r, entry, prefix);
        check_outputs(r, entry);
        for (uint32_t row = entry->first_row; row < entry->first_row + entry->n_rows; row++) {
            uint32_t p = (uint32_t)b->positions[row];
            if (p >= n && p < n + entry->n_drafts && p < MAX_CONTEXT)
                prefix[p] = sim_mix(prefix[p - 1], (uint64_t)b->tokens[row]);
            else if (p >= n) {
                sim_wrong(r, "row %u of entry %u: position %u of %u tokens", row, i, p, n);
                return;
            }
            for (uint32_t g = 0; g < r->scenario->n_groups; g++)
                see(r, step, i, g, p, prefix);
            r->outcome->trace = sim_mix(r->outcome->trace, prefix[p] ^ p);
        }
    }
}

/* What the model says after a prefix. */
static int32_t next_token(const run *r, uint64_t prefix, uint32_t choice, bool *stop) {
    uint64_t roll = sim_mix(prefix, choice + 77);
    *stop = (roll >> 32) % 19 == 0;
    return (int32_t)(roll % r->scenario->n_vocab);
}

/* Drafts that are right as often as the scenario says, and more than there is room for. */
static void propose(run *r) {
    rf_draft_place places[MAX_CHOICES];
    uint32_t n_places = rf_scheduler_draft_places(r->sched, places, MAX_CHOICES);
    for (uint32_t i = 0; i < n_places; i++) {
        rf_draft_place place = places[i];
        int32_t drafts[RF_DRAFTS_MAX];
        request *q = request_of(r, place.job);
        uint64_t hash = place.salt, luck = sim_mix(place.n_tokens, r->outcome->n_steps);
        uint32_t n = (uint32_t)(luck % (r->scenario->max_drafts + 1));
        if (!q || place.n_tokens + place.n_most >= r->scenario->max_context ||
            q->n_got[place.choice] + place.n_most + 1 > q->event->n_new)
            sim_wrong(r, "job %llu: room for %u drafts", (unsigned long long)place.job,
                      place.n_most);
        for (uint32_t t = 0; t < place.n_tokens; t++)
            hash = sim_mix(hash, (uint64_t)place.tokens[t]);
        for (uint32_t t = 0; t < n && t < RF_DRAFTS_MAX; t++) {
            bool stop;
            int32_t right = next_token(r, hash, place.choice, &stop);
            bool lucky = sim_mix(luck, t) % 100 < r->scenario->draft_luck;
            drafts[t] = lucky ? right : (int32_t)(luck % r->scenario->n_vocab);
            hash = sim_mix(hash, (uint64_t)drafts[t]);
        }
        rf_scheduler_propose(r->sched, place.seq, drafts, n);
    }
}

static void answer(run *r, rf_step *step, rf_step_sample *sample) {
    const rf_step_entry *entry = &step->entries[sample->entry];
    request *q = request_of(r, sample->job);
    uint64_t prefix[MAX_CONTEXT];
    uint32_t n = prefixes(r, entry, prefix), c = sample->choice;
    if (!q || c >= n_choices(q) || q->ended[c] || sample->i_token != q->n_got[c] ||
        n != q->event->n_tokens + q->n_got[c]) {
        sim_wrong(r, "job %llu: a sample out of order", (unsigned long long)sample->job);
        return;
    }
    const int32_t *tokens = rf_scheduler_tokens(r->sched, entry->seq, &n);
    if (memcmp(tokens + q->event->n_tokens, q->got[c], q->n_got[c] * sizeof *tokens) != 0)
        sim_wrong(r, "job %llu, choice %u: its tokens have changed",
                  (unsigned long long)sample->job, c);
    uint64_t hash = prefix[n - 1];
    for (uint32_t i = 0; i <= sample->n_drafts; i++) {
        int32_t token = next_token(r, hash, c, &sample->stop);
        hash = sim_mix(hash, (uint64_t)token);
        sample->tokens[i] = token;
        sample->n_tokens = i + 1;
        sample->failed = q->event->fails_at > 0 && q->n_got[c] + 1 == q->event->fails_at;
        q->got[c][q->n_got[c]++] = token;
        if (sample->stop || sample->failed || i == sample->n_drafts || token != sample->drafts[i])
            return;
    }
}

/* ---- steps --------------------------------------------------------------------------------- */

static void take_ends(run *r, const rf_step *step) {
    for (uint32_t i = 0; i < step->n_samples; i++) {
        const rf_step_sample *sample = &step->samples[i];
        request *q = request_of(r, sample->job);
        bool last = sample->stop || q->n_got[sample->choice] == q->event->n_new;
        bool failed = step->entries[sample->entry].finish == RF_FINISH_FAILED;
        if (!failed && last != (sample->finish != RF_FINISH_NONE))
            sim_wrong(r, "job %llu: finish %d", (unsigned long long)sample->job, sample->finish);
        if (sample->finish == RF_FINISH_NONE)
            continue;
        q->ended[sample->choice] = true;
        q->n_ended++;
    }
    for (int32_t i = 0; i < step->batch.n_seqs; i++) {
        const rf_step_entry *entry = &step->entries[i];
        request *q = request_of(r, entry->job);
        if (entry->finish == RF_FINISH_ROWS && q->rows_next != q->event->n_tokens)
            sim_wrong(r, "job %llu ended without its rows", (unsigned long long)entry->job);
        if (entry->finish != RF_FINISH_NONE)
            end_all(q);
    }
}

static void check_plan(run *r, const rf_step *step) {
    const rf_batch *b = &step->batch;
    if ((uint64_t)b->n_tokens > r->scenario->max_tokens ||
        (uint64_t)b->n_outputs > r->scenario->max_outputs ||
        (uint32_t)b->n_tokens != step->n_decode + step->n_draft + step->n_prefill ||
        (step->n_draft > 0 && step->n_prefill > 0))
        sim_wrong(r, "a step of %d rows with %d results", b->n_tokens, b->n_outputs);
    if (r->scenario->fault == SIM_FAULT_ORDER)
        r->outcome->trace = sim_mix(r->outcome->trace, n_runs);
    for (int32_t i = 0; i < b->n_seqs; i++)
        sim_check_turn(r, request_of(r, step->entries[i].job));
    for (uint32_t i = 0; i < step->n_copies; i++)
        r->outcome->trace = sim_mix(r->outcome->trace, (uint64_t)step->copies[i].to);
    for (int32_t i = 1; i < b->n_outputs; i++)
        if (b->output_rows[i] <= b->output_rows[i - 1])
            sim_wrong(r, "output rows do not rise");
}

static void one_step(run *r, rf_step *step) {
    uint64_t us = r->scenario->decode_us + r->scenario->row_us * (step->n_prefill + step->n_draft);
    r->now_us += us;
    check_plan(r, step);
    if (r->crash) { /* some of it was done, nobody knows what */
        r->crash = false;
        if (us % 2)
            copy_blocks(r, step);
        rf_scheduler_abort(r->sched);
        take_ends(r, &(rf_step){.batch.n_seqs = step->batch.n_seqs, .entries = step->entries});
        return;
    }
    copy_blocks(r, step);
    run_rows(r, step);
    for (uint32_t i = 0; i < step->n_samples && !r->outcome->failed; i++)
        answer(r, step, &step->samples[i]);
    if (r->outcome->failed)
        return;
    rf_scheduler_commit(r->sched, us * 1000);
    take_ends(r, step);
}

/* Steps in which everything would be done one row after another, many times over. */
static uint64_t most_steps(const sim_scenario *s) {
    uint64_t n = 100;
    for (uint32_t i = 0; i < s->n_events; i++)
        n += (s->events[i].n_tokens + s->events[i].n_new * s->events[i].n_choices) * 20;
    return n;
}

static void drive(run *r) {
    const sim_scenario *s = r->scenario;
    uint64_t most = most_steps(s);
    for (uint32_t next = 0; !r->outcome->failed;) {
        while (next < s->n_events && s->events[next].at_us <= r->now_us)
            happen(r, next++);
        propose(r);
        rf_step *step;
        bool planned = rf_scheduler_plan(r->sched, &step);
        if (planned)
            one_step(r, step);
        else if (rf_scheduler_n_jobs(r->sched) > 0)
            sim_wrong(r, "%u jobs are left and nothing runs", rf_scheduler_n_jobs(r->sched));
        else if (next == s->n_events)
            break;
        else
            r->now_us = s->events[next].at_us;
        if (!r->outcome->failed && !rf_scheduler_is_sound(r->sched))
            sim_wrong(r, "the scheduler's books do not agree after step %llu",
                      (unsigned long long)r->outcome->n_steps);
        if (++r->outcome->n_steps > most)
            sim_wrong(r, "no end after %llu steps", (unsigned long long)most);
    }
    for (uint32_t i = 0; i < s->n_events && !r->outcome->failed; i++) {
        const request *q = &r->requests[i];
        if (q->accepted && q->n_ended != n_choices(q))
            sim_wrong(r, "job %llu: %u of %u choices have ended", (unsigned long long)q->event->id,
                      q->n_ended, n_choices(q));
    }
    for (uint32_t g = 0; g < s->n_groups && !r->outcome->failed; g++)
        if (rf_kv_cache_available(rf_scheduler_cache(r->sched), g) != blocks_of(s, g))
            sim_wrong(r, "blocks of group %u are lost", g);
}

static rf_sched_config config_of(const sim_scenario *s) {
    return (rf_sched_config){.kv = {.n_groups = (uint32_t)s->n_groups,
                                    .windows = {(uint32_t)s->window0, (uint32_t)s->window1},
                                    .n_blocks = {(uint32_t)s->blocks0, (uint32_t)s->blocks1},
                                    .block_tokens = (uint32_t)s->block_tokens,
                                    .max_seqs = (uint32_t)s->max_seqs,
                                    .max_context = (uint32_t)s->max_context,
                                    .key = {1, 2}},
                             .max_tokens = (uint32_t)s->max_tokens,
                             .max_outputs = (uint32_t)s->max_outputs,
                             .max_waiting = (uint32_t)s->max_waiting,
                             .max_waiting_tokens = s->max_waiting_tokens,
                             .aging_ns = AGING_NS};
}

void sim_run(const sim_scenario *scenario, sim_outcome *out) {
    memset(out, 0, sizeof *out);
    n_runs++;
    run r = {.scenario = scenario, .outcome = out};
    if (scenario->n_groups > 2 || scenario->max_context > MAX_CONTEXT)
        return;
    rf_sched_config config = config_of(scenario);
    rf_error err = {0};
    if (rf_scheduler_create(&config, &r.sched, &err) != RF_OK)
        return; /* shrinking may ask for what cannot be */
    r.requests = calloc(scenario->n_events, sizeof *r.requests);
    for (uint32_t g = 0; g < scenario->n_groups; g++)
        r.stored[g] = calloc(blocks_of(scenario, g) * scenario->block_tokens, sizeof(uint64_t));
    drive(&r);
    rf_sched_counters counters = rf_scheduler_counters(r.sched);
    out->n_preempted = counters.n_preempted;
    out->n_cached = counters.n_cached_tokens;
    out->n_awaited = counters.n_awaited;
    out->n_drafted = counters.n_draft_rows;
    out->n_accepted = counters.n_accepted;
    out->n_evicted = counters.kv.n_evicted;
    out->n_copied = counters.kv.n_copied;
    rf_scheduler_destroy(r.sched);
    free(r.requests);
    free(r.stored[0]);
    free(r.stored[1]);
}
