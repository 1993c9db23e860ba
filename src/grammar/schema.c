#include "grammar/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "grammar/schema_state.h"

enum { ENUM_MAX = 5000, HOPS_MAX = 64 };

/* ---- messages and parts ---------------------------------------------------------------------- */

rf_status rf_schema_refuse(const schema_state *s, const char *keyword, const char *what) {
    return rf_fail(s->err, RF_ERR_INVALID, "keyword %s at %s %s", keyword, s->now->path, what);
}

rf_status rf_schema_part(schema_state *s, const json_t *schema, const char *step, const char *name,
                         rf_expr *out) {
    for (uint32_t i = 0; i < s->n_parts; i++)
        if (s->parts[i].schema == schema) {
            *out = rf_rules_call(s->rules, s->parts[i].rule);
            return RF_OK;
        }
    if (s->n_parts == RF_SCHEMA_MAX_PARTS)
        return rf_fail(s->err, RF_ERR_LIMIT, "the schema has more than %d parts",
                       RF_SCHEMA_MAX_PARTS);
    schema_part *part = &s->parts[s->n_parts++];
    part->schema = schema;
    const char *above = s->now ? s->now->path : "#";
    if (snprintf(part->path, sizeof part->path, "%.100s%s%.24s%s%.24s", above, step[0] ? "/" : "",
                 step, name[0] ? "/" : "", name) < 0)
        part->path[0] = 0;
    part->rule = rf_rules_declare(s->rules, rf_str_of(part->path), false);
    *out = rf_rules_call(s->rules, part->rule);
    return RF_OK;
}

/* ---- references ------------------------------------------------------------------------------ */

/* A step of a JSON pointer (RFC 6901), without ~0 ~1 and %XX. */
static void unescape(rf_str step, char *out, size_t n) {
    size_t k = 0;
    for (size_t i = 0; i < step.len && k + 1 < n; i++) {
        unsigned code;
        char hex[3] = {0};
        if (step.ptr[i] == '%' && i + 2 < step.len) {
            memcpy(hex, step.ptr + i + 1, 2);
            if (sscanf(hex, "%2x", &code) == 1) {
                out[k++] = (char)code;
                i += 2;
                continue;
            }
        }
        bool tilde = step.ptr[i] == '~' && i + 1 < step.len;
        out[k++] = tilde ? (step.ptr[++i] == '1' ? '/' : '~') : step.ptr[i];
    }
    out[k] = 0;
}

static const json_t *walk_pointer(const json_t *at, const char *pointer) {
    while (at && *pointer == '/') {
        char name[256];
        size_t n = strcspn(++pointer, "/");
        unescape((rf_str){pointer, n}, name, sizeof name);
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(name, NULL, 10))
                               : json_object_get(at, name);
        pointer += n;
    }
    return *pointer ? NULL : at;
}

static const json_t *find_anchor(const json_t *root, const char *name) {
    static const char *const homes[] = {"$defs", "definitions"};
    for (size_t h = 0; h < sizeof homes / sizeof *homes; h++) {
        const char *key;
        json_t *one;
        json_object_foreach(json_object_get(root, homes[h]), key, one) {
            const char *anchor = json_string_value(json_object_get(one, "$anchor"));
            if (anchor && strcmp(anchor, name) == 0)
                return one;
        }
    }
    return NULL;
}

static rf_status find_target(schema_state *s, const char *ref, const json_t **out) {
    char text[160];
    if (ref[0] != '#') {
        (void)snprintf(text, sizeof text, "(%.60s) is not supported: only # and #/… are", ref);
        return rf_schema_refuse(s, "$ref", text);
    }
    *out = ref[1] == 0     ? s->root
           : ref[1] == '/' ? walk_pointer(s->root, ref + 1)
                           : find_anchor(s->root, ref + 1);
    if (*out && (json_is_object(*out) || json_is_boolean(*out)))
        return RF_OK;
    (void)snprintf(text, sizeof text, "(%.60s) leads to no schema", ref);
    return rf_schema_refuse(s, "$ref", text);
}

bool rf_schema_is_annotation(const char *key) {
    static const char *const words[] = {
        "title",      "description", "default",         "examples",        "$comment",
        "$schema",    "$id",         "$anchor",         "$defs",           "definitions",
        "deprecated", "readOnly",    "example",         "writeOnly",       "x-order",
        "id",         "strict",      "contentEncoding", "contentMediaType"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], key) == 0)
            return true;
    return false;
}

static bool is_alone(const json_t *schema, const char *keyword) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value) {
        if (strcmp(key, keyword) != 0 && !rf_schema_is_annotation(key))
            return false;
    }
    return true;
}

rf_status rf_schema_resolve(schema_state *s, const json_t *schema, const json_t **out) {
    for (int hops = 0; json_object_get(schema, "$ref") && is_alone(schema, "$ref"); hops++) {
        const char *ref = json_string_value(json_object_get(schema, "$ref"));
        if (!ref || hops == HOPS_MAX)
            return rf_schema_refuse(s, "$ref", ref ? "leads round in a circle" : "is no string");
        RF_TRY(find_target(s, ref, &schema));
    }
    *out = schema;
    return RF_OK;
}

/* ---- keywords -------------------------------------------------------------------------------- */

static rf_status check_keywords(const schema_state *s, const json_t *schema) {
    static const char *const refused[] = {"not",
                                          "if",
                                          "then",
                                          "else",
                                          "contains",
                                          "minContains",
                                          "maxContains",
                                          "dependentRequired",
                                          "dependencies",
                                          "$dynamicRef",
                                          "$recursiveRef",
                                          "dependentSchemas",
                                          "unevaluatedProperties",
                                          "unevaluatedItems"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const json_t *value = json_object_get(schema, refused[i]);
        if (value && !(json_is_object(value) && json_object_size(value) == 0 &&
                       (strstr(refused[i], "Properties") || strstr(refused[i], "depend"))))
            return rf_schema_refuse(s, refused[i], "is not supported");
    }
    return RF_OK;
}

rf_expr rf_schema_literal(rf_rules *rules, const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    rf_expr e = text ? rf_rules_text(rules, rf_str_of(text)) : 0;
    rf_free(text);
    return e;
}

const char *rf_schema_type_of(const json_t *value) {
    double real = json_number_value(value);
    if (json_is_number(value))
        return json_is_integer(value) || real == (double)(int64_t)real ? "integer" : "number";
    return json_is_object(value)    ? "object"
           : json_is_array(value)   ? "array"
           : json_is_string(value)  ? "string"
           : json_is_boolean(value) ? "boolean"
                                    : "null";
}

bool rf_schema_allows_type(const json_t *schema, const char *type) {
    const json_t *own = json_object_get(schema, "type");
    json_t *one;
    size_t i;
    bool as_number = strcmp(type, "integer") == 0;
    if (!own)
        return true;
    if (json_is_true(json_object_get(schema, "nullable")) && strcmp(type, "null") == 0)
        return true;
    if (json_is_string(own))
        return strcmp(json_string_value(own), type) == 0 ||
               (as_number && strcmp(json_string_value(own), "number") == 0);
    json_array_foreach(own, i, one) {
        const char *name = json_string_value(one);
        if (name && (strcmp(name, type) == 0 || (as_number && strcmp(name, "number") == 0)))
            return true;
    }
    return false;
}

/* enum and const: their values written out. Further keywords beside them but type would have to be
 * checked against each. */
static rf_status do_values(schema_state *s, const json_t *schema, const json_t *values,
                           rf_expr *out) {
    const char *key;
    json_t *value;
    size_t i, n = 0;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value) {
        if (!rf_schema_is_annotation(key) && strcmp(key, "enum") != 0 &&
            strcmp(key, "const") != 0 && strcmp(key, "type") != 0 && strcmp(key, "nullable") != 0)
            return rf_schema_refuse(s, key, "is not supported beside enum or const");
    }
    if (!json_is_array(values) || json_array_size(values) > ENUM_MAX)
        return rf_schema_refuse(s, "enum", "is no list of up to 5,000 values");
    rf_expr *ways = rf_calloc(json_array_size(values) + 1, sizeof *ways);
    if (!ways)
        return rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
    json_array_foreach(values, i, value) {
        if (rf_schema_allows_type(schema, rf_schema_type_of(value)))
            ways[n++] = rf_schema_literal(s->rules, value);
    }
    *out = rf_rules_any(s->rules, ways, n);
    rf_free(ways);
    return RF_OK;
}

/* anyOf and oneOf; other keywords beside them hold for each branch. */
static rf_status do_branches(schema_state *s, const json_t *schema, const char *keyword,
                             rf_expr *out) {
    const json_t *list = json_object_get(schema, keyword);
    size_t i, n = 0;
    json_t *branch, *rest = json_copy((json_t *)(uintptr_t)schema);
    bool alone = is_alone(schema, keyword), apart = true;
    if (rest)
        (void)json_object_del(rest, keyword);
    if (!rest || json_array_append_new(s->made, rest) != 0)
        return rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
    if (json_array_size(list) == 0 || json_array_size(list) > ENUM_MAX)
        return rf_schema_refuse(s, keyword, "is no list of schemas");
    if (keyword[0] == 'o')
        RF_TRY(rf_schema_are_apart(s, list, &apart));
    if (!apart)
        return rf_schema_refuse(s, "oneOf",
                                "is not supported for branches that one document may fit several "
                                "of: give each a type or a constant of its own, or use anyOf");
    rf_expr *ways = rf_calloc(json_array_size(list), sizeof *ways);
    rf_status status = ways ? RF_OK : rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory");
    json_array_foreach(list, i, branch) {
        const json_t *one = branch;
        char number[24];
        bool never = false;
        (void)snprintf(number, sizeof number, "%zu", i);
        if (status == RF_OK && !alone)
            status = rf_schema_merge(s, rest, branch, &one, &never);
        if (status == RF_OK && !never)
            status = rf_schema_part(s, one, keyword, number, &ways[n++]);
    }
    *out = status == RF_OK ? rf_rules_any(s->rules, ways, n) : 0;
    rf_free(ways);
    return status;
}

/* allOf and $ref beside other keywords become one schema. */
static rf_status do_merged(schema_state *s, const json_t *schema, rf_expr *out) {
    const json_t *list = json_object_get(schema, "allOf"), *all, *ref;
    json_t *rest = json_copy((json_t *)(uintptr_t)schema), *one;
    bool never = false;
    size_t i;
    if (rest) {
        (void)json_object_del(rest, "allOf");
        (void)json_object_del(rest, "$ref");
    }
    if (!rest || json_array_append_new(s->made, rest) != 0)
        return rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
    all = rest;
    const char *name = json_string_value(json_object_get(schema, "$ref"));
    if (name) {
        RF_TRY(find_target(s, name, &ref));
        RF_TRY(rf_schema_merge(s, all, ref, &all, &never));
    }
    if (list && !json_is_array(list))
        return rf_schema_refuse(s, "allOf", "is no list of schemas");
    json_array_foreach(list, i, one) {
        if (!never)
            RF_TRY(rf_schema_merge(s, all, one, &all, &never));
    }
    if (never)
        return rf_schema_refuse(s, "allOf", "contradicts itself: no document fits");
    return rf_schema_part(s, all, "", "", out);
}

/* ---- kinds of values ------------------------------------------------------------------------- */

static bool has_any(const json_t *schema, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (json_object_get(schema, words[i]))
            return true;
    return false;
}

/* Without a type, keywords of one kind of value tell it. */
static const char *guess_type(const json_t *schema) {
    static const char *const objects[] = {
        "properties",    "required",      "additionalProperties", "minProperties",
        "maxProperties", "propertyNames", "patternProperties"};
    static const char *const arrays[] = {"items", "prefixItems", "minItems", "maxItems",
                                         "uniqueItems"};
    static const char *const strings[] = {"pattern", "format", "minLength", "maxLength"};
    static const char *const numbers[] = {"minimum", "maximum", "exclusiveMinimum",
                                          "exclusiveMaximum", "multipleOf"};
    return has_any(schema, objects, 7)   ? "object"
           : has_any(schema, arrays, 5)  ? "array"
           : has_any(schema, strings, 4) ? "string"
           : has_any(schema, numbers, 5) ? "number"
                                         : NULL;
}

static rf_status do_type(schema_state *s, const json_t *schema, const char *type, rf_expr *out) {
    if (strcmp(type, "object") == 0)
        return rf_schema_object(s, schema, out);
    if (strcmp(type, "array") == 0)
        return rf_schema_array(s, schema, out);
    if (strcmp(type, "string") == 0)
        return rf_schema_string(s, schema, out);
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
        return rf_schema_number(s, schema, type[0] == 'i', out);
    bool boolean = strcmp(type, "boolean") == 0;
    if (!boolean && strcmp(type, "null") != 0)
        return rf_schema_refuse(s, "type", "is none of JSON schema's");
    *out = boolean ? rf_rules_any2(s->rules, rf_schema_text(s, "true"), rf_schema_text(s, "false"))
                   : rf_schema_text(s, "null");
    return RF_OK;
}

static rf_status do_types(schema_state *s, const json_t *schema, rf_expr *out) {
    const json_t *type = json_object_get(schema, "type");
    const char *name = type ? json_string_value(type) : guess_type(schema);
    rf_expr ways[9];
    size_t n = 0, i;
    json_t *one;
    if (!type && !name) {
        *out = rf_rules_call(s->rules, s->json->value);
        return RF_OK;
    }
    if (type && !name && (!json_is_array(type) || json_array_size(type) > 8))
        return rf_schema_refuse(s, "type", "is no type's name and no list of them");
    if (name)
        RF_TRY(do_type(s, schema, name, &ways[n++]));
    json_array_foreach(type, i, one) {
        if (!json_is_string(one))
            return rf_schema_refuse(s, "type", "is no list of types' names");
        RF_TRY(do_type(s, schema, json_string_value(one), &ways[n++]));
    }
    if (json_is_true(json_object_get(schema, "nullable")))
        ways[n++] = rf_schema_text(s, "null");
    *out = rf_rules_any(s->rules, ways, n);
    return RF_OK;
}

static rf_status do_part(schema_state *s, const json_t *schema, rf_expr *out) {
    if (json_is_boolean(schema)) {
        *out = json_is_true(schema) ? rf_rules_call(s->rules, s->json->value)
                                    : rf_rules_never(s->rules);
        return RF_OK;
    }
    if (!json_is_object(schema))
        return rf_fail(s->err, RF_ERR_INVALID, "at %s: found no schema, expected an object",
                       s->now->path);
    RF_TRY(check_keywords(s, schema));
    if (json_object_get(schema, "$ref") && is_alone(schema, "$ref")) {
        const json_t *target;
        RF_TRY(rf_schema_resolve(s, schema, &target));
        return rf_schema_part(s, target, "$ref", "", out);
    }
    if (json_object_get(schema, "allOf") || json_object_get(schema, "$ref"))
        return do_merged(s, schema, out);
    if (json_object_get(schema, "anyOf"))
        return do_branches(s, schema, "anyOf", out);
    if (json_object_get(schema, "oneOf"))
        return do_branches(s, schema, "oneOf", out);
    const json_t *constant = json_object_get(schema, "const");
    if (constant) {
        json_t *one = json_pack("[O]", constant);
        if (!one || json_array_append_new(s->made, one) != 0)
            return rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
        return do_values(s, schema, one, out);
    }
    if (json_object_get(schema, "enum"))
        return do_values(s, schema, json_object_get(schema, "enum"), out);
    return do_types(s, schema, out);
}

rf_status rf_schema_rules(rf_rules *rules, json_t *schema, rf_expr *out, rf_error *err) {
    schema_state s = {.rules = rules, .root = schema, .err = err, .made = json_array()};
    s.json = rf_rules_json(rules);
    s.parts = rf_calloc(RF_SCHEMA_MAX_PARTS, sizeof *s.parts);
    *out = 0;
    rf_status status = RF_OK;
    if (!s.made || !s.parts || !s.json)
        status = rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a schema");
    if (status == RF_OK)
        status = rf_schema_part(&s, schema, "", "", out);
    for (; status == RF_OK && s.n_done < s.n_parts; s.n_done++) {
        rf_expr e = 0;
        s.now = &s.parts[s.n_done];
        status = do_part(&s, s.now->schema, &e);
        rf_rules_define(rules, s.now->rule, e);
    }
    json_decref(s.made);
    rf_free(s.parts);
    return status;
}
