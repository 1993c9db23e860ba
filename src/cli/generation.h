/*
 * Lets a session answer: prompt in, tokens and text out, with stop texts and speeds. Main thread.
 */
#ifndef RF_CLI_GENERATION_H
#define RF_CLI_GENERATION_H

#include <jansson.h>

#include "cli/sampling.h"
#include "cli/session.h"

typedef enum rf_answer_end {
#define X(id, name) RF_ANSWER_##id,
#include "cli/answer_ends.def"
#undef X
    RF_ANSWER_COUNT
} rf_answer_end;
const char *rf_answer_end_name(rf_answer_end end);

typedef struct rf_generation_options {
    int64_t n_predict; /* -1: no bound but the context */
    const char *const *stops;
    size_t n_stops;
    bool ignore_eos;
    bool continues; /* the text goes on where the prompt ends: its leading space stays */
    /* Text as it becomes final (whole characters), and each token with its text. Either may be
     * NULL; a failure ends the answer. */
    rf_status (*on_text)(void *user, rf_str text, rf_error *err);
    rf_status (*on_token)(void *user, const rf_event *token, rf_error *err);
    void *user;
} rf_generation_options;

typedef struct rf_generation {
    rf_answer_end finish;
    size_t n_prompt, n_cached;    /* tokens; cached ones were in the cache already */
    size_t n_generated;           /* the end token included */
    size_t n_drafted, n_accepted; /* guesses, and those that came true */
    uint64_t first_ns, last_ns;   /* from the request to its first and last token */
    uint64_t seed;
} rf_generation;

/* Checks stop texts: none empty, all UTF-8. */
RF_NODISCARD rf_status rf_generation_check_stops(const rf_option_value *stops, rf_error *err);

/* Answers the tokens of a prompt; the cache is reused where it begins alike. An interruption is
 * RF_OK with finish RF_ANSWER_INTERRUPTED. */
RF_NODISCARD rf_status rf_generation_run(rf_session *session, const rf_sampling *sampling,
                                         const rf_generation_options *options,
                                         const rf_tokens *prompt, rf_generation *out,
                                         rf_error *err);

/* Tokens after the first one, and the time that they took. */
static inline size_t rf_generation_n_steps(const rf_generation *g) {
    return g->n_generated > 0 ? g->n_generated - 1 : 0;
}
static inline uint64_t rf_generation_steps_ns(const rf_generation *g) {
    return g->last_ns - g->first_ns;
}

/* The closing line: tokens, speeds, bytes of weights read a second, time to the first token. */
void rf_generation_note(const rf_session *session, const rf_generation *generation);
json_t *rf_generation_json(const rf_session *session, const rf_generation *generation, bool *ok);

#endif
