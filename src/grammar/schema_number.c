/* Numbers of schemas: ranges as digits. Bounds have up to 15 digits, of which up to 6 stand behind
 * the point; beyond 1e15 a bound allows all that is written. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "grammar/schema_state.h"

enum { DIGITS_MAX = 15, DECIMALS_MAX = 6, WAYS_MAX = 128 };

static const double HUGE_BOUND = 1e15;

typedef struct ways {
    rf_expr list[WAYS_MAX];
    size_t n;
} ways;

static void add(ways *w, rf_expr e) {
    if (w->n < WAYS_MAX)
        w->list[w->n++] = e;
}

static rf_expr digits(rf_rules *r, char low, char high, int32_t least, int32_t most) {
    rf_char_range range = {(uint8_t)low, (uint8_t)high};
    return rf_rules_repeat(r, rf_rules_class(r, &range, 1), least, most);
}

/* Numbers of exactly n digits from low to high (both written with n digits, zeros in front): the
 * common beginning, then by the first digit that differs. Leading zeros are written. */
static rf_expr span(rf_rules *r, uint64_t low, uint64_t high, int32_t n) {
    char a[DIGITS_MAX + 2], b[DIGITS_MAX + 2];
    ways w = {.n = 0};
    (void)snprintf(a, sizeof a, "%0*llu", (int)n, (unsigned long long)low);
    (void)snprintf(b, sizeof b, "%0*llu", (int)n, (unsigned long long)high);
    if (n == 0)
        return rf_rules_empty(r);
    int32_t k = 0;
    while (k < n && a[k] == b[k])
        k++;
    if (k == n)
        return rf_rules_text(r, (rf_str){a, (size_t)n});
    if (b[k] - a[k] > 1)
        add(&w, rf_rules_seq2(r, rf_rules_text(r, (rf_str){a, (size_t)k}),
                              rf_rules_seq2(r, digits(r, (char)(a[k] + 1), (char)(b[k] - 1), 1, 1),
                                            digits(r, '0', '9', n - k - 1, n - k - 1))));
    for (int32_t i = k + 1; i <= n; i++) { /* from low upwards, and up to high */
        rf_expr rest =
            digits(r, '0', '9', n - i - 1 > 0 ? n - i - 1 : 0, n - i - 1 > 0 ? n - i - 1 : 0);
        rf_expr below = rf_rules_text(r, (rf_str){a, (size_t)i});
        rf_expr above = rf_rules_text(r, (rf_str){b, (size_t)i});
        if (i == n) {
            add(&w, below);
            add(&w, above);
            break;
        }
        if (a[i] < '9')
            add(&w,
                rf_rules_seq(
                    r, (const rf_expr[]){below, digits(r, (char)(a[i] + 1), '9', 1, 1), rest}, 3));
        if (b[i] > '0')
            add(&w,
                rf_rules_seq(
                    r, (const rf_expr[]){above, digits(r, '0', (char)(b[i] - 1), 1, 1), rest}, 3));
    }
    return rf_rules_any(r, w.list, w.n);
}

/* Whole numbers from low to high, without zeros in front. */
static rf_expr naturals(rf_rules *r, uint64_t low, uint64_t high) {
    ways w = {.n = 0};
    uint64_t from = 0, to = 9;
    for (int32_t n = 1; n <= DIGITS_MAX + 1 && from <= high; n++) {
        uint64_t a = low > from ? low : from, b = high < to ? high : to;
        if (a <= b)
            add(&w, span(r, a, b, n));
        from = to + 1;
        to = to * 10 + 9;
    }
    return rf_rules_any(r, w.list, w.n);
}

/* A distance from zero: scaled by 10^decimals, or open. */
typedef struct range {
    uint64_t low, high;
    bool above, below; /* the bounds themselves are left out */
    bool open;         /* no upper bound */
} range;

static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

static rf_expr fraction(rf_rules *r, rf_expr first, int32_t more) {
    const rf_expr parts[] = {rf_rules_text(r, RF_STR(".")), first, digits(r, '0', '9', 0, more)};
    return rf_rules_seq(r, parts, 3);
}

/* From low to high in units of the last decimal, and as much more behind it; written with fewer
 * digits where those behind would be zeros. */
static rf_expr fractions(rf_rules *r, uint64_t low, uint64_t high, int32_t decimals, int32_t more) {
    ways w = {.n = 0};
    add(&w, fraction(r, span(r, low, high, decimals), more));
    for (int32_t n = 1; n < decimals; n++) {
        uint64_t unit = powers[decimals - n], from = (low + unit - 1) / unit, to = high / unit;
        if (from <= to)
            add(&w, fraction(r, span(r, from, to, n), 0));
    }
    return rf_rules_any(r, w.list, w.n);
}

/* .000…1 to .999…: any fraction but zeros alone. */
static rf_expr some_fraction(rf_rules *r) {
    const rf_expr parts[] = {rf_rules_text(r, RF_STR(".")), digits(r, '0', '9', 0, 14),
                             digits(r, '1', '9', 1, 1)};
    return rf_rules_seq(r, parts, 3);
}

/* The part of the range whose whole part is that of the lower bound, and of the upper one. */
static void add_ends(rf_rules *r, ways *w, range m, int32_t decimals) {
    uint64_t unit = powers[decimals], a = m.low / unit, b = m.high / unit;
    uint64_t a_rest = m.low % unit, b_rest = m.high % unit;
    bool one = a == b;
    if (a_rest > 0) {
        uint64_t low = a_rest + m.above, high = one ? b_rest - (m.below && b_rest > 0) : unit - 1;
        if (low <= high)
            add(w, rf_rules_seq2(r, naturals(r, a, a),
                                 fractions(r, low, high, decimals, one ? 0 : 8)));
        if (one)
            return;
    } else if (m.above && !one) {
        add(w, rf_rules_seq2(r, naturals(r, a, a), some_fraction(r)));
    }
    uint64_t low = one && m.above;
    if (b_rest > low) /* less than the bound, whatever follows */
        add(w, rf_rules_seq2(r, naturals(r, b, b),
                             fractions(r, low, b_rest - 1, decimals, low ? 0 : 8)));
    if (b_rest > 0 && !m.below)
        add(w, rf_rules_seq2(r, naturals(r, b, b), fractions(r, b_rest, b_rest, decimals, 0)));
}

/* Whole numbers, whole numbers with any fraction, and what is left at both ends. */
static rf_expr decimals_of(rf_rules *r, range m, int32_t decimals) {
    ways w = {.n = 0};
    uint64_t unit = powers[decimals];
    if (m.open)
        m.high = UINT64_C(1000000000000000) * unit;
    if (m.high < m.low || (m.high == m.low && (m.above || m.below)))
        return rf_rules_never(r);
    uint64_t first = m.low / unit + (m.low % unit > 0 || m.above);
    uint64_t b = m.high / unit;
    if (m.high % unit > 0 || !m.below || b > 0) {
        uint64_t last = m.high % unit == 0 && m.below ? b - 1 : b;
        if (first <= last)
            add(&w, naturals(r, first, last));
    }
    if (b > first)
        add(&w, rf_rules_seq2(r, naturals(r, first, b - 1),
                              fraction(r, digits(r, '0', '9', 1, 1), 14)));
    add_ends(r, &w, m, decimals);
    return rf_rules_any(r, w.list, w.n);
}

static rf_expr integers_of(rf_rules *r, range m) {
    uint64_t low = m.low + m.above;
    if (!m.open && m.below && m.high == 0)
        return rf_rules_never(r);
    uint64_t high = m.open ? UINT64_C(1000000000000000) : m.high - m.below;
    return low <= high ? naturals(r, low, high) : rf_rules_never(r);
}

typedef struct bounds {
    double low, high; /* infinite: none */
    bool above, below;
} bounds;

static rf_status take_bound(schema_state *s, const json_t *schema, const char *keyword, double *out,
                            bool *given) {
    const json_t *value = json_object_get(schema, keyword);
    *given = value != NULL;
    if (!value)
        return RF_OK;
    if (!json_is_number(value))
        return rf_schema_refuse(s, keyword, "is no number");
    *out = json_number_value(value);
    return RF_OK;
}

static rf_status take_bounds(schema_state *s, const json_t *schema, bounds *b) {
    double value = 0;
    bool given;
    *b = (bounds){.low = -INFINITY, .high = INFINITY};
    RF_TRY(take_bound(s, schema, "minimum", &value, &given));
    b->low = given ? value : b->low;
    RF_TRY(take_bound(s, schema, "exclusiveMinimum", &value, &given));
    if (given && value >= b->low) {
        b->low = value;
        b->above = true;
    }
    RF_TRY(take_bound(s, schema, "maximum", &value, &given));
    b->high = given ? value : b->high;
    RF_TRY(take_bound(s, schema, "exclusiveMaximum", &value, &given));
    if (given && value <= b->high) {
        b->high = value;
        b->below = true;
    }
    if (b->low <= -HUGE_BOUND)
        b->low = -INFINITY;
    if (b->high >= HUGE_BOUND)
        b->high = INFINITY;
    if (b->low > b->high || b->low >= HUGE_BOUND || b->high <= -HUGE_BOUND)
        return rf_schema_refuse(s, "minimum", "and maximum leave no number below 1e15");
    return RF_OK;
}

/* Digits behind the point that both bounds need; -1: more than there may be. */
static int32_t decimals_needed(const bounds *b) {
    for (int32_t d = 0; d <= DECIMALS_MAX; d++) {
        double low = isinf(b->low) ? 0 : b->low * (double)powers[d];
        double high = isinf(b->high) ? 0 : b->high * (double)powers[d];
        if (fabs(low - round(low)) < 1e-9 * (1 + fabs(low)) &&
            fabs(high - round(high)) < 1e-9 * (1 + fabs(high)) && fabs(low) < 9e15 &&
            fabs(high) < 9e15)
            return d;
    }
    return -1;
}

static uint64_t scaled(double value, int32_t decimals) {
    return (uint64_t)llround(value * (double)powers[decimals]);
}

/* What lies above zero, zero included; and below, as distances. False: nothing. */
static bool upper(const bounds *b, int32_t d, range *out) {
    if (b->high < 0 || (b->high == 0 && b->below))
        return false;
    *out = (range){.low = b->low > 0 ? scaled(b->low, d) : 0,
                   .above = b->above && b->low >= 0,
                   .open = isinf(b->high),
                   .high = isinf(b->high) ? 0 : scaled(b->high, d),
                   .below = b->below};
    return true;
}

static bool lower(const bounds *b, int32_t d, range *out) {
    if (b->low >= 0)
        return false;
    *out = (range){.low = b->high < 0 ? scaled(-b->high, d) : 0,
                   .above = b->high < 0 ? b->below : true, /* no -0 */
                   .open = isinf(b->low),
                   .high = isinf(b->low) ? 0 : scaled(-b->low, d),
                   .below = b->above};
    return true;
}

rf_status rf_schema_number(schema_state *s, const json_t *schema, bool integer, rf_expr *out) {
    rf_rules *r = s->rules;
    const json_t *multiple = json_object_get(schema, "multipleOf");
    bounds b;
    range m;
    RF_TRY(take_bounds(s, schema, &b));
    if (!integer && !multiple && isinf(b.low) && isinf(b.high)) {
        *out = rf_rules_call(r, s->json->number);
        return RF_OK;
    }
    if (integer) { /* bounds as whole numbers */
        b.above = b.above && b.low == ceil(b.low);
        b.below = b.below && b.high == floor(b.high);
        b.low = ceil(b.low);
        b.high = floor(b.high);
    }
    int32_t d = decimals_needed(&b);
    if (d < 0)
        return rf_schema_refuse(s, "minimum", "or maximum has more than 6 digits behind the point");
    rf_expr sides[2];
    size_t n = 0;
    if (upper(&b, d, &m))
        sides[n++] = integer ? integers_of(r, m) : decimals_of(r, m, d);
    if (lower(&b, d, &m))
        sides[n++] = rf_rules_seq2(r, rf_schema_text(s, "-"),
                                   integer ? integers_of(r, m) : decimals_of(r, m, d));
    *out = rf_rules_any(r, sides, n);
    if (!multiple || (integer && json_number_value(multiple) == 1))
        return RF_OK;
    rf_expr multiples;
    rf_error why = {0};
    RF_TRY(rf_schema_multiples(s, multiple, &multiples));
    if (rf_rules_both(r, *out, multiples, out, &why) == RF_OK)
        return RF_OK;
    return rf_fail(s->err, RF_ERR_INVALID, "keyword multipleOf at %s: %.200s", s->now->path,
                   why.text);
}
