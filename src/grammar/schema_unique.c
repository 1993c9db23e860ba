/* Arrays whose items differ, where the items are some few values: what may follow depends on which
 * have been there, so that each set of them is a rule. */
#include <string.h>

#include "grammar/schema_state.h"

enum { VALUES_MAX = 8 };

/* The values that items may have, each once; NULL: not known, or too many. Owned by the caller. */
static json_t *values_of(const json_t *items) {
    const char *key, *type = json_string_value(json_object_get(items, "type"));
    json_t *constant = json_object_get(items, "const"), *given = json_object_get(items, "enum");
    json_t *one, *out;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)items, key, one) {
        if (!rf_schema_is_annotation(key) && strcmp(key, "enum") != 0 &&
            strcmp(key, "const") != 0 && strcmp(key, "type") != 0)
            return NULL;
    }
    if (constant && given)
        return NULL;
    given = constant ? json_pack("[O]", constant) : json_incref(given);
    if (!given && type && type[0] == 'b')
        return json_pack("[b,b]", 1, 0);
    out = json_is_array(given) ? json_array() : NULL;
    json_array_foreach(given, i, one) {
        size_t k = 0;
        while (k < json_array_size(out) && !json_equal(json_array_get(out, k), one))
            k++;
        if (k == json_array_size(out) && rf_schema_allows_type(items, rf_schema_type_of(one)))
            (void)json_array_append(out, one);
    }
    json_decref(given);
    return out;
}

/* 1 and 1.0 are the same number, and so are objects of such; texts and other words are told apart
 * by how they are written. */
static bool are_plain(const json_t *values) {
    json_t *one;
    size_t i, n_real = 0;
    json_array_foreach(values, i, one) {
        n_real += json_is_real(one);
        if (json_is_object(one) || json_is_array(one))
            return false;
    }
    return n_real == 0 && json_array_size(values) <= VALUES_MAX;
}

rf_status rf_schema_unique(schema_state *s, const json_t *items, int32_t least, int32_t most,
                           rf_expr *out) {
    rf_rules *r = s->rules;
    const json_t *schema = items;
    if (json_is_object(items))
        RF_TRY(rf_schema_resolve(s, items, &schema));
    json_t *values = json_is_object(schema) ? values_of(schema) : NULL;
    uint32_t n = (uint32_t)json_array_size(values);
    bool fits = values && are_plain(values);
    rf_rule rules[1 << VALUES_MAX];
    if (!fits) {
        json_decref(values);
        return rf_schema_refuse(s, "uniqueItems",
                                "is not supported but for items of up to 8 texts, whole numbers, "
                                "true, false or null by enum or const");
    }
    for (uint32_t set = 0; set < 1u << n; set++)
        rules[set] = rf_rules_declare(r, rf_str_of(s->now->path), true);
    for (uint32_t set = 0; set < 1u << n; set++) {
        int32_t size = __builtin_popcount(set);
        rf_expr ways[VALUES_MAX + 1];
        size_t n_ways = 0;
        if (size >= least)
            ways[n_ways++] = rf_rules_empty(r);
        for (uint32_t i = 0; i < n && size < most; i++) {
            if (set >> i & 1u)
                continue;
            rf_expr value = rf_schema_literal(r, json_array_get(values, i));
            rf_expr rest = rf_rules_seq2(r, value, rf_rules_call(r, rules[set | 1u << i]));
            ways[n_ways++] = size > 0 ? rf_rules_seq2(r, rf_schema_comma(s), rest) : rest;
        }
        rf_rules_define(r, rules[set], rf_rules_any(r, ways, n_ways));
    }
    *out = rf_rules_call(r, rules[0]);
    json_decref(values);
    return RF_OK;
}
