/* Patterns as expressions, also as they are written inside of JSON strings. */
#include "base/alloc.h"
#include "grammar/regex_state.h"
#include "grammar/rules.h"

static rf_expr escaped(rf_rules *rules, char letter) {
    const char text[2] = {'\\', letter};
    return rf_rules_text(rules, (rf_str){text, 2});
}

static bool contains(const rf_char_range *ranges, size_t n, uint32_t code) {
    for (size_t i = 0; i < n; i++)
        if (ranges[i].low <= code && code <= ranges[i].high)
            return true;
    return false;
}

/* Control characters: the short escape where there is one, else \u00XX. */
static size_t add_controls(rf_rules *rules, const rf_char_range *ranges, size_t n, rf_expr *out) {
    static const char letters[32] = {[8] = 'b', [9] = 't', [10] = 'n', [12] = 'f', [13] = 'r'};
    static const char digits[] = "0123456789abcdef";
    size_t n_out = 0;
    for (uint32_t c = 0; c < 32; c++) {
        if (!contains(ranges, n, c))
            continue;
        const char hex[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        out[n_out++] =
            letters[c] ? escaped(rules, letters[c]) : rf_rules_text(rules, (rf_str){hex, 6});
    }
    return n_out;
}

rf_expr rf_rules_json_class(rf_rules *rules, const rf_char_range *ranges, size_t n) {
    rf_expr ways[40];
    size_t n_ways = add_controls(rules, ranges, n, ways);
    static const char marks[] = {'"', '\\'};
    for (size_t i = 0; i < sizeof marks; i++)
        if (contains(ranges, n, (uint8_t)marks[i]))
            ways[n_ways++] = escaped(rules, marks[i]);
    /* The others stand for themselves: each range without 0 … 1f, " and \. */
    rf_char_range *plain = rf_calloc(3 * n + 1, sizeof *plain);
    size_t n_plain = 0;
    for (size_t i = 0; plain && i < n; i++) {
        uint32_t low = ranges[i].low < 0x20 ? 0x20 : ranges[i].low, high = ranges[i].high;
        for (size_t m = 0; m < sizeof marks; m++) {
            uint32_t mark = (uint8_t)marks[m];
            if (low <= mark && mark <= high) {
                if (low < mark)
                    plain[n_plain++] = (rf_char_range){low, mark - 1};
                low = mark + 1;
            }
        }
        if (low <= high)
            plain[n_plain++] = (rf_char_range){low, high};
    }
    if (!plain)
        return 0;
    if (n_plain > 0)
        ways[n_ways++] = rf_rules_class(rules, plain, n_plain);
    rf_free(plain);
    return rf_rules_any(rules, ways, n_ways);
}

static rf_expr set(rf_rules *rules, const regex_program *p, const regex_step *step, bool in_json) {
    const rf_char_range *ranges = p->ranges + step->first;
    return in_json ? rf_rules_json_class(rules, ranges, step->n)
                   : rf_rules_class(rules, ranges, step->n);
}

static void fold(rf_rules *rules, const regex_program *p, const regex_step *step, bool in_json,
                 rf_expr *stack, uint32_t *n) {
    rf_expr *top = stack + *n;
    switch (step->op) {
    case REGEX_EMPTY:
    case REGEX_SET:
        *top = step->op == REGEX_EMPTY ? rf_rules_empty(rules) : set(rules, p, step, in_json);
        ++*n;
        return;
    case REGEX_CAT:
    case REGEX_ALT:
        top[-2] = step->op == REGEX_CAT ? rf_rules_seq(rules, top - 2, 2)
                                        : rf_rules_any(rules, top - 2, 2);
        --*n;
        return;
    case REGEX_STAR: top[-1] = rf_rules_repeat(rules, top[-1], 0, RF_RULES_ANY_NUMBER); return;
    }
}

rf_status rf_rules_regex(rf_rules *rules, rf_str pattern, bool in_json, rf_expr *out,
                         rf_error *err) {
    regex_program program = {0};
    uint32_t n = 0;
    rf_status status = rf_regex_parse(pattern, &program, err);
    rf_expr *stack = status == RF_OK ? rf_calloc(program.n_steps + 1u, sizeof *stack) : NULL;
    if (status == RF_OK && !stack)
        status = rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the pattern");
    for (uint32_t i = 0; stack && i < program.n_steps; i++)
        fold(rules, &program, &program.steps[i], in_json, stack, &n);
    *out = stack ? stack[0] : 0;
    rf_free(stack);
    rf_regex_program_deinit(&program);
    return status;
}
