/* A schema while it becomes rules; private to grammar/. Each part of it is a rule, made from a list
 * of parts that are left to do, so that nothing here calls itself on input. */
#ifndef RF_GRAMMAR_SCHEMA_STATE_H
#define RF_GRAMMAR_SCHEMA_STATE_H

#include "grammar/schema.h"

enum { RF_SCHEMA_PATH_BYTES = 160 };

/* A part: a schema, where it stands, and the rule that it becomes. */
typedef struct schema_part {
    const json_t *schema;
    rf_rule rule;
    char path[RF_SCHEMA_PATH_BYTES];
} schema_part;

typedef struct schema_state {
    rf_rules *rules;
    const json_t *root;
    const rf_json_rules *json;
    schema_part *parts; /* owned: [RF_SCHEMA_MAX_PARTS] */
    uint32_t n_parts, n_done, n_merges;
    json_t *made;           /* owned: an array of the schemas that merging made */
    const schema_part *now; /* for messages */
    rf_error *err;
} schema_state;

/* The keyword at the part that is being done is not supported, or wrong; `what` says how. */
rf_status rf_schema_refuse(const schema_state *s, const char *keyword, const char *what);

/* An expression for a schema below the part that is being done; the rule comes later. */
RF_NODISCARD rf_status rf_schema_part(schema_state *s, const json_t *schema, const char *step,
                                      const char *name, rf_expr *out);
/* Follows $ref, where the schema is nothing else. */
RF_NODISCARD rf_status rf_schema_resolve(schema_state *s, const json_t *schema, const json_t **out);
/* One schema that says what both say; owned by the state. *never: nothing fits both. */
RF_NODISCARD rf_status rf_schema_merge(schema_state *s, const json_t *a, const json_t *b,
                                       const json_t **out, bool *never);
/* No document fits two of them. */
RF_NODISCARD rf_status rf_schema_are_apart(schema_state *s, const json_t *list, bool *apart);
bool rf_schema_allows_type(const json_t *schema, const char *type);

/* A kind of value, from a schema that has been merged. */
RF_NODISCARD rf_status rf_schema_object(schema_state *s, const json_t *schema, rf_expr *out);
RF_NODISCARD rf_status rf_schema_array(schema_state *s, const json_t *schema, rf_expr *out);
RF_NODISCARD rf_status rf_schema_string(schema_state *s, const json_t *schema, rf_expr *out);
RF_NODISCARD rf_status rf_schema_number(schema_state *s, const json_t *schema, bool integer,
                                        rf_expr *out);
/* Numbers, without an exponent, that value divides: those without an end too. */
RF_NODISCARD rf_status rf_schema_multiples(schema_state *s, const json_t *value, rf_expr *out);
/* Between two items. */
rf_expr rf_schema_comma(schema_state *s);
/* The items of an array that all differ. */
RF_NODISCARD rf_status rf_schema_unique(schema_state *s, const json_t *items, int32_t least,
                                        int32_t most, rf_expr *out);
bool rf_schema_is_annotation(const char *key);
const char *rf_schema_type_of(const json_t *value);
/* A number of 0 or more, or its absence. */
RF_NODISCARD rf_status rf_schema_count(const schema_state *s, const json_t *schema,
                                       const char *keyword, int32_t absent, int32_t *out);

/* Strings (with their quotes) that are none of the keys of object. */
rf_expr rf_schema_other_keys(rf_rules *rules, const json_t *object);
/* A value written out. 0: out of memory. */
rf_expr rf_schema_literal(rf_rules *rules, const json_t *value);
static inline rf_expr rf_schema_text(schema_state *s, const char *text) {
    return rf_rules_text(s->rules, rf_str_of(text));
}

#endif
