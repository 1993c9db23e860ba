/* A list of texts of which the answer is to be one. Any thread. */
#ifndef RF_GRAMMAR_CHOICES_H
#define RF_GRAMMAR_CHOICES_H

#include "grammar/rules.h"

/* Texts are UTF-8, none of them empty: else RF_ERR_INVALID. */
RF_NODISCARD rf_status rf_choices_rules(rf_rules *rules, const char *const *texts, size_t n,
                                        rf_expr *out, rf_error *err);

#endif
