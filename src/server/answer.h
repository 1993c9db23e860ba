/*
 * What the engine generates for one request: some prompts, some choices of each, as OpenAI's
 * completions or chat completions, streamed or whole. A worker creates and submits it; from then
 * on it belongs to the pump, which feeds it events on its own thread and destroys it after the
 * last one.
 */
#ifndef RF_SERVER_ANSWER_H
#define RF_SERVER_ANSWER_H

#include "engine/engine.h"
#include "server/answer_choice.h"
#include "server/answer_form.h"
#include "server/exchange.h"
#include "server/sampling_fields.h"
#include "server/talk.h"

typedef struct rf_answer_prompt {
    rf_tokens tokens; /* until it is submitted */
    rf_buf echo;      /* its text, where it is echoed */
    size_t n_tokens;
    bool scored;                         /* its own log-probabilities are there */
    uint64_t id;                         /* the engine's */
    uint64_t began_ns;                   /* the engine's first step for it; 0: none yet */
    uint32_t i_prompt, n_cached, n_open; /* open: choices that go on */
    bool lives;                          /* the engine has it */
    bool cancelled;                      /* and was told to stop */
    float *vector;                       /* owned; its embedding */
    struct rf_answer *answer;
    struct rf_answer_prompt *next; /* the pump's */
} rf_answer_prompt;

typedef struct rf_answer {
    rf_exchange *exchange; /* a reference */
    const rf_answer_form *form;
    rf_talk talk; /* owned; of forms that talk */
    bool streams, has_begun, include_usage, echoes, keeps_private;
    bool scores; /* prompts are scored before anything is generated, to be echoed so */
    bool returns_ids, times_tokens; /* llama-server's completion */
    bool writes_base64;             /* embeddings */
    uint32_t n_choices;             /* of each prompt */
    uint32_t n_wanted;              /* of them: those that are most probable, where it is fewer */
    size_t n_prompts;
    rf_answer_prompt *prompts; /* owned */
    rf_choice *choices;        /* owned, [n_prompts * n_choices] */
    rf_sampling_ask sampling;
    rf_automaton *constraint; /* owned; what the text may be, or NULL */
    uint32_t n_new;           /* 0: nothing is generated */
    int32_t priority;
    uint64_t salt;
    char id[48];
    rf_buf head, sent; /* how each chunk begins, for the form; what is to be sent next */
    uint32_t n_events; /* that were numbered */
    int64_t created_s;
    uint64_t submitted_ns, first_ns, last_ns, deadline_ns;
    rf_refusal failure;
    /* Behind the pump's lock. */
    uint32_t n_live; /* prompts that the engine has */
    size_t n_submitted;
    bool abandoned, timed_out, retries_cancel;
    struct rf_answer *next_retry;
} rf_answer;

/* From a checked request; takes a reference of exchange. talk is taken over, and empty afterwards;
 * NULL where the form does not talk. False: *refusal. */
bool rf_answer_create(rf_exchange *exchange, const rf_answer_form *form, const rf_ask *ask,
                      rf_talk *talk, size_t n_prompts, rf_answer **out, rf_refusal *refusal);
void rf_answer_destroy(rf_answer *answer); /* NULL is a no-op */
/* An endpoint of chats, whole: renders the talk, creates the answer and submits it. */
bool rf_answer_talk(rf_exchange *exchange, const rf_answer_form *form, const rf_ask *ask,
                    rf_talk *talk, rf_refusal *refusal);
/* An endpoint that generates: parses the body, begins, refuses where that fails. */
void rf_exchange_serve(rf_exchange *exchange, rf_ask_endpoint endpoint,
                       bool (*begin)(rf_exchange *exchange, const rf_ask *ask,
                                     rf_refusal *refusal));

/* Checks the lengths, hands it to the pump. The answer is the pump's afterwards, or, where it was
 * refused, gone: false. */
bool rf_answer_submit(rf_answer *answer, rf_refusal *refusal);

/* The prompt is to be scored before it is gone on from. */
static inline bool rf_answer_scores_next(const rf_answer *answer, const rf_answer_prompt *prompt) {
    return answer->scores && !prompt->scored && prompt->n_tokens > 1;
}

/* On the pump's thread. True: its prompt needs no more events, though the engine may go on. */
bool rf_answer_take(rf_answer *answer, rf_answer_prompt *prompt, const rf_event *event);
/* Puts the wanted choices of each prompt first: those whose tokens are the most probable, by their
 * mean. Choices move; nothing may come for them any more. */
void rf_answer_choose_best(rf_answer *answer);
/* After the last event of its last prompt. */
void rf_answer_finish(rf_answer *answer);

#endif
