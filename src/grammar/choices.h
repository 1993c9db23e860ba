/* A list of texts of which the answer is to be one. Any thread. */
#ifndef RF_GRAMMAR_CHOICES_H
#define RF_GRAMMAR_CHOICES_H

#include "base/str.h"
#include "grammar/automaton.h"

/* Texts are UTF-8, none of them empty. leads_space: one space may stand before each, for
 * vocabularies whose first token of a text carries one that is not shown. *out is the caller's
 * (rf_free). */
RF_NODISCARD rf_status rf_choices_compile(const rf_str *texts, size_t n, bool leads_space,
                                          rf_automaton **out, rf_error *err);

#endif
