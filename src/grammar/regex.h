/*
 * Regular expressions of which the answer is to be a full match, compiled to an automaton: no
 * backtracking, no recursion. The common part of ECMAScript's and Python's syntax: literals,
 * escapes
 * (\d \w \s of ASCII, as in ECMAScript; \xHH \uHHHH), classes, ., groups, |, * + ? {m,n} and their
 * lazy forms (which match the same texts), ^ and $ at the ends. What is no regular language or
 * needs context (references, look-around, \b) is refused with its place. Any thread.
 */
#ifndef RF_GRAMMAR_REGEX_H
#define RF_GRAMMAR_REGEX_H

#include "base/str.h"
#include "grammar/automaton.h"

enum {
    RF_REGEX_MAX_BYTES = 1 << 16,
    RF_REGEX_MAX_DEPTH = 200,    /* of groups */
    RF_REGEX_MAX_COUNT = 10000,  /* in {m,n} */
    RF_REGEX_MAX_STEPS = 1 << 17 /* with counted parts written out */
};

/* leads_space as in rf_choices_compile. *out is the caller's (rf_free). RF_ERR_INVALID names the
 * place in the pattern, RF_ERR_LIMIT the limit. */
RF_NODISCARD rf_status rf_regex_compile(rf_str pattern, bool leads_space, rf_automaton **out,
                                        rf_error *err);

#endif
