/* Strings of schemas: lengths, patterns, formats. */
#include <string.h>

#include "grammar/schema_state.h"

enum { LENGTH_MAX = 2000, BRANCHES_MAX = 64 };

static const struct {
    const char *name, *pattern;
} formats[] = {
#define X(name, pattern) {name, pattern},
#include "grammar/schema_formats.def"
#undef X
};

static rf_expr quoted(schema_state *s, rf_expr inside) {
    rf_expr quote = rf_schema_text(s, "\"");
    return rf_rules_seq(s->rules, (const rf_expr[]){quote, inside, quote}, 3);
}

static rf_expr any_char(schema_state *s) {
    static const rf_char_range all = {0, 0x10ffff};
    return rf_rules_json_class(s->rules, &all, 1);
}

static rf_expr any_text(schema_state *s) {
    return rf_rules_repeat(s->rules, any_char(s), 0, RF_RULES_ANY_NUMBER);
}

/* ---- patterns -------------------------------------------------------------------------------- */

/* The next | outside of classes and groups, or the end. */
static size_t end_of_branch(rf_str pattern, size_t at) {
    int depth = 0;
    for (bool in_class = false; at < pattern.len; at++) {
        char c = pattern.ptr[at];
        if (c == '\\')
            at++;
        else if (in_class)
            in_class = c != ']';
        else if (c == '[') {
            in_class = true;
            at += at + 1 < pattern.len && pattern.ptr[at + 1] == '^';
        } else if (c == '(' || c == ')')
            depth += c == '(' ? 1 : -1;
        else if (c == '|' && depth == 0)
            return at;
    }
    return pattern.len;
}

static bool is_escaped(rf_str text, size_t at) {
    size_t n = 0;
    while (at > n && text.ptr[at - 1 - n] == '\\')
        n++;
    return n % 2 != 0;
}

/* A branch may match anywhere, but for what ^ and $ tie. */
static rf_status add_branch(schema_state *s, rf_str branch, rf_expr *out) {
    rf_expr inside, before, after;
    bool begins = branch.len > 0 && branch.ptr[0] == '^';
    bool ends =
        branch.len > 0 && branch.ptr[branch.len - 1] == '$' && !is_escaped(branch, branch.len - 1);
    rf_error err = {0};
    branch = rf_str_sub(branch, begins, branch.len - (ends ? 1 : 0));
    if (rf_rules_regex(s->rules, branch, true, &inside, &err) != RF_OK) {
        rf_error told = err;
        (void)rf_schema_refuse(s, "pattern", "");
        return rf_fail(s->err, RF_ERR_INVALID, "keyword pattern at %s: %.200s", s->now->path,
                       told.text);
    }
    before = begins ? rf_rules_empty(s->rules) : any_text(s);
    after = ends ? rf_rules_empty(s->rules) : any_text(s);
    *out = rf_rules_seq(s->rules, (const rf_expr[]){before, inside, after}, 3);
    return RF_OK;
}

static rf_status pattern_of(schema_state *s, rf_str pattern, rf_expr *out) {
    rf_expr ways[BRANCHES_MAX];
    size_t n = 0;
    for (size_t at = 0; at <= pattern.len;) {
        size_t end = end_of_branch(pattern, at);
        if (end > pattern.len)
            end = pattern.len;
        if (n == BRANCHES_MAX)
            return rf_schema_refuse(s, "pattern", "has more than 64 branches");
        RF_TRY(add_branch(s, rf_str_sub(pattern, at, end), &ways[n++]));
        at = end + 1;
    }
    *out = quoted(s, rf_rules_any(s->rules, ways, n));
    return RF_OK;
}

static rf_status format_of(schema_state *s, const char *name, rf_expr *out) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        rf_expr inside;
        if (strcmp(formats[i].name, name) != 0)
            continue;
        RF_TRY(rf_rules_regex(s->rules, rf_str_of(formats[i].pattern), true, &inside, s->err));
        *out = quoted(s, inside);
        return RF_OK;
    }
    return rf_fail(s->err, RF_ERR_INVALID, "keyword format at %s: %.40s is not supported",
                   s->now->path, name);
}

/* The texts of both; what goes wrong is the keyword's. */
static rf_status join(schema_state *s, const char *keyword, rf_expr with, rf_expr *out) {
    rf_error why = {0};
    if (rf_rules_both(s->rules, *out, with, out, &why) == RF_OK)
        return RF_OK;
    return rf_fail(s->err, RF_ERR_INVALID, "keyword %s at %s beside others: %.200s", keyword,
                   s->now->path, why.text);
}

/* Longer texts would be valid too; one end is open only where the schema leaves it open. */
static rf_expr text_of_length(schema_state *s, int32_t least, int32_t most) {
    int32_t to = most == INT32_MAX ? RF_RULES_ANY_NUMBER : most < LENGTH_MAX ? most : LENGTH_MAX;
    return quoted(s, rf_rules_repeat(s->rules, any_char(s), least, to));
}

rf_status rf_schema_string(schema_state *s, const json_t *schema, rf_expr *out) {
    const json_t *pattern = json_object_get(schema, "pattern");
    const json_t *format = json_object_get(schema, "format");
    int32_t least, most;
    rf_expr expr;
    RF_TRY(rf_schema_count(s, schema, "minLength", 0, &least));
    RF_TRY(rf_schema_count(s, schema, "maxLength", INT32_MAX, &most));
    if (least > most || least > LENGTH_MAX)
        return rf_schema_refuse(s, "minLength", "is more than maxLength, or than 2,000");
    bool bounded = least > 0 || most < INT32_MAX;
    if ((pattern && !json_is_string(pattern)) || (format && !json_is_string(format)))
        return rf_schema_refuse(s, pattern ? "pattern" : "format", "is no text");
    if (!pattern && !format) {
        *out = bounded ? text_of_length(s, least, most) : rf_rules_call(s->rules, s->json->string);
        return RF_OK;
    }
    if (pattern) {
        rf_str text = {json_string_value(pattern), json_string_length(pattern)};
        RF_TRY(pattern_of(s, text, out));
    }
    if (format) {
        RF_TRY(format_of(s, json_string_value(format), pattern ? &expr : out));
        if (pattern)
            RF_TRY(join(s, "pattern", expr, out));
    }
    if (bounded)
        RF_TRY(join(s, pattern ? "pattern" : "format", text_of_length(s, least, most), out));
    return RF_OK;
}
