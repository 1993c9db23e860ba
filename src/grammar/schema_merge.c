/* Two schemas into one that says what both say, and whether one document may fit two. */
#include <string.h>

#include "grammar/schema_state.h"

static rf_status no_memory(const schema_state *s) {
    return rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
}

static const char *const types[] = {"null",   "boolean", "object", "array",
                                    "string", "integer", "number"};
enum { N_TYPES = sizeof types / sizeof *types };

static json_t *common_types(const json_t *a, const json_t *b) {
    json_t *list = json_array();
    bool number = rf_schema_allows_type(a, "number") && rf_schema_allows_type(b, "number");
    for (size_t i = 0; list && i < N_TYPES; i++)
        if (rf_schema_allows_type(a, types[i]) && rf_schema_allows_type(b, types[i]) &&
            !(number && strcmp(types[i], "integer") == 0))
            (void)json_array_append_new(list, json_string(types[i]));
    return list;
}

static bool is_in(const json_t *list, const json_t *value) {
    json_t *one;
    size_t i;
    json_array_foreach(list, i, one) {
        if (json_equal(one, (json_t *)(uintptr_t)value))
            return true;
    }
    return false;
}

/* The values of enum or const as a new list, or NULL. */
static json_t *values_of(const json_t *schema) {
    json_t *constant = json_object_get(schema, "const");
    json_t *list = json_object_get(schema, "enum");
    return constant ? json_pack("[O]", constant) : json_is_array(list) ? json_incref(list) : NULL;
}

static json_t *common_values(const json_t *a, const json_t *b) {
    json_t *x = values_of(a), *y = values_of(b), *one;
    json_t *out = x && y ? json_array() : NULL;
    size_t i;
    json_array_foreach(x, i, one) {
        if (out && is_in(y, one))
            (void)json_array_append(out, one);
    }
    if (!out && x != y)
        out = json_incref(x ? x : y);
    json_decref(x);
    json_decref(y);
    return out;
}

/* What a schema says of a property. */
static json_t *property_of(const json_t *schema, const char *name) {
    json_t *own = json_object_get(json_object_get(schema, "properties"), name);
    return own ? own : json_object_get(schema, "additionalProperties");
}

static json_t *both(json_t *x, json_t *y) {
    if (!x || !y || json_is_true(x) || json_is_true(y))
        return json_incref(!x || json_is_true(x) ? (y ? y : x) : x);
    if (json_is_false(x) || json_is_false(y))
        return json_false();
    return json_equal(x, y) ? json_incref(x) : json_pack("{s:[O,O]}", "allOf", x, y);
}

static bool merge_properties(const json_t *a, const json_t *b, json_t *out) {
    const json_t *sides[] = {a, b};
    json_t *merged = json_object(), *value;
    const char *name;
    for (int i = 0; merged && i < 2; i++) {
        json_object_foreach(json_object_get(sides[i], "properties"), name, value) {
            if (!json_object_get(merged, name))
                (void)json_object_set_new(merged, name,
                                          both(property_of(a, name), property_of(b, name)));
        }
    }
    json_t *more = both(json_object_get(a, "additionalProperties"),
                        json_object_get(b, "additionalProperties"));
    if (more)
        (void)json_object_set_new(out, "additionalProperties", more);
    bool any = json_object_get(a, "properties") || json_object_get(b, "properties");
    if (any)
        return merged && json_object_set_new(out, "properties", merged) == 0;
    json_decref(merged);
    return merged != NULL;
}

static bool merge_required(const json_t *a, const json_t *b, json_t *out) {
    json_t *list = json_array(), *one;
    size_t i;
    json_array_foreach(json_object_get(a, "required"), i, one) {
        (void)json_array_append(list, one);
    }
    json_array_foreach(json_object_get(b, "required"), i, one) {
        if (!is_in(list, one))
            (void)json_array_append(list, one);
    }
    if (json_array_size(list) > 0)
        return json_object_set_new(out, "required", list) == 0;
    json_decref(list);
    return list != NULL;
}

/* Of two bounds the narrower. */
static bool merge_bound(const json_t *a, const json_t *b, const char *keyword, bool greater,
                        json_t *out) {
    json_t *x = json_object_get(a, keyword), *y = json_object_get(b, keyword);
    if (!x && !y)
        return true;
    bool takes_x = !y || (x && (json_number_value(x) > json_number_value(y)) == greater);
    return json_object_set(out, keyword, takes_x ? x : y) == 0;
}

static const struct {
    const char *keyword;
    bool greater;
} bounds[] = {
    {"minimum", true},        {"maximum", false},          {"exclusiveMinimum", true},
    {"minLength", true},      {"exclusiveMaximum", false}, {"maxLength", false},
    {"minItems", true},       {"maxItems", false},         {"minProperties", true},
    {"maxProperties", false},
};

static bool is_merged_elsewhere(const char *key) {
    static const char *const words[] = {"type",       "enum",     "const",
                                        "properties", "required", "additionalProperties",
                                        "allOf",      "anyOf",    "$ref"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], key) == 0)
            return true;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (strcmp(bounds[i].keyword, key) == 0)
            return true;
    return false;
}

static bool is_about_people(const char *key) {
    static const char *const words[] = {"title", "description", "default", "examples", "$comment",
                                        "$defs", "definitions", "$id",     "$schema",  "$anchor"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], key) == 0)
            return true;
    return false;
}

/* Keywords that only one has, or both alike. */
static rf_status copy_rest(schema_state *s, const json_t *from, json_t *out) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from, key, value) {
        json_t *known = json_object_get(out, key);
        if (is_merged_elsewhere(key) || (known && is_about_people(key)))
            continue;
        bool lists =
            strcmp(key, "items") == 0 && known && json_is_object(known) && json_is_object(value);
        if (lists) {
            if (json_object_set_new(out, key, both(known, value)) != 0)
                return no_memory(s);
            continue;
        }
        if (known && !json_equal(known, value))
            return rf_schema_refuse(s, key, "is not supported twice, in allOf or beside a $ref");
        if (json_object_set(out, key, value) != 0)
            return no_memory(s);
    }
    return RF_OK;
}

/* References and allOf of both are left for later, in one list. */
static bool join_lists(const json_t *a, const json_t *b, json_t *out) {
    const json_t *sides[] = {a, b};
    json_t *list = json_array(), *one;
    size_t k;
    for (int i = 0; list && i < 2; i++) {
        json_t *ref = json_object_get(sides[i], "$ref");
        if (ref)
            (void)json_array_append_new(list, json_pack("{s:O}", "$ref", ref));
        json_array_foreach(json_object_get(sides[i], "allOf"), k, one) {
            (void)json_array_append(list, one);
        }
    }
    if (json_array_size(list) > 0)
        return json_object_set_new(out, "allOf", list) == 0;
    json_decref(list);
    return list != NULL;
}

/* anyOf of both: each branch of the one with all of the other. */
static bool join_branches(const json_t *a, const json_t *b, json_t *out) {
    json_t *x = json_object_get(a, "anyOf"), *y = json_object_get(b, "anyOf"), *one;
    size_t i;
    if (!x || !y)
        return !x == !y || json_object_set(out, "anyOf", x ? x : y) == 0;
    json_t *list = json_array();
    json_array_foreach(x, i, one) {
        (void)json_array_append_new(list, json_pack("{s:[O,{s:O}]}", "allOf", one, "anyOf", y));
    }
    return list && json_object_set_new(out, "anyOf", list) == 0;
}

static bool merge_types(const json_t *a, const json_t *b, json_t *out, bool *never) {
    if (!json_object_get(a, "type") && !json_object_get(b, "type"))
        return true;
    json_t *list = common_types(a, b);
    *never |= json_array_size(list) == 0;
    json_t *type =
        json_array_size(list) == 1 ? json_incref(json_array_get(list, 0)) : json_incref(list);
    json_decref(list);
    return type && json_object_set_new(out, "type", type) == 0;
}

static bool merge_values(const json_t *a, const json_t *b, json_t *out, bool *never) {
    json_t *values = common_values(a, b);
    if (!values)
        return true;
    *never |= json_array_size(values) == 0;
    return json_object_set_new(out, "enum", values) == 0;
}

rf_status rf_schema_merge(schema_state *s, const json_t *a, const json_t *b, const json_t **out,
                          bool *never) {
    RF_TRY(rf_schema_resolve(s, a, &a));
    RF_TRY(rf_schema_resolve(s, b, &b));
    *never = json_is_false(a) || json_is_false(b);
    *out = json_is_true(a) || *never ? b : a;
    if (*never || json_is_true(a) || json_is_true(b))
        return RF_OK;
    if (!json_is_object(a) || !json_is_object(b))
        return rf_schema_refuse(s, "allOf", "holds what is no schema");
    json_t *merged = json_object();
    if (++s->n_merges > RF_SCHEMA_MAX_MERGES || !merged ||
        json_array_append_new(s->made, merged) != 0)
        return merged ? rf_fail(s->err, RF_ERR_LIMIT, "the schema joins more than %d parts",
                                RF_SCHEMA_MAX_MERGES)
                      : no_memory(s);
    RF_TRY(copy_rest(s, a, merged));
    RF_TRY(copy_rest(s, b, merged));
    bool ok = merge_types(a, b, merged, never) && merge_values(a, b, merged, never) &&
              merge_properties(a, b, merged) && merge_required(a, b, merged) &&
              join_lists(a, b, merged) && join_branches(a, b, merged);
    for (size_t i = 0; ok && i < sizeof bounds / sizeof *bounds; i++)
        ok = merge_bound(a, b, bounds[i].keyword, bounds[i].greater, merged);
    *out = merged;
    return ok ? RF_OK : no_memory(s);
}

/* ---- documents that fit two ------------------------------------------------------------------ */

static const char *kind_of(const json_t *value) {
    return json_is_object(value)    ? "object"
           : json_is_array(value)   ? "array"
           : json_is_string(value)  ? "string"
           : json_is_number(value)  ? "number"
           : json_is_boolean(value) ? "boolean"
                                    : "null";
}

static bool may_be(const json_t *schema, const char *kind) {
    json_t *values = values_of(schema), *one;
    size_t i;
    bool found = !values;
    json_array_foreach(values, i, one) { found |= strcmp(kind_of(one), kind) == 0; }
    json_decref(values);
    bool number = strcmp(kind, "number") == 0;
    return found && (rf_schema_allows_type(schema, kind) ||
                     (number && rf_schema_allows_type(schema, "integer")));
}

static bool values_differ(const json_t *a, const json_t *b) {
    json_t *x = values_of(a), *y = values_of(b), *one;
    size_t i;
    bool differ = x && y;
    json_array_foreach(x, i, one) { differ = differ && !is_in(y, one); }
    json_decref(x);
    json_decref(y);
    return differ;
}

static bool requires(const json_t *schema, const char *name) {
    json_t *one;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

static bool is_closed(const json_t *schema) {
    return json_is_false(json_object_get(schema, "additionalProperties")) &&
           !json_object_get(schema, "patternProperties");
}

/* A property that tells them apart: constants that differ, or that one must have and the other must
 * not. */
static bool objects_differ(const json_t *a, const json_t *b) {
    const json_t *pa = json_object_get(a, "properties"), *pb = json_object_get(b, "properties");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)pa, name, value) {
        const json_t *other = json_object_get(pb, name);
        if (other && requires(a, name) && requires(b, name) && values_differ(value, other))
            return true;
        if (!other && requires(a, name) && is_closed(b))
            return true;
    }
    json_object_foreach((json_t *)(uintptr_t)pb, name, value) {
        if (!json_object_get(pa, name) && requires(b, name) && is_closed(a))
            return true;
    }
    return false;
}

static bool two_apart(const json_t *a, const json_t *b) {
    static const char *const kinds[] = {"null", "boolean", "array", "string", "number"};
    if (!json_is_object(a) || !json_is_object(b))
        return json_is_false(a) || json_is_false(b);
    if (values_differ(a, b))
        return true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (may_be(a, kinds[i]) && may_be(b, kinds[i]))
            return false;
    return !may_be(a, "object") || !may_be(b, "object") || objects_differ(a, b);
}

rf_status rf_schema_are_apart(schema_state *s, const json_t *list, bool *apart) {
    *apart = true;
    for (size_t i = 0; *apart && i < json_array_size(list); i++)
        for (size_t k = 0; *apart && k < i; k++) {
            const json_t *a, *b;
            RF_TRY(rf_schema_resolve(s, json_array_get(list, i), &a));
            RF_TRY(rf_schema_resolve(s, json_array_get(list, k), &b));
            *apart = two_apart(a, b);
        }
    return RF_OK;
}
