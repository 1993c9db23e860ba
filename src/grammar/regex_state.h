/* A pattern in postfix form; private to grammar/. Every operand is a contiguous run of steps that
 * ends with its operator, so that repeating one is copying it. */
#ifndef RF_GRAMMAR_REGEX_STATE_H
#define RF_GRAMMAR_REGEX_STATE_H

#include "grammar/regex.h"
#include "grammar/rules.h"

typedef enum regex_op { REGEX_EMPTY, REGEX_SET, REGEX_CAT, REGEX_ALT, REGEX_STAR } regex_op;

typedef struct regex_step {
    regex_op op;
    uint32_t first, n; /* SET: of ranges */
} regex_step;

typedef struct regex_program {
    regex_step *steps; /* owned */
    uint32_t n_steps, steps_room;
    rf_char_range *ranges; /* owned; of one set: rising, apart */
    uint32_t n_ranges, ranges_room;
} regex_program;

RF_NODISCARD rf_status rf_regex_parse(rf_str pattern, regex_program *out, rf_error *err);
void rf_regex_program_deinit(regex_program *program); /* safe on a zeroed one */
RF_NODISCARD rf_status rf_regex_emit(regex_program *program, regex_step step, rf_error *err);

/* One of \d \D \w \W \s \S or a character after a backslash, or a class in brackets; *at stands
 * behind the backslash or bracket and is moved behind the set, which is added to program. */
RF_NODISCARD rf_status rf_regex_escape(regex_program *program, rf_str pattern, size_t *at,
                                       regex_step *out, rf_error *err);
RF_NODISCARD rf_status rf_regex_class(regex_program *program, rf_str pattern, size_t *at,
                                      regex_step *out, rf_error *err);
/* One code point that stands for itself. */
RF_NODISCARD rf_status rf_regex_char(regex_program *program, rf_str pattern, size_t *at,
                                     regex_step *out, rf_error *err);
/* Any but a line feed. */
RF_NODISCARD rf_status rf_regex_any(regex_program *program, regex_step *out, rf_error *err);

#endif
