/*
 * JSON schemas (draft 2020-12 and what draft 7 wrote otherwise) as rules: every text of the
 * language is a valid document, written with little space, properties in the schema's order. What
 * cannot be said exactly is refused with the keyword and its place; no keyword is passed over that
 * would have excluded a document. docs/structured-output.md lists them. Any thread.
 */
#ifndef RF_GRAMMAR_SCHEMA_H
#define RF_GRAMMAR_SCHEMA_H

#include <jansson.h>

#include "grammar/rules.h"

enum { RF_SCHEMA_MAX_PARTS = 3000, RF_SCHEMA_MAX_MERGES = 2000 };

/* schema: an object, true or false; borrowed. RF_ERR_INVALID names the keyword, e.g. "keyword not
 * at
 * #/properties/a is not supported"; RF_ERR_LIMIT. */
RF_NODISCARD rf_status rf_schema_rules(rf_rules *rules, json_t *schema, rf_expr *out,
                                       rf_error *err);

#endif
