/*
 * What guesses the tokens that follow a sequence. A drafter knows no scheduler and no sampler: it
 * is asked for drafts of several sequences at once and answers with as many as it has. What it
 * guesses decides how fast the output comes, never what it is: see engine/scheduler.h. The engine's
 * thread; no allocation after creation.
 */
#ifndef RF_ENGINE_DRAFTER_H
#define RF_ENGINE_DRAFTER_H

#include "engine/scheduler.h"
#include "op/backend.h"

/* Grades tell drafts apart by how sure they are; what comes of each is learnt. */
enum { RF_DRAFT_GRADES = 4 };

typedef struct rf_draft_ask {
    rf_draft_place place;
    uint32_t n_wanted; /* at most, up to RF_DRAFTS_MAX */
    /* The answer. */
    int32_t drafts[RF_DRAFTS_MAX];
    uint32_t n_drafts;
    uint32_t grade; /* the greater the surer */
} rf_draft_ask;

/* Prompt lookup: where the last 1 to 4 tokens stood before, what followed them there (Saxena 2023,
 * "Prompt Lookup Decoding"). The longest match counts, the latest of equals; its length less one is
 * the grade. Looks back over the last 65,536 tokens. */
void rf_draft_lookup(rf_draft_ask *asks, uint32_t n_asks);

/* A smaller model with a cache of its own, which follows the sequences that it is asked about. */
typedef struct rf_draft_model rf_draft_model;

/* What its backend is bound with, beside an engine with these limits. */
rf_limits rf_draft_model_limits(const rf_program *program, const rf_limits *engine);
/* Binds the backend; it and program are borrowed until destroy. */
RF_NODISCARD rf_status rf_draft_model_create(rf_backend *backend, const rf_program *program,
                                             const rf_limits *engine, rf_progress_fn progress,
                                             void *user, rf_draft_model **out, rf_error *err);
void rf_draft_model_destroy(rf_draft_model *drafter); /* NULL is a no-op */
/* Drafts greedily, all sequences together. A sequence with more new tokens than a call runs gets
 * none yet. After an error the drafter is of no further use. */
RF_NODISCARD rf_status rf_draft_model_draft(rf_draft_model *drafter, rf_draft_ask *asks,
                                            uint32_t n_asks, rf_error *err);
/* Time of its last run for one token of each sequence; 0: the last call had none. */
uint64_t rf_draft_model_token_ns(const rf_draft_model *drafter);

#endif
