#include "grammar/rules_state.h"

enum { INDENT_MAX = 20 };

static rf_expr text(rf_rules *r, const char *t) { return rf_rules_text(r, rf_str_of(t)); }

static rf_expr one_of(rf_rules *r, const rf_char_range *ranges, size_t n) {
    return rf_rules_class(r, ranges, n);
}

static rf_expr space(rf_rules *r) {
    rf_expr blank = one_of(r, (const rf_char_range[]){{' ', ' '}, {'\t', '\t'}}, 2);
    rf_expr line = rf_rules_seq2(r, text(r, "\n"), rf_rules_repeat(r, blank, 0, INDENT_MAX));
    return rf_rules_optional(r, rf_rules_any2(r, text(r, " "), line));
}

static rf_expr string(rf_rules *r) {
    static const rf_char_range plain[] = {{0x20, 0x21}, {0x23, 0x5b}, {0x5d, 0x10ffff}};
    static const rf_char_range digits[] = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
    static const rf_char_range signs[] = {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'},
                                          {'f', 'f'}, {'n', 'n'},   {'r', 'r'}, {'t', 't'}};
    /* \uXXXX without surrogates, which would have to come in pairs. */
    static const rf_char_range low[] = {{'0', '9'}, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}};
    static const rf_char_range d[] = {{'d', 'd'}, {'D', 'D'}}, to7[] = {{'0', '7'}};
    rf_expr digit = one_of(r, digits, 3);
    rf_expr any = rf_rules_seq2(r, one_of(r, low, 5), rf_rules_repeat(r, digit, 3, 3));
    const rf_expr below[] = {one_of(r, d, 2), one_of(r, to7, 1), rf_rules_repeat(r, digit, 2, 2)};
    rf_expr code = rf_rules_seq2(r, text(r, "u"), rf_rules_any2(r, any, rf_rules_seq(r, below, 3)));
    rf_expr escape = rf_rules_seq2(r, text(r, "\\"), rf_rules_any2(r, one_of(r, signs, 8), code));
    rf_expr inside =
        rf_rules_repeat(r, rf_rules_any2(r, one_of(r, plain, 3), escape), 0, RF_RULES_ANY_NUMBER);
    return rf_rules_seq(r, (const rf_expr[]){text(r, "\""), inside, text(r, "\"")}, 3);
}

static rf_expr number(rf_rules *r) {
    rf_expr digit = one_of(r, (const rf_char_range[]){{'0', '9'}}, 1);
    rf_expr first = one_of(r, (const rf_char_range[]){{'1', '9'}}, 1);
    /* Bounded, so that a model cannot go on with digits for ever. */
    rf_expr more = rf_rules_repeat(r, digit, 0, 16), some = rf_rules_repeat(r, digit, 1, 16);
    rf_expr sign = one_of(r, (const rf_char_range[]){{'+', '+'}, {'-', '-'}}, 2);
    rf_expr e = one_of(r, (const rf_char_range[]){{'e', 'e'}, {'E', 'E'}}, 2);
    const rf_expr power[] = {e, rf_rules_optional(r, sign), rf_rules_repeat(r, digit, 1, 2)};
    const rf_expr parts[] = {
        rf_rules_optional(r, text(r, "-")),
        rf_rules_any2(r, text(r, "0"), rf_rules_seq2(r, first, more)),
        rf_rules_optional(r, rf_rules_seq2(r, text(r, "."), some)),
        rf_rules_optional(r, rf_rules_seq(r, power, 3)),
    };
    return rf_rules_seq(r, parts, 4);
}

/* open (item (, item)*)? close */
static rf_expr list(rf_rules *r, const char *open, rf_expr item, const char *close, rf_expr ws) {
    const rf_expr next[] = {ws, text(r, ","), ws, item};
    const rf_expr items[] = {
        item, rf_rules_repeat(r, rf_rules_seq(r, next, 4), 0, RF_RULES_ANY_NUMBER), ws};
    const rf_expr all[] = {text(r, open), ws, rf_rules_optional(r, rf_rules_seq(r, items, 3)),
                           text(r, close)};
    return rf_rules_seq(r, all, 4);
}

const rf_json_rules *rf_rules_json(rf_rules *r) {
    rf_json_rules *j = &r->json;
    if (r->has_json)
        return j;
    j->value = rf_rules_declare(r, RF_STR("JSON value"), true);
    j->object = rf_rules_declare(r, RF_STR("JSON object"), true);
    j->array = rf_rules_declare(r, RF_STR("JSON array"), true);
    j->string = rf_rules_declare(r, RF_STR("JSON string"), true);
    j->number = rf_rules_declare(r, RF_STR("JSON number"), true);
    j->space = space(r);
    rf_expr value = rf_rules_call(r, j->value);
    const rf_expr pair[] = {rf_rules_call(r, j->string), j->space, text(r, ":"), j->space, value};
    const rf_expr values[] = {rf_rules_call(r, j->object),
                              rf_rules_call(r, j->array),
                              rf_rules_call(r, j->string),
                              rf_rules_call(r, j->number),
                              text(r, "true"),
                              text(r, "false"),
                              text(r, "null")};
    rf_rules_define(r, j->string, string(r));
    rf_rules_define(r, j->number, number(r));
    rf_rules_define(r, j->object, list(r, "{", rf_rules_seq(r, pair, 5), "}", j->space));
    rf_rules_define(r, j->array, list(r, "[", value, "]", j->space));
    rf_rules_define(r, j->value, rf_rules_any(r, values, 7));
    r->has_json = true;
    return r->status == RF_OK ? j : NULL;
}
