/* Objects and arrays of schemas. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "grammar/schema_state.h"

enum { PROPERTIES_MAX = 1000, PREFIX_MAX = 500, KEYS_BYTES = 20000 };

rf_status rf_schema_count(const schema_state *s, const json_t *schema, const char *keyword,
                          int32_t absent, int32_t *out) {
    const json_t *value = json_object_get(schema, keyword);
    double n = json_number_value(value);
    *out = absent;
    if (!value)
        return RF_OK;
    if (!json_is_number(value) || n < 0 || n != (double)(int64_t)n)
        return rf_schema_refuse(s, keyword, "is no whole number of 0 or more");
    *out = n > RF_RULES_MAX_COUNT ? RF_RULES_MAX_COUNT + 1 : (int32_t)n;
    return RF_OK;
}

/* ---- keys that are none of some -------------------------------------------------------------- */

/* A tree of the keys' characters. */
typedef struct key_node {
    uint32_t code;
    int32_t child, next; /* -1: none */
    bool ends;
    rf_expr rest; /* what may follow, so that the whole is another key */
} key_node;

typedef struct key_tree {
    key_node nodes[KEYS_BYTES + 1];
    int32_t n;
} key_tree;

static int32_t child_of(key_tree *t, int32_t at, uint32_t code) {
    int32_t i = t->nodes[at].child;
    while (i >= 0 && t->nodes[i].code != code)
        i = t->nodes[i].next;
    if (i >= 0 || t->n > KEYS_BYTES)
        return i;
    t->nodes[t->n] = (key_node){.code = code, .child = -1, .next = t->nodes[at].child};
    t->nodes[at].child = t->n;
    return t->n++;
}

static bool add_key(key_tree *t, const char *key) {
    int32_t at = 0;
    size_t n = strlen(key);
    for (size_t i = 0; i < n && at >= 0;) {
        uint32_t code;
        i += rf_utf8_decode(key + i, n - i, &code);
        at = child_of(t, at, code);
    }
    if (at >= 0)
        t->nodes[at].ends = true;
    return at >= 0;
}

static int by_low(const void *a, const void *b) {
    const rf_char_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* Any character that no child has, and any text after it; or a child's character and what may
 * follow there; or the end, where no key ends. Children come after their parent in the list. */
static void write_rest(rf_rules *rules, key_tree *t, int32_t at, rf_expr any_text) {
    key_node *node = &t->nodes[at];
    size_t n = 0, n_free = 0;
    for (int32_t i = node->child; i >= 0; i = t->nodes[i].next)
        n++;
    rf_char_range *taken = rf_calloc(2 * n + 1, sizeof *taken), *free_ones = taken + n;
    rf_expr *ways = rf_calloc(n + 2, sizeof *ways);
    size_t n_ways = 0, k = 0;
    uint32_t from = 0;
    if (taken && ways) {
        for (int32_t i = node->child; i >= 0; i = t->nodes[i].next) {
            taken[k++] = (rf_char_range){t->nodes[i].code, t->nodes[i].code};
            rf_expr one = rf_rules_json_class(rules, &taken[k - 1], 1);
            ways[n_ways++] = rf_rules_seq2(rules, one, t->nodes[i].rest);
        }
        qsort(taken, n, sizeof *taken, by_low);
        for (size_t i = 0; i < n; i++) {
            rf_char_range range = taken[i];
            if (range.low > from)
                free_ones[n_free++] = (rf_char_range){from, range.low - 1};
            from = range.low + 1;
        }
        free_ones[n_free++] = (rf_char_range){from, 0x10ffff};
        ways[n_ways++] =
            rf_rules_seq2(rules, rf_rules_json_class(rules, free_ones, n_free), any_text);
        if (!node->ends)
            ways[n_ways++] = rf_rules_empty(rules);
        node->rest = rf_rules_any(rules, ways, n_ways);
    }
    rf_free(taken);
    rf_free(ways);
}

rf_expr rf_schema_other_keys(rf_rules *rules, const json_t *object) {
    static const rf_char_range all = {0, 0x10ffff};
    const char *key;
    json_t *value;
    key_tree *t = rf_calloc(1, sizeof *t);
    if (!t)
        return 0;
    t->nodes[0] = (key_node){.child = -1, .next = -1};
    t->n = 1;
    bool fits = true;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) { fits = fits && add_key(t, key); }
    rf_expr any_text =
        rf_rules_repeat(rules, rf_rules_json_class(rules, &all, 1), 0, RF_RULES_ANY_NUMBER);
    for (int32_t i = t->n; fits && i-- > 0;)
        write_rest(rules, t, i, any_text);
    rf_expr quote = rf_rules_text(rules, RF_STR("\""));
    rf_expr e = fits ? rf_rules_seq(rules, (const rf_expr[]){quote, t->nodes[0].rest, quote}, 3)
                     : rf_rules_never(rules);
    rf_free(t);
    return e;
}

/* ---- objects --------------------------------------------------------------------------------- */

typedef struct member {
    rf_expr pair; /* "key": value */
    bool required;
} member;

static rf_expr pair_of(schema_state *s, rf_expr key, rf_expr value) {
    const rf_expr parts[] = {key, s->json->space, rf_schema_text(s, ":"), s->json->space, value};
    return rf_rules_seq(s->rules, parts, 5);
}

rf_expr rf_schema_comma(schema_state *s) {
    const rf_expr parts[] = {s->json->space, rf_schema_text(s, ","), s->json->space};
    return rf_rules_seq(s->rules, parts, 3);
}

static rf_expr between(schema_state *s, const char *open, rf_expr inside, const char *close) {
    const rf_expr parts[] = {rf_schema_text(s, open), s->json->space, inside, s->json->space,
                             rf_schema_text(s, close)};
    return rf_rules_seq(s->rules, parts, 5);
}

static bool is_required(const json_t *schema, const char *name) {
    json_t *one;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

static rf_status add_member(schema_state *s, const json_t *schema, const char *name,
                            const json_t *value, member *out) {
    rf_expr e;
    json_t *key = json_string(name);
    RF_TRY(rf_schema_part(s, value, "properties", name, &e));
    rf_expr text = key ? rf_schema_literal(s->rules, key) : 0;
    json_decref(key);
    *out = (member){.pair = pair_of(s, text, e), .required = is_required(schema, name)};
    return RF_OK;
}

/* Required names that no property describes are what further properties are, or anything. */
static rf_status add_undescribed(schema_state *s, const json_t *schema, const json_t *more,
                                 member *members, size_t *n) {
    const json_t *properties = json_object_get(schema, "properties");
    json_t *one;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i, one) {
        const char *name = json_string_value(one);
        if (!name)
            return rf_schema_refuse(s, "required", "is no list of names");
        if (json_object_get(properties, name))
            continue;
        if (json_is_false(more) || *n == PROPERTIES_MAX)
            return rf_schema_refuse(s, "required", "names a property that may not be there");
        json_t *value = more ? json_incref((json_t *)(uintptr_t)more) : json_true();
        if (json_array_append_new(s->made, value) != 0)
            return rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
        RF_TRY(add_member(s, schema, name, value, &members[(*n)++]));
    }
    return RF_OK;
}

static rf_status check_counts(schema_state *s, const json_t *schema, const member *members,
                              size_t n, bool open) {
    int32_t least, most;
    size_t n_required = 0;
    for (size_t i = 0; i < n; i++)
        n_required += members[i].required;
    RF_TRY(rf_schema_count(s, schema, "minProperties", 0, &least));
    RF_TRY(rf_schema_count(s, schema, "maxProperties", INT32_MAX, &most));
    if ((size_t)least > n_required)
        return rf_schema_refuse(s, "minProperties",
                                "is not supported above the number of required properties");
    if (open ? most < INT32_MAX : (size_t)most < n)
        return rf_schema_refuse(s, "maxProperties",
                                "is not supported below the number of properties");
    return RF_OK;
}

/* From the last member to the first: what follows where something stands before it, as rules of
 * their own, and where nothing does. */
static rf_expr chain(schema_state *s, const member *members, size_t n, rf_expr more) {
    rf_rules *r = s->rules;
    rf_expr after = more ? rf_rules_repeat(r, rf_rules_seq2(r, rf_schema_comma(s), more), 0,
                                           RF_RULES_ANY_NUMBER)
                         : rf_rules_empty(r);
    rf_expr first = more ? rf_rules_optional(r, rf_rules_seq2(r, more, after)) : rf_rules_empty(r);
    for (size_t i = n; i-- > 0;) {
        rf_rule rest = rf_rules_declare(r, rf_str_of(s->now->path), true);
        rf_rules_define(r, rest, after);
        rf_expr go_on = rf_rules_call(r, rest);
        rf_expr own = rf_rules_seq2(r, members[i].pair, go_on);
        rf_expr next = rf_rules_seq2(r, rf_schema_comma(s), own);
        first = members[i].required ? own : rf_rules_any2(r, own, first);
        after = members[i].required ? next : rf_rules_any2(r, next, go_on);
    }
    return first;
}

/* Objects of which the properties are told by how they are called: one pattern, or a schema of
 * texts. Named properties beside it would have to fit it too. */
static rf_status by_name(schema_state *s, const json_t *schema, rf_expr *out) {
    json_t *patterns = json_object_get(schema, "patternProperties"), *value = NULL, *string;
    const json_t *names = json_object_get(schema, "propertyNames");
    const char *keyword = names ? "propertyNames" : "patternProperties";
    void *first = json_object_iter(patterns);
    rf_expr key, fits;
    if (json_object_size(json_object_get(schema, "properties")) > 0 ||
        json_array_size(json_object_get(schema, "required")) > 0)
        return rf_schema_refuse(s, keyword, "is not supported beside properties or required");
    if (names && patterns)
        return rf_schema_refuse(s, keyword, "is not supported beside patternProperties");
    if (!names && (!first || json_object_size(patterns) != 1))
        return rf_schema_refuse(s, keyword, "is not supported but for one pattern");
    string = names ? json_copy((json_t *)(uintptr_t)names)
                   : json_pack("{s:s}", "pattern", json_object_iter_key(first));
    if (!string || json_array_append_new(s->made, string) != 0)
        return rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
    value = names ? json_object_get(schema, "additionalProperties") : json_object_iter_value(first);
    const char *word;
    json_t *one;
    json_object_foreach(string, word, one) {
        bool known = strcmp(word, "pattern") == 0 || strcmp(word, "format") == 0 ||
                     strcmp(word, "minLength") == 0 || strcmp(word, "maxLength") == 0 ||
                     strcmp(word, "description") == 0 ||
                     (strcmp(word, "type") == 0 && json_is_string(one) &&
                      strcmp(json_string_value(one), "string") == 0);
        if (!known)
            return rf_schema_refuse(s, keyword, "is not supported but for patterns and lengths");
    }
    if (names && !json_is_object(names))
        return rf_schema_refuse(s, keyword, "is no schema of texts");
    RF_TRY(rf_schema_string(s, string, &key));
    if (json_is_false(value))
        return rf_schema_refuse(s, keyword, "leaves no property");
    if (value)
        RF_TRY(rf_schema_part(s, value, keyword, "", &fits));
    else
        fits = rf_rules_call(s->rules, s->json->value);
    *out = pair_of(s, key, fits);
    return RF_OK;
}

static rf_status more_of(schema_state *s, const json_t *schema, const json_t *more, rf_expr *out) {
    const json_t *properties = json_object_get(schema, "properties");
    rf_expr value, key;
    *out = 0;
    if (json_object_size(json_object_get(schema, "patternProperties")) > 0 ||
        json_object_get(schema, "propertyNames"))
        return by_name(s, schema, out);
    if (!more || json_is_false(more))
        return RF_OK;
    RF_TRY(rf_schema_part(s, more, "additionalProperties", "", &value));
    json_t *names = json_object(), *one;
    const char *name;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)properties, name, one) {
        (void)json_object_set_new(names, name, json_true());
    }
    json_array_foreach(json_object_get(schema, "required"), i, one) {
        if (json_is_string(one))
            (void)json_object_set_new(names, json_string_value(one), json_true());
    }
    key = json_object_size(names) > 0 ? rf_schema_other_keys(s->rules, names)
                                      : rf_rules_call(s->rules, s->json->string);
    json_decref(names);
    *out = pair_of(s, key, value);
    return RF_OK;
}

rf_status rf_schema_object(schema_state *s, const json_t *schema, rf_expr *out) {
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required");
    const char *name;
    json_t *value;
    size_t n = 0;
    if ((properties && !json_is_object(properties)) ||
        json_object_size(properties) > PROPERTIES_MAX)
        return rf_schema_refuse(s, "properties", "is no object of up to 1,000 properties");
    if (required && !json_is_array(required))
        return rf_schema_refuse(s, "required", "is no list of names");
    if (!more && json_object_size(properties) == 0)
        more = json_true(); /* nothing is said of properties: any may be there */
    member *members = rf_calloc(PROPERTIES_MAX, sizeof *members);
    rf_expr rest = 0;
    rf_status status =
        members ? RF_OK : rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
    json_object_foreach((json_t *)(uintptr_t)properties, name, value) {
        if (status == RF_OK)
            status = add_member(s, schema, name, value, &members[n++]);
    }
    if (status == RF_OK)
        status = add_undescribed(s, schema, more, members, &n);
    if (status == RF_OK)
        status = more_of(s, schema, more, &rest);
    if (status == RF_OK)
        status = check_counts(s, schema, members, n, rest != 0);
    if (status == RF_OK)
        *out = between(s, "{", chain(s, members, n, rest), "}");
    rf_free(members);
    return status;
}

/* ---- arrays ---------------------------------------------------------------------------------- */

/* The items behind the first `n` ones, as many as the counts ask for; 0: none may follow. */
static rf_expr rest_of(schema_state *s, rf_expr item, int32_t n, int32_t least, int32_t most) {
    rf_rules *r = s->rules;
    int32_t from = least > n ? least - n : 0, to = most - n;
    bool open = most > RF_RULES_MAX_COUNT;
    if (n > 0)
        return rf_rules_repeat(r, rf_rules_seq2(r, rf_schema_comma(s), item), from,
                               open ? RF_RULES_ANY_NUMBER : to);
    rf_expr next = rf_rules_seq2(r, rf_schema_comma(s), item);
    if (!open && to == 0)
        return rf_rules_empty(r);
    rf_expr some = rf_rules_seq2(
        r, item,
        rf_rules_repeat(r, next, from > 0 ? from - 1 : 0, open ? RF_RULES_ANY_NUMBER : to - 1));
    return from > 0 ? some : rf_rules_optional(r, some);
}

static rf_expr tuple(schema_state *s, const rf_expr *prefix, int32_t n, rf_expr item, int32_t least,
                     int32_t most) {
    rf_rules *r = s->rules;
    if (item == 0 && most > n)
        most = n;
    if (most < n)
        n = most;
    rf_expr rest = item ? rest_of(s, item, n, least, most) : rf_rules_empty(r);
    for (int32_t i = n; i-- > 0;) {
        rf_expr one = i > 0 ? rf_rules_seq2(r, rf_schema_comma(s), prefix[i]) : prefix[i];
        rest = rf_rules_seq2(r, one, rest);
        if (i >= least)
            rest = rf_rules_optional(r, rest);
    }
    return rest;
}

static rf_status take_prefix(schema_state *s, const json_t *list, rf_expr *prefix, int32_t *n) {
    json_t *one;
    size_t i;
    *n = 0;
    if (json_array_size(list) > PREFIX_MAX)
        return rf_schema_refuse(s, "prefixItems", "has more than 500 schemas");
    json_array_foreach(list, i, one) {
        char number[24];
        (void)snprintf(number, sizeof number, "%zu", i);
        RF_TRY(rf_schema_part(s, one, "prefixItems", number, &prefix[(*n)++]));
    }
    return RF_OK;
}

rf_status rf_schema_array(schema_state *s, const json_t *schema, rf_expr *out) {
    const json_t *items = json_object_get(schema, "items");
    const json_t *list = json_object_get(schema, "prefixItems");
    int32_t least, most, n;
    rf_expr prefix[PREFIX_MAX], item = 0;
    if (json_is_array(items)) { /* draft 7 */
        list = items;
        items = json_object_get(schema, "additionalItems");
    }
    RF_TRY(rf_schema_count(s, schema, "minItems", 0, &least));
    RF_TRY(rf_schema_count(s, schema, "maxItems", INT32_MAX, &most));
    if (most > RF_RULES_MAX_COUNT)
        most = INT32_MAX;
    if (least > most || least > RF_RULES_MAX_COUNT)
        return rf_schema_refuse(s, "minItems", "is more than maxItems, or than 20,000");
    bool differ = json_is_true(json_object_get(schema, "uniqueItems")) && most > 1;
    if (differ && list)
        return rf_schema_refuse(s, "uniqueItems", "is not supported beside prefixItems");
    if (differ) {
        RF_TRY(rf_schema_unique(s, items, least, most, &item));
        *out = between(s, "[", item, "]");
        return RF_OK;
    }
    RF_TRY(take_prefix(s, list, prefix, &n));
    if (items && !json_is_false(items))
        RF_TRY(rf_schema_part(s, items, "items", "", &item));
    else if (!items && n == 0)
        item = rf_rules_call(s->rules, s->json->value);
    else if (!items && least > n) /* anything, where so many are asked for */
        item = rf_rules_call(s->rules, s->json->value);
    if (item == 0 && least > n)
        return rf_schema_refuse(s, "minItems", "is more than the items that there may be");
    *out = between(s, "[", tuple(s, prefix, n, item, least, most), "]");
    return RF_OK;
}
