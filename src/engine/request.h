/*
 * What may be asked of the engine and what comes back. Tokens and numbers only: the engine knows
 * nothing of text. Plain values.
 */
#ifndef RF_ENGINE_REQUEST_H
#define RF_ENGINE_REQUEST_H

#include "engine/scheduler.h"
#include "grammar/automaton.h"
#include "op/backend.h"
#include "sample/sampler.h"

typedef enum rf_request_kind {
    RF_REQUEST_GENERATE, /* tokens that follow the prompt */
    RF_REQUEST_SCORE,    /* log-probabilities of the given tokens */
    RF_REQUEST_EMBED,    /* one vector for all of them */
    /* Their rows of logits, through rf_engine_options.on_row alone; it fails where they are not
     * finite, after on_row has had them. */
    RF_REQUEST_ROWS,
    RF_REQUEST_EXPORT, /* what the cache holds of them, as bytes */
    RF_REQUEST_IMPORT, /* such bytes go into the cache */
    RF_REQUEST_COUNT
} rf_request_kind;

typedef enum rf_pooling {
    RF_POOL_MEAN,
    RF_POOL_LAST, /* the last token's */
    RF_POOL_CLS,  /* the first token's */
    RF_POOL_COUNT
} rf_pooling;

typedef enum rf_draft_kind {
    RF_DRAFT_NONE,
    RF_DRAFT_LOOKUP, /* what followed the last tokens where they stood before */
    RF_DRAFT_MODEL,  /* the engine's draft model, where it has one */
    RF_DRAFT_COUNT
} rf_draft_kind;

/* Zero-initialise; borrowed until submit returns. */
typedef struct rf_request {
    rf_request_kind kind;
    const int32_t *tokens;
    uint32_t n_tokens;
    int32_t priority;   /* greater is more urgent */
    uint64_t salt;      /* shares cached prefixes with its own salt alone */
    bool keeps_private; /* shares none */
    /* Another request is submitted right after this one: an engine that sleeps goes on doing so, so
     * that both begin in the same step. */
    bool more_follow;
    /* GENERATE */
    uint32_t n_new;                 /* RF_NEW_TOKENS_MAX: as many as fit */
    uint32_t n_choices;             /* 0 = 1 */
    const rf_sample_params *params; /* NULL: the defaults; n_probs asks for alternatives */
    const int32_t *stop_tokens;     /* end a choice; the last token reported */
    uint32_t n_stop;
    /* What the answer may be, from its first token on; NULL: anything. Stop tokens may come where
     * it may end; where nothing may follow, the choice ends with RF_FINISH_STOP and no stop token.
     */
    const rf_automaton *constraint;
    /* Who guesses further tokens, which are checked in one pass: faster where they come true, and
     * never another output (engine/scheduler.h). */
    rf_draft_kind draft;
    uint32_t n_draft_max; /* of a step; 0: what the engine's options say */
    /* SCORE: of tokens[scores_from] and later ones, at least 1; 0 = 1 */
    uint32_t scores_from;
    uint32_t n_top; /* best alternatives at each place, up to RF_SAMPLE_MAX_PROBS */
    /* EMBED */
    rf_pooling pooling;
    bool normalise; /* to length 1 */
    /* ROWS */
    uint32_t rows_from; /* after tokens[rows_from] and later ones */
    /* EXPORT: the blocks from token kv.from on, as many as fit into kv_bytes. IMPORT: those of kv,
     * whose `to` is n_tokens; what goes before must be in the cache. Both are served at once,
     * between two steps, so a request should move a few MiB at most. Block by block, and in each
     * its groups that are present (kv.first[group] and later ones): rf_kv_shape says how many bytes
     * these are. */
    rf_kv_span kv;
    const void *kv_data;
    uint64_t kv_bytes;
} rf_request;

/* What blocks are on this engine: contents can be moved only where all of it is the same. */
typedef struct rf_kv_shape {
    const char *backend;
    rf_kv_type type_k, type_v;
    uint64_t rotation; /* hash of the angles that keys are rotated by: they depend on the context */
    uint32_t n_groups, block_tokens;
    uint32_t windows[RF_KV_GROUPS];
    uint64_t block_bytes[RF_KV_GROUPS];
} rf_kv_shape;

typedef enum rf_event_kind { RF_EVENT_TOKEN, RF_EVENT_FINISH } rf_event_kind;

typedef struct rf_event {
    rf_event_kind kind;
    uint64_t id;
    uint32_t choice;
    /* TOKEN */
    int32_t token;
    float logprob;  /* 0 unless params.n_probs > 0 */
    uint32_t n_top; /* alternatives, best first */
    rf_token_logprob top[RF_SAMPLE_MAX_PROBS];
    /* FINISH of a choice; where the request ends as a whole (cancelled, failed) it is one for all.
     * Each request that was taken ends with exactly one that has `last`. */
    rf_finish finish;
    bool last;
    rf_status status; /* RF_OK, or why it failed: error says more */
    char error[256];
    uint32_t n_generated;           /* tokens of this choice */
    uint64_t began_ns;              /* rf_clock_ns when its first step was planned; 0: failed */
    uint32_t n_cached;              /* tokens of the prompt that were not computed */
    uint32_t n_drafted, n_accepted; /* drafts for this choice; those that came true */
    /* SCORE: [n_tokens - scores_from][1 + n_top], the token itself first. EMBED: [n_embd]. Valid
     * until the next call of rf_engine_next. */
    const rf_token_logprob *scores;
    const float *embedding;
    /* EXPORT and IMPORT: n_cached says how many of the tokens the cache holds. EXPORT: what was
     * moved, kv.to being kv.from where nothing was; valid as long as scores. */
    rf_kv_span kv;
    const void *kv_data;
    uint64_t kv_bytes;
} rf_event;

#endif
