/*
 * How an answer is written: one row a form. The functions run on the pump's thread and append to
 * answer->sent (streams) or to the body.
 */
#ifndef RF_SERVER_ANSWER_FORM_H
#define RF_SERVER_ANSWER_FORM_H

#include "chat/reply.h"

struct rf_answer;
struct rf_choice;

typedef struct rf_answer_form {
    const char *id_prefix, *call_id_prefix;
    const char *prompt_field; /* what errors call the prompt */
    bool talks;               /* reasoning and calls of tools are taken apart */
    bool keeps;          /* texts of items are kept while streaming: a last event repeats them */
    bool continues;      /* the text goes on where the prompt ends */
    bool embeds;         /* nothing is generated: a vector for each prompt */
    bool shows_ids;      /* tokens are told by their ids too */
    bool lists_logprobs; /* completions: four lists side by side instead of one of objects */
    uint32_t n_predict;  /* new tokens where a request says nothing; 0: the server's default */
    /* Streams only: before the first part; a part; a choice has ended (choice->end says why); all
     * have. NULL begin: nothing to write. */
    void (*begin)(struct rf_answer *answer);
    void (*part)(struct rf_answer *answer, struct rf_choice *choice, rf_reply_part part,
                 rf_str text);
    void (*finish)(struct rf_answer *answer, struct rf_choice *choice);
    void (*end)(struct rf_answer *answer);
    /* A stream that has begun ends with answer->failure; NULL: as any other error. */
    void (*fail)(struct rf_answer *answer);
    /* Not streamed: the whole body, from the choices' items. */
    void (*whole)(const struct rf_answer *answer, rf_buf *out);
} rf_answer_form;

extern const rf_answer_form rf_form_completion, rf_form_chat;

#endif
