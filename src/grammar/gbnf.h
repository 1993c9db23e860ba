/*
 * Grammars in llama.cpp's notation (GBNF): `name ::= alternatives`, the text is what `root`
 * matches. Literals "…", classes […] and [^…], ., groups (…), | and * + ? {m} {m,} {m,n}; escapes
 * \n \r \t
 * \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH; # begins a comment. A line break ends a rule unless a group
 * is open or it stands behind |. Any thread.
 */
#ifndef RF_GRAMMAR_GBNF_H
#define RF_GRAMMAR_GBNF_H

#include "grammar/rules.h"

enum { RF_GBNF_MAX_BYTES = 1 << 20, RF_GBNF_MAX_DEPTH = 200 };

/* Adds the grammar's rules; *out is root. RF_ERR_INVALID names line and column. */
RF_NODISCARD rf_status rf_gbnf_parse(rf_rules *rules, rf_str text, rf_expr *out, rf_error *err);

#endif
