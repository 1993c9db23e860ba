/*
 * What an answer may be, from the words of whoever asks: a pattern, or a list of texts. Any thread.
 */
#ifndef RF_TEXT_ANSWER_CONSTRAINT_H
#define RF_TEXT_ANSWER_CONSTRAINT_H

#include "grammar/automaton.h"
#include "tokenizer/tokenizer.h"

/* pattern or NULL; choices: [n_choices]; not both. *out is the caller's (rf_free), NULL when
 * neither is given. continues: the answer goes on where the prompt ends, so that a space in front
 * of it is shown. */
RF_NODISCARD rf_status rf_answer_constraint_compile(const char *pattern, const char *const *choices,
                                                    size_t n_choices, const rf_tokenizer *tokenizer,
                                                    bool continues, rf_automaton **out,
                                                    rf_error *err);

#endif
