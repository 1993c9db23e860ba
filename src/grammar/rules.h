/*
 * What a text may be, while it is described: expressions over characters, and rules that may call
 * each other and themselves. Compiled into one flat block (grammar/automaton.h). Expressions are
 * numbers; they may be used in several places. One thread.
 */
#ifndef RF_GRAMMAR_RULES_H
#define RF_GRAMMAR_RULES_H

#include "base/str.h"
#include "grammar/automaton.h"

enum {
    RF_RULES_MAX_EXPRS = 1 << 18,
    RF_RULES_MAX_RULES = 4096,
    RF_RULES_MAX_COUNT = 20000, /* of a repetition */
    RF_RULES_ANY_NUMBER = -1
};

typedef struct rf_rules rf_rules;
/* 0 where it could not be made; what went wrong first is told by rf_rules_compile. Functions take
 * and pass on 0. */
typedef uint32_t rf_expr;
typedef uint32_t rf_rule;

typedef struct rf_char_range {
    uint32_t low, high; /* code points */
} rf_char_range;

RF_NODISCARD rf_status rf_rules_create(rf_rules **out, rf_error *err);
void rf_rules_destroy(rf_rules *rules); /* NULL is a no-op */

rf_expr rf_rules_empty(rf_rules *rules);             /* the text without characters */
rf_expr rf_rules_never(rf_rules *rules);             /* no text */
rf_expr rf_rules_text(rf_rules *rules, rf_str text); /* these bytes */
rf_expr rf_rules_class(rf_rules *rules, const rf_char_range *ranges, size_t n); /* one of them */
rf_expr rf_rules_seq(rf_rules *rules, const rf_expr *exprs, size_t n);
rf_expr rf_rules_any(rf_rules *rules, const rf_expr *exprs, size_t n);
/* most: RF_RULES_ANY_NUMBER, or at least `least`. */
rf_expr rf_rules_repeat(rf_rules *rules, rf_expr expr, int32_t least, int32_t most);
static inline rf_expr rf_rules_seq2(rf_rules *rules, rf_expr a, rf_expr b) {
    return rf_rules_seq(rules, (const rf_expr[]){a, b}, 2);
}
static inline rf_expr rf_rules_any2(rf_rules *rules, rf_expr a, rf_expr b) {
    return rf_rules_any(rules, (const rf_expr[]){a, b}, 2);
}
static inline rf_expr rf_rules_optional(rf_rules *rules, rf_expr expr) {
    return rf_rules_repeat(rules, expr, 0, 1);
}

/* A whole text that a pattern matches (grammar/regex.h). in_json: its characters are written as the
 * inside of a JSON string, escapes included. Fails with what is wrong with the pattern. */
RF_NODISCARD rf_status rf_rules_regex(rf_rules *rules, rf_str pattern, bool in_json, rf_expr *out,
                                      rf_error *err);
/* The texts that fit both, neither of which nests; an automaton without calls, which is the rules'
 * from then on. RF_ERR_LIMIT, RF_ERR_INVALID where one of them fits nothing. */
RF_NODISCARD rf_status rf_rules_both(rf_rules *rules, rf_expr a, rf_expr b, rf_expr *out,
                                     rf_error *err);
rf_expr rf_rules_automaton(rf_rules *rules, rf_automaton *automaton);
/* One of the characters as it is written inside a JSON string. */
rf_expr rf_rules_json_class(rf_rules *rules, const rf_char_range *ranges, size_t n);

/* JSON (RFC 8259) with little space between its parts, as models write it: at most one space, or a
 * line break and up to 20 spaces or tabs. A value of any kind, an object, a string, a number, the
 * space. */
typedef struct rf_json_rules {
    rf_rule value, object, array, string, number;
    rf_expr space;
} rf_json_rules;
const rf_json_rules *rf_rules_json(rf_rules *rules); /* made with the first call; NULL: failed */

/* A rule that is defined later, so that it can be called before. stays: it is compiled once for all
 * its calls, which pays for strings and other parts that many tokens fit into; otherwise small
 * rules are written out where they are called. The name is for messages. */
rf_rule rf_rules_declare(rf_rules *rules, rf_str name, bool stays);
void rf_rules_define(rf_rules *rules, rf_rule rule, rf_expr expr);
rf_expr rf_rules_call(rf_rules *rules, rf_rule rule);

/* *out is the caller's (rf_free). leads_space: one space may stand in front. RF_ERR_LIMIT,
 * RF_ERR_INVALID (no text fits, a rule that calls itself before it reads anything, a rule that was
 * not defined), RF_ERR_NO_MEMORY. */
RF_NODISCARD rf_status rf_rules_compile(rf_rules *rules, rf_expr start, bool leads_space,
                                        rf_automaton **out, rf_error *err);

#endif
