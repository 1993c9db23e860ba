/* Numbers that are multiples of another: what is left of the digits so far, in units of its last
 * digit, and how many digits stand behind the point. Exact: decimal texts are divided, not their
 * nearest binary numbers. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "grammar/schema_state.h"

enum { DECIMALS_MAX = 6, UNITS_MAX = 2000, FIRST = 4 };
enum { MINUS = 2, ZERO = 3 }; /* states behind "-", and behind a 0 that begins the number */
enum { CLASS_OTHER, CLASS_MINUS, CLASS_POINT, CLASS_DIGIT, N_CLASSES = CLASS_DIGIT + 10 };

typedef struct divisor {
    uint32_t units; /* the divisor is units / 10^decimals */
    uint32_t decimals;
} divisor;

static bool find_divisor(double value, divisor *out) {
    double scale = 1;
    for (uint32_t d = 0; d <= DECIMALS_MAX; d++, scale *= 10) {
        double units = value * scale;
        if (units < 0.5 || units > UNITS_MAX || fabs(units - round(units)) > 1e-9 * units)
            continue;
        *out = (divisor){(uint32_t)lround(units), d};
        return true;
    }
    return false;
}

/* State of a rest with k - 1 digits behind the point; k 0: none stands there. */
static uint32_t state_of(divisor d, uint32_t rest, uint32_t k) {
    return FIRST + k * d.units + rest;
}

static bool divides(divisor d, uint32_t rest, uint32_t digits_behind) {
    for (uint32_t i = digits_behind; i < d.decimals; i++)
        rest = rest * 10 % d.units;
    return rest == 0;
}

static void fill(divisor d, uint16_t *next, uint32_t *ends) {
#define TO(state, c) next[(state)*N_CLASSES + (c)]
    TO(RF_AUTOMATON_START, CLASS_MINUS) = MINUS;
    for (uint32_t from = RF_AUTOMATON_START; from <= MINUS; from++)
        for (uint32_t digit = 0; digit < 10; digit++)
            TO(from, CLASS_DIGIT + digit) =
                (uint16_t)(digit == 0 ? (uint32_t)ZERO : state_of(d, digit % d.units, 0));
    ends[0] |= 1u << ZERO;
    if (d.decimals > 0)
        TO(ZERO, CLASS_POINT) = (uint16_t)state_of(d, 0, 1);
    for (uint32_t k = 0; k <= d.decimals + 1; k++)
        for (uint32_t rest = 0; rest < d.units && (k < 1 || d.decimals > 0); rest++) {
            uint32_t state = state_of(d, rest, k);
            if (k == 0 && d.decimals > 0)
                TO(state, CLASS_POINT) = (uint16_t)state_of(d, rest, 1);
            for (uint32_t digit = 0; digit < 10 && k <= d.decimals; digit++)
                TO(state, CLASS_DIGIT + digit) =
                    (uint16_t)state_of(d, (rest * 10 + digit) % d.units, k == 0 ? 0 : k + 1);
            if (k != 1 && divides(d, rest, k == 0 ? 0 : k - 1))
                ends[state / 32] |= 1u << state % 32;
        }
#undef TO
}

rf_status rf_schema_multiples(schema_state *s, const json_t *value, rf_expr *out) {
    divisor d;
    if (!json_is_number(value) || !find_divisor(json_number_value(value), &d))
        return rf_schema_refuse(s, "multipleOf",
                                "is not supported but for numbers of up to 2,000 units of their "
                                "last digit, of which 6 may stand behind the point");
    rf_automaton head = {.magic = RF_AUTOMATON_MAGIC,
                         .version = RF_AUTOMATON_VERSION,
                         .n_states = FIRST + d.units * (d.decimals + 2),
                         .n_classes = N_CLASSES};
    head.class_of['-'] = CLASS_MINUS;
    head.class_of['.'] = CLASS_POINT;
    for (uint8_t digit = 0; digit < 10; digit++)
        head.class_of['0' + digit] = (uint8_t)(CLASS_DIGIT + digit);
    size_t n_bytes = rf_automaton_lay_out(&head);
    rf_automaton *a = n_bytes > 0 ? rf_calloc(1, n_bytes) : NULL;
    if (!a)
        return rf_fail(s->err, RF_ERR_NO_MEMORY, "out of memory for a schema");
    *a = head;
    fill(d, (uint16_t *)(void *)(a + 1), (uint32_t *)(void *)((char *)a + a->ends_at));
    *out = rf_rules_automaton(s->rules, a);
    return RF_OK;
}
