/*
 * How many drafts pay. From three things that are learnt while running: how often drafts come true,
 * by their grade and place; what a step costs by its number of rows; what a draft model takes for a
 * token. A step's drafts are chosen for the most tokens per time over all its sequences; none,
 * where none pay. What was found not to pay is tried again now and then. Plain values without
 * clocks: what is told decides alone. One thread.
 */
#ifndef RF_ENGINE_DRAFT_CHOICE_H
#define RF_ENGINE_DRAFT_CHOICE_H

#include "engine/drafter.h"
#include "engine/request.h"

enum { RF_DRAFT_ROWS = 64 }; /* of a step that may have drafts */

/* Of one sequence; and of all, where a new one begins. */
typedef struct rf_draft_record {
    /* that a draft comes true where those before it have */
    float chance[RF_DRAFT_GRADES][RF_DRAFTS_MAX];
    uint32_t n_idle; /* steps without drafts that could have had some */
    uint32_t patience, n_tries;
    uint32_t n_drafted, n_accepted;
} rf_draft_record;

typedef struct rf_draft_costs {
    double step_ns[RF_DRAFT_ROWS + 1]; /* running means by number of rows */
    uint64_t seen[RF_DRAFT_ROWS + 1];  /* n_steps when last met; 0: never */
    uint64_t n_steps;
    uint32_t n_drafting; /* steps with drafts since one without */
    double token_ns;     /* of a draft model's run, a running mean; 0: not known */
    uint64_t token_seen; /* n_steps then */
} rf_draft_costs;

/* A sequence that could have drafts. */
typedef struct rf_draft_offer {
    rf_draft_record *record;
    uint32_t grade, n_most;
    bool from_model; /* each token is a run of the draft model, shared by all sequences */
    uint32_t n_chosen;
} rf_draft_offer;

/* What is supposed before anything is known. */
rf_draft_record rf_draft_record_make(rf_draft_kind kind);

/* n_rows: rows that the step has without drafts; most_rows: with them. */
void rf_draft_choose(rf_draft_costs *costs, uint32_t n_rows, uint32_t most_rows,
                     rf_draft_offer *offers, uint32_t n_offers);

/* n drafts were run; the first n_true came true, and the next one (n_true < n) did not, unless
 * nobody asked any more (ended). */
void rf_draft_record_learn(rf_draft_record *record, float share, uint32_t grade, uint32_t n,
                           uint32_t n_true, bool ended);
void rf_draft_costs_learn_token(rf_draft_costs *costs, uint64_t ns);
/* A step of n_rows rows, n_drafts of them drafts, took so long. */
void rf_draft_costs_learn(rf_draft_costs *costs, uint32_t n_rows, uint32_t n_drafts, uint64_t ns);

#endif
