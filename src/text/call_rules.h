/* Calls of tools and reasoning as rules, the way a model family writes them. Private to text/. */
#ifndef RF_TEXT_CALL_RULES_H
#define RF_TEXT_CALL_RULES_H

#include "grammar/rules.h"
#include "text/answer_constraint.h"

/* One or several calls of spec->tools; what chat/reply takes apart again, with arguments that are
 * valid for the tool's parameters. Markers that are control tokens of the vocabulary
 * are those tokens. */
RF_NODISCARD rf_status rf_call_rules(rf_rules *rules, const rf_tokenizer *tokenizer,
                                     const rf_answer_spec *spec, rf_expr *out, rf_error *err);
/* The answer with reasoning in front of it. */
rf_expr rf_reasoning_rules(rf_rules *rules, const rf_tokenizer *tokenizer,
                           const rf_answer_spec *spec, rf_expr answer);

#endif
