/* What the answers of a request may be: constraints are made when requests come in, shared by those
 * that ask for the same, and kept for a while, because the masks that they have found are. */
#include <string.h>

#include "base/alloc.h"
#include "engine/engine_state.h"
#include "grammar/constraint.h"

/* While few constraints are there, each may keep many masks; further ones fewer. */
enum { MASK_BYTES = 16 << 20, N_LARGE = 16, FURTHER_MASK_BYTES = 1 << 20, IDLE_MAX = 8 };

rf_status rf_core_constraints_init(engine_core *core, rf_error *err) {
    const rf_token_bytes *vocab = core->options.vocab;
    core->options.vocab = NULL; /* borrowed until now */
    if (!vocab)
        return RF_OK;
    if (vocab->n_tokens != core->program->n_vocab)
        return rf_fail(err, RF_ERR_INVALID, "bytes of %u tokens, expected %u", vocab->n_tokens,
                       core->program->n_vocab);
    RF_TRY(rf_token_trie_create(vocab, &core->trie, err));
    core->constraints = rf_calloc(core->n_requests_max + IDLE_MAX, sizeof *core->constraints);
    core->mask = rf_calloc((core->program->n_vocab + 31) / 32, sizeof *core->mask);
    if (!core->constraints || !core->mask)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u constraints",
                       core->n_requests_max);
    return RF_OK;
}

void rf_core_constraints_deinit(engine_core *core) {
    for (uint32_t i = 0; core->constraints && i < core->n_requests_max + IDLE_MAX; i++)
        rf_constraint_destroy(core->constraints[i].constraint);
    rf_free(core->constraints);
    rf_free(core->mask);
    rf_token_trie_destroy(core->trie);
}

/* One with these bytes that is there, or a place for it. At most IDLE_MAX that nobody uses stay. */
static core_constraint *find_place(engine_core *core, const void *bytes, size_t n_bytes) {
    core_constraint *free_place = NULL, *oldest = NULL;
    uint32_t n_idle = 0;
    for (uint32_t i = 0; i < core->n_requests_max + IDLE_MAX; i++) {
        core_constraint *c = &core->constraints[i];
        if (!c->constraint) {
            free_place = c;
            continue;
        }
        if (rf_constraint_is(c->constraint, bytes, n_bytes))
            return c;
        n_idle += c->n_refs == 0;
        if (c->n_refs == 0 && (!oldest || c->used < oldest->used))
            oldest = c;
    }
    if (n_idle < IDLE_MAX && free_place)
        return free_place;
    rf_constraint_destroy(oldest->constraint); /* there are more places than requests */
    oldest->constraint = NULL;
    return oldest;
}

static size_t mask_bytes(const engine_core *core) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < core->n_requests_max + IDLE_MAX; i++)
        n += core->constraints[i].constraint != NULL;
    return n < N_LARGE ? MASK_BYTES : FURTHER_MASK_BYTES;
}

rf_status rf_core_constrain(rf_engine *engine, core_request *request, rf_error *err) {
    engine_core *core = &engine->core;
    const rf_order *order = &request->order;
    if (order->n_constraint_bytes == 0)
        return RF_OK;
    const void *bytes = engine->region + order->constraint_at;
    core_constraint *place = find_place(core, bytes, order->n_constraint_bytes);
    request->states = rf_calloc(order->n_choices, sizeof *request->states);
    if (!request->states)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u choices", order->n_choices);
    if (!place->constraint)
        RF_TRY(rf_constraint_create(bytes, order->n_constraint_bytes, core->trie, mask_bytes(core),
                                    &place->constraint, err));
    for (uint32_t i = 0; i < order->n_choices; i++)
        request->states[i] = rf_constraint_begin(place->constraint);
    place->n_refs++;
    place->used = ++core->n_constrained;
    request->constraint = place;
    return RF_OK;
}

void rf_core_unconstrain(core_request *request) {
    if (request->constraint)
        request->constraint->n_refs--;
    rf_free(request->states);
    request->constraint = NULL;
    request->states = NULL;
}

/* Stop tokens may come where the text may end, and nowhere else. */
static void mask_stops(rf_engine *engine, const rf_order *order, bool may_end,
                       const uint32_t **mask, uint32_t *n_allowed) {
    uint32_t *own = engine->core.mask;
    const int32_t *stop = (const int32_t *)(void *)(engine->region + order->stop_at);
    if (order->n_stop == 0)
        return;
    memcpy(own, *mask, (engine->core.program->n_vocab + 31) / 32 * sizeof *own);
    for (uint32_t i = 0; i < order->n_stop; i++) {
        uint32_t *word = &own[stop[i] / 32], bit = 1u << stop[i] % 32;
        bool is_set = (*word & bit) != 0;
        *n_allowed += (uint32_t)may_end - (uint32_t)is_set;
        *word = may_end ? *word | bit : *word & ~bit;
    }
    *mask = own;
}

/* The states of all choices under the constraint stay, all others are forgotten. */
static void collect(engine_core *core, const core_constraint *constraint) {
    rf_constraint_forget(constraint->constraint);
    for (uint32_t i = 0; i < core->n_requests_max; i++) {
        core_request *request = &core->requests[i];
        for (uint32_t k = 0; request->constraint == constraint && k < request->order.n_choices; k++)
            request->states[k] = rf_constraint_keep(constraint->constraint, request->states[k]);
    }
}

rf_status rf_core_mask(rf_engine *engine, core_request *request, uint32_t choice,
                       const uint32_t **mask, rf_error *err) {
    *mask = NULL;
    if (!request->constraint)
        return RF_OK;
    rf_constraint *c = request->constraint->constraint;
    if (rf_constraint_is_crowded(c))
        collect(&engine->core, request->constraint);
    uint32_t state = request->states[choice], n_allowed;
    *mask = state != RF_AUTOMATON_DEAD ? rf_constraint_mask(c, state, &n_allowed) : NULL;
    if (!*mask)
        return rf_fail(err, RF_ERR_LIMIT,
                       "the constraint needs more states than there is room for: a simpler one is "
                       "needed");
    mask_stops(engine, &request->order, rf_constraint_may_end(c, state), mask, &n_allowed);
    return n_allowed > 0 ? RF_OK
                         : rf_fail(err, RF_ERR_INVALID,
                                   "no token can go on with what the constraint allows: the "
                                   "vocabulary cannot spell it");
}

bool rf_core_is_over(core_request *request, uint32_t choice, int32_t token) {
    if (!request->constraint)
        return false;
    rf_constraint *c = request->constraint->constraint;
    uint32_t *state = &request->states[choice], n_allowed = 1;
    if (!rf_constraint_accept(c, state, token)) /* a stop token: it ends the choice itself */
        return false;
    if (!rf_constraint_may_end(c, *state))
        return false;
    return rf_constraint_mask(c, *state, &n_allowed) && n_allowed == 0;
}
