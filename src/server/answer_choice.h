/*
 * One choice of an answer: tokens in, items out (text, reasoning, calls of tools), in the order in
 * which the model wrote them. The pump's thread.
 */
#ifndef RF_SERVER_ANSWER_CHOICE_H
#define RF_SERVER_ANSWER_CHOICE_H

#include "chat/reply.h"
#include "text/answer_text.h"

struct rf_answer;

/* Lists of log-probabilities: objects, or completions' four side by side. */
enum {
    RF_LOGPROB_TOKENS,
    RF_LOGPROB_VALUES,
    RF_LOGPROB_TOPS,
    RF_LOGPROB_OFFSETS,
    RF_LOGPROB_LISTS
};
enum { RF_LOGPROB_CONTENT = RF_LOGPROB_TOKENS, RF_CALL_ID_BYTES = 40 };

typedef enum rf_choice_end {
    RF_CHOICE_OPEN, /* it goes on */
    RF_CHOICE_STOP,
    RF_CHOICE_LENGTH,
    RF_CHOICE_CALLS, /* it ends with calls of tools */
    RF_CHOICE_END_COUNT
} rf_choice_end;

typedef struct rf_answer_item {
    rf_reply_part kind; /* TEXT, REASONING or CALL */
    char id[RF_CALL_ID_BYTES];
    rf_buf name; /* of a call's tool */
    rf_buf text; /* of a call: its arguments. Empty where the form streams and keeps nothing */
} rf_answer_item;

typedef struct rf_choice {
    struct rf_answer *answer;
    rf_answer_text text;
    rf_reply reply;                                /* where the form talks */
    rf_answer_item *items;                         /* owned */
    size_t n_items, n_items_max, n_calls, n_shown; /* shown: by the form, which streams */
    rf_buf logprobs[RF_LOGPROB_LISTS]; /* of tokens that were not sent yet; JSON without brackets */
    rf_buf ids; /* of tokens that were not sent yet, where the form shows them: "1,2" */
    bool has_new_line;
    size_t n_characters; /* of tokens so far, for text_offset */
    bool has_begun;      /* its first chunk was made */
    rf_choice_end end;
    uint32_t n_tokens, n_reasoning;
    double logprob_sum; /* of its tokens, where they are asked for or choices compared */
    uint64_t last_ns;
} rf_choice;

void rf_choice_init(rf_choice *choice, struct rf_answer *answer);
void rf_choice_deinit(rf_choice *choice);

/* The next token, which is no end. Parts that became final go to the form or into items. */
RF_NODISCARD rf_status rf_choice_push(rf_choice *choice, int32_t token, rf_error *err);
/* Nothing follows: what was held back becomes final, and choice->end is set: to `end`, or CALLS. */
RF_NODISCARD rf_status rf_choice_close(rf_choice *choice, rf_choice_end end, rf_error *err);
/* Its end is known: a stop text, or the only call that is wanted. RF_CHOICE_OPEN: not yet. */
rf_choice_end rf_choice_is_over(const rf_choice *choice);

/* The texts of all items of a kind, one after another. */
void rf_choice_texts(const rf_choice *choice, rf_reply_part kind, rf_buf *out);
bool rf_choice_has(const rf_choice *choice, rf_reply_part kind);

#endif
