#include "engine/draft_choice.h"

#include <string.h>

/* Steps until what does not pay is tried again, at first and at last; until a step shows again what
 * it costs without drafts; until a cost is too old to be believed. */
enum { PATIENCE = 64, PATIENCE_MOST = 1024, PLAIN_AFTER = 64, STALE_AFTER = 2048 };
/* A draft model first runs what it has missed meanwhile, so a try of it is dear. */
enum { MODEL_PATIENCE = 4 };
/* What drafts must promise: means of few samples flatter whichever is the best of them. */
static const double margin = 1.05;
/* Of a draft model whose cost is not known yet. */
enum { FIRST_DRAFTS = 2 };

rf_draft_record rf_draft_record_make(rf_draft_kind kind) {
    /* {the first draft, later ones}. Lookup: what two small models' answers gave at temperatures 0
     * to 1.5, see docs/performance.md. */
    static const float looked_up[RF_DRAFT_GRADES][2] = {
        {0.2f, 0.45f}, {0.36f, 0.6f}, {0.45f, 0.7f}, {0.75f, 0.85f}};
    rf_draft_record record = {.patience = PATIENCE};
    for (uint32_t g = 0; g < RF_DRAFT_GRADES; g++)
        for (uint32_t i = 0; i < RF_DRAFTS_MAX; i++)
            record.chance[g][i] = kind == RF_DRAFT_LOOKUP ? looked_up[g][i > 0] : 0.7f;
    return record;
}

/* ---- costs --------------------------------------------------------------------------------- */

static bool is_known(const rf_draft_costs *costs, uint32_t n_rows) {
    return costs->seen[n_rows] > 0 && costs->n_steps - costs->seen[n_rows] < STALE_AFTER;
}

/* Between two known ones on a line; beyond the last known one as cheap as that, so that it is
 * tried. */
static double step_cost(const rf_draft_costs *costs, uint32_t n_rows) {
    if (is_known(costs, n_rows))
        return costs->step_ns[n_rows];
    uint32_t below = n_rows, above = n_rows;
    while (below > 0 && !is_known(costs, below))
        below--;
    while (above < RF_DRAFT_ROWS && !is_known(costs, above))
        above++;
    bool has_above = is_known(costs, above);
    if (below == 0)
        return has_above ? costs->step_ns[above] : 0;
    if (!has_above)
        return costs->step_ns[below];
    double part = (double)(n_rows - below) / (double)(above - below);
    return costs->step_ns[below] + part * (costs->step_ns[above] - costs->step_ns[below]);
}

void rf_draft_costs_learn(rf_draft_costs *costs, uint32_t n_rows, uint32_t n_drafts, uint64_t ns) {
    costs->n_steps++;
    costs->n_drafting = n_drafts > 0 ? costs->n_drafting + 1 : 0;
    if (n_rows == 0 || n_rows > RF_DRAFT_ROWS)
        return;
    bool known = is_known(costs, n_rows);
    double mean = costs->step_ns[n_rows], sample = (double)ns;
    if (known && sample > 2 * mean) /* the machine did something else meanwhile */
        sample = 2 * mean;
    costs->step_ns[n_rows] = known ? mean + (sample - mean) / 8 : sample;
    costs->seen[n_rows] = costs->n_steps;
}

void rf_draft_costs_learn_token(rf_draft_costs *costs, uint64_t ns) {
    double *mean = &costs->token_ns, sample = (double)ns;
    if (*mean > 0 && sample > 2 * *mean)
        sample = 2 * *mean;
    *mean = *mean > 0 ? *mean + (sample - *mean) / 8 : sample;
    costs->token_seen = costs->n_steps;
}

/* ---- chances ------------------------------------------------------------------------------- */

void rf_draft_record_learn(rf_draft_record *record, float share, uint32_t grade, uint32_t n,
                           uint32_t n_true, bool ended) {
    record->n_drafted += n;
    record->n_accepted += n_true;
    float *chance = record->chance[grade];
    for (uint32_t i = 0; i < n_true; i++)
        chance[i] += (1 - chance[i]) * share;
    if (n_true < n && !ended)
        chance[n_true] -= chance[n_true] * share;
}

/* ---- choice -------------------------------------------------------------------------------- */

/* The offer whose next draft is likeliest to count, or -1. */
static int32_t likeliest(const rf_draft_offer *offers, const double *reach, const uint32_t *taken,
                         uint32_t n_offers) {
    int32_t best = -1;
    for (uint32_t i = 0; i < n_offers; i++)
        if (taken[i] < offers[i].n_most && (best < 0 || reach[i] > reach[best]))
            best = (int32_t)i;
    return best;
}

/* Whether drafts of an offer would pay if nearly all came true. */
static bool could_pay(const rf_draft_costs *costs, uint32_t n_rows, const rf_draft_offer *offer) {
    if (offer->from_model && costs->n_steps - costs->token_seen >= STALE_AFTER)
        return true;
    double tokens = n_rows, reach = 1, least = margin * n_rows / step_cost(costs, n_rows);
    for (uint32_t n = 1; n <= offer->n_most && n_rows + n <= RF_DRAFT_ROWS; n++) {
        reach *= 0.95;
        tokens += reach;
        double ns = step_cost(costs, n_rows + n) + (offer->from_model ? n * costs->token_ns : 0);
        if (tokens > least * ns)
            return true;
    }
    return false;
}

/* What does not pay gets a try of 2, 4, 8 … drafts, after ever longer times. */
static void try_again(rf_draft_offer *offer, uint32_t n_free) {
    rf_draft_record *record = offer->record;
    if (offer->n_chosen > 0) {
        record->n_idle = 0;
        record->patience = PATIENCE;
        return;
    }
    uint32_t n = 2u << record->n_tries % 3;
    n = n < offer->n_most ? n : offer->n_most;
    uint32_t patience = record->patience * (offer->from_model ? MODEL_PATIENCE : 1);
    if (n == 0 || ++record->n_idle < patience || n > n_free)
        return;
    record->n_idle = 0;
    record->n_tries++;
    record->patience = record->patience < PATIENCE_MOST ? record->patience * 2 : PATIENCE_MOST;
    offer->n_chosen = n;
}

void rf_draft_choose(rf_draft_costs *costs, uint32_t n_rows, uint32_t most_rows,
                     rf_draft_offer *offers, uint32_t n_offers) {
    double reach[RF_DRAFT_ROWS];
    uint32_t taken[RF_DRAFT_ROWS] = {0}, order[RF_DRAFT_ROWS], n_best = 0, n = 0, depth = 0;
    most_rows = most_rows < RF_DRAFT_ROWS ? most_rows : RF_DRAFT_ROWS;
    for (uint32_t i = 0; i < n_offers; i++)
        offers[i].n_chosen = 0;
    if (n_rows == 0 || n_rows >= most_rows || n_offers > RF_DRAFT_ROWS ||
        !is_known(costs, n_rows) || costs->n_drafting >= PLAIN_AFTER)
        return;
    for (uint32_t i = 0; i < n_offers; i++)
        if (offers[i].from_model && costs->token_ns <= 0 && offers[i].n_most > FIRST_DRAFTS)
            offers[i].n_most = FIRST_DRAFTS;
    for (uint32_t i = 0; i < n_offers; i++)
        reach[i] = (double)offers[i].record->chance[offers[i].grade][0];
    double tokens = n_rows, best = tokens / step_cost(costs, n_rows);
    for (int32_t i;
         n_rows + n < most_rows && (i = likeliest(offers, reach, taken, n_offers)) >= 0;) {
        const rf_draft_offer *offer = &offers[i];
        tokens += reach[i];
        order[n++] = (uint32_t)i;
        if (++taken[i] < offer->n_most)
            reach[i] *= (double)offer->record->chance[offer->grade][taken[i]];
        if (offer->from_model && taken[i] > depth)
            depth = taken[i];
        double rate = tokens / (step_cost(costs, n_rows + n) + depth * costs->token_ns);
        if (rate > best) {
            best = rate;
            n_best = n;
        }
    }
    if (best < margin * n_rows / step_cost(costs, n_rows))
        n_best = 0;
    for (uint32_t k = 0; k < n_best; k++)
        offers[order[k]].n_chosen++;
    uint32_t n_free = most_rows - n_rows - n_best;
    for (uint32_t i = 0; i < n_offers; i++) {
        uint32_t had = offers[i].n_chosen;
        if (could_pay(costs, n_rows, &offers[i]))
            try_again(&offers[i], n_free);
        n_free -= offers[i].n_chosen - had;
    }
}
