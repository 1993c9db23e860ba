/* Speculation in the engine: who is asked for drafts, how many are taken, what came of them. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/engine_state.h"

/* A drafted token's weight in the record of its sequence, and in that of all. */
static const float own_share = 1.0f / 16, common_share = 1.0f / 64;

/* ---- life ---------------------------------------------------------------------------------- */

static rf_status make_model(engine_core *core, rf_progress_fn progress, void *user, rf_error *err) {
    const rf_draft_options *options = &core->options.draft;
    if (options->program->n_vocab != core->program->n_vocab)
        return rf_fail(err, RF_ERR_INVALID,
                       "the draft model has %u tokens, expected the model's %u",
                       options->program->n_vocab, core->program->n_vocab);
    return rf_draft_model_create(options->backend, options->program, &core->limits, progress, user,
                                 &core->drafts.model, err);
}

rf_status rf_core_drafts_init(engine_core *core, rf_progress_fn progress, void *user,
                              rf_error *err) {
    engine_drafts *drafts = &core->drafts;
    for (uint32_t i = 0; i < RF_DRAFT_COUNT; i++)
        drafts->records[i] = rf_draft_record_make((rf_draft_kind)i);
    if (core->options.draft.n_max == 0)
        return RF_OK;
    drafts->places = rf_calloc(RF_DRAFT_ROWS, sizeof *drafts->places);
    drafts->asks = rf_calloc(RF_DRAFT_ROWS, sizeof *drafts->asks);
    drafts->offers = rf_calloc(RF_DRAFT_ROWS, sizeof *drafts->offers);
    if (!drafts->places || !drafts->asks || !drafts->offers)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for drafts");
    return core->options.draft.backend ? make_model(core, progress, user, err) : RF_OK;
}

void rf_core_drafts_deinit(engine_core *core) {
    rf_draft_model_destroy(core->drafts.model);
    rf_free(core->drafts.places);
    rf_free(core->drafts.asks);
    rf_free(core->drafts.offers);
}

rf_status rf_core_drafts_begin(engine_core *core, core_request *request, rf_error *err) {
    const rf_order *order = &request->order;
    if (order->request != RF_REQUEST_GENERATE || order->draft == RF_DRAFT_NONE ||
        core->options.draft.n_max == 0)
        return RF_OK;
    request->drafts = rf_calloc(order->n_choices, sizeof *request->drafts);
    if (!request->drafts)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the drafts of %u choices",
                       order->n_choices);
    rf_draft_record record = core->drafts.records[order->draft];
    record.n_drafted = record.n_accepted = 0;
    for (uint32_t i = 0; i < order->n_choices; i++)
        request->drafts[i].record = record;
    return RF_OK;
}

/* ---- before a step ------------------------------------------------------------------------- */

/* Asks for the sequences of one kind. */
static uint32_t ask(engine_core *core, uint32_t n_places, rf_draft_kind kind, rf_draft_ask *asks) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_places; i++) {
        const rf_draft_place *place = &core->drafts.places[i];
        const core_request *request = &core->requests[place->tag];
        uint32_t most = core->options.draft.n_max, own = request->order.n_draft_max;
        most = own > 0 && own < most ? own : most;
        most = place->n_most < most ? place->n_most : most;
        if (!request->drafts || request->order.draft != (uint32_t)kind || most == 0)
            continue;
        asks[n++] = (rf_draft_ask){.place = *place, .n_wanted = most};
    }
    return n;
}

/* How many of what there is, or could be: in n_wanted of each ask. */
static void choose(engine_core *core, uint32_t n_rows, uint32_t n_lookups, uint32_t n_asks) {
    engine_drafts *drafts = &core->drafts;
    const rf_limits *limits = &core->limits;
    for (uint32_t i = 0; i < n_asks; i++) {
        const rf_draft_ask *a = &drafts->asks[i];
        core_draft *draft = &core->requests[a->place.tag].drafts[a->place.choice];
        bool from_model = i >= n_lookups;
        drafts->offers[i] = (rf_draft_offer){.record = &draft->record,
                                             .grade = a->grade,
                                             .n_most = from_model ? a->n_wanted : a->n_drafts,
                                             .from_model = from_model};
    }
    if (core->options.draft.always)
        for (uint32_t i = 0; i < n_asks; i++)
            drafts->offers[i].n_chosen = drafts->offers[i].n_most;
    else
        rf_draft_choose(&drafts->costs, n_rows,
                        limits->max_tokens < limits->max_outputs ? limits->max_tokens
                                                                 : limits->max_outputs,
                        drafts->offers, n_asks);
    for (uint32_t i = 0; i < n_asks; i++)
        drafts->asks[i].n_wanted = drafts->offers[i].n_chosen;
}

static void ask_model(engine_core *core, rf_draft_ask *asks, uint32_t n) {
    engine_drafts *drafts = &core->drafts;
    rf_error err = {0};
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        any |= asks[i].n_wanted > 0;
    if (!any)
        return;
    if (rf_draft_model_draft(drafts->model, asks, n, &err) != RF_OK) {
        rf_log(RF_LOG_WARN, "draft", "the draft model has failed and is not used any more: %s",
               err.text);
        rf_draft_model_destroy(drafts->model);
        drafts->model = NULL;
        core->counters.n_draft_failures++;
        for (uint32_t i = 0; i < n; i++)
            asks[i].n_drafts = 0;
        return;
    }
    uint64_t ns = rf_draft_model_token_ns(drafts->model);
    if (ns > 0)
        rf_draft_costs_learn_token(&drafts->costs, ns);
}

void rf_core_drafts_propose(engine_core *core) {
    engine_drafts *drafts = &core->drafts;
    if (!drafts->places)
        return;
    uint32_t n_places = rf_scheduler_draft_places(core->sched, drafts->places, RF_DRAFT_ROWS);
    uint32_t n_lookups = ask(core, n_places, RF_DRAFT_LOOKUP, drafts->asks), n = n_lookups;
    if (drafts->model)
        n += ask(core, n_places, RF_DRAFT_MODEL, drafts->asks + n);
    rf_draft_lookup(drafts->asks, n_lookups);
    choose(core, n_places, n_lookups, n);
    ask_model(core, drafts->asks + n_lookups, n - n_lookups);
    for (uint32_t i = 0; i < n; i++) {
        const rf_draft_ask *a = &drafts->asks[i];
        uint32_t n_drafts = a->n_drafts < a->n_wanted ? a->n_drafts : a->n_wanted;
        core->requests[a->place.tag].drafts[a->place.choice].grade = a->grade;
        if (n_drafts > 0)
            rf_scheduler_propose(core->sched, a->place.seq, a->drafts, n_drafts);
    }
}

/* ---- after it ------------------------------------------------------------------------------ */

void rf_core_drafts_learn(engine_core *core, const rf_step *step, uint64_t run_ns) {
    if (!core->drafts.places)
        return;
    for (uint32_t i = 0; i < step->n_samples; i++) {
        const rf_step_sample *sample = &step->samples[i];
        core_request *request = &core->requests[sample->tag];
        if (sample->n_drafts == 0 || sample->failed || !request->drafts)
            continue;
        uint32_t n = 0;
        while (n < sample->n_drafts && n < sample->n_tokens &&
               sample->tokens[n] == sample->drafts[n])
            n++;
        core_draft *draft = &request->drafts[sample->choice];
        bool ended = n == sample->n_tokens;
        rf_draft_record_learn(&draft->record, own_share, draft->grade, sample->n_drafts, n, ended);
        rf_draft_record_learn(&core->drafts.records[request->order.draft], common_share,
                              draft->grade, sample->n_drafts, n, ended);
    }
    if (step->n_prefill == 0)
        rf_draft_costs_learn(&core->drafts.costs, step->n_decode + step->n_draft, step->n_draft,
                             run_ns);
}
