/*
 * The text of one streamed answer: tokens in, whole characters out, with what could still become
 * a stop text held back. One thread an answer.
 */
#ifndef RF_TEXT_ANSWER_TEXT_H
#define RF_TEXT_ANSWER_TEXT_H

#include "text/stop_scan.h"
#include "tokenizer/tokenizer.h"

typedef struct rf_answer_text {
    const rf_tokenizer *tokenizer; /* borrowed */
    const uint32_t *shown;         /* bits of control tokens that have text all the same, or NULL */
    rf_detokenizer detokenizer;
    rf_stop_scan scan;
    rf_buf piece; /* text of one token */
    rf_buf fresh; /* what became final with the last call */
} rf_answer_text;

/* Texts of stops are borrowed. continues: the text goes on where the prompt ends, so its leading
 * space stays. */
void rf_answer_text_init(rf_answer_text *answer, const rf_tokenizer *tokenizer,
                         const char *const *stops, size_t n_stops, bool continues);
void rf_answer_text_deinit(rf_answer_text *answer);

/* After either call `fresh` holds the text that became final. scan.found: a stop text is complete,
 * what stands before it is out, and later tokens have no text. */
RF_NODISCARD rf_status rf_answer_text_push(rf_answer_text *answer, int32_t token, rf_error *err);
RF_NODISCARD rf_status rf_answer_text_finish(rf_answer_text *answer, rf_error *err);

#endif
