/* What --regex, --choice, --grammar and --json-schema say that answers may be. Main thread. */
#ifndef RF_CLI_CONSTRAINT_OPTIONS_H
#define RF_CLI_CONSTRAINT_OPTIONS_H

#include "cli/options.h"
#include "grammar/automaton.h"
#include "tokenizer/tokenizer.h"

/* *out is the caller's (rf_free); NULL when none is given; two are an error. raw: answers go on
 * where the prompt ends, so that a space in front of them is shown. */
RF_NODISCARD rf_status rf_constraint_of_options(const rf_options *options,
                                                const rf_tokenizer *tokenizer, bool raw,
                                                rf_automaton **out, rf_error *err);

#endif
