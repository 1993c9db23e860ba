#include "grammar/automaton.h"

#include "base/checked.h"

static rf_status check_table(const rf_automaton *a, rf_error *err) {
    const uint16_t *next = rf_automaton_next(a);
    for (uint32_t c = 0; c < 256; c++)
        if (a->class_of[c] >= a->n_classes)
            return rf_fail(err, RF_ERR_INVALID, "automaton: byte %u is in class %u of %u", c,
                           a->class_of[c], a->n_classes);
    for (size_t i = 0; i < (size_t)a->n_states * a->n_classes; i++)
        if (next[i] >= a->n_states || (i < a->n_classes && next[i] != RF_AUTOMATON_DEAD))
            return rf_fail(err, RF_ERR_INVALID, "automaton: state %zu leads to %u of %u states",
                           i / a->n_classes, next[i], a->n_states);
    return RF_OK;
}

rf_status rf_automaton_check(const void *bytes, size_t n_bytes, rf_error *err) {
    const rf_automaton *a = bytes;
    if (n_bytes < sizeof *a || n_bytes > RF_AUTOMATON_MAX_BYTES || a->n_bytes != n_bytes ||
        (uintptr_t)bytes % 4 != 0)
        return rf_fail(err, RF_ERR_INVALID, "automaton: %zu bytes, expected %zu to %d, aligned",
                       n_bytes, sizeof *a, RF_AUTOMATON_MAX_BYTES);
    if (a->magic != RF_AUTOMATON_MAGIC || a->version != RF_AUTOMATON_VERSION)
        return rf_fail(err, RF_ERR_INVALID,
                       "automaton: mark %08x, version %u; expected %08x and %d", a->magic,
                       a->version, RF_AUTOMATON_MAGIC, RF_AUTOMATON_VERSION);
    if (a->n_states <= RF_AUTOMATON_START || a->n_states > RF_AUTOMATON_MAX_STATES ||
        a->n_classes < 1 || a->n_classes > 256)
        return rf_fail(err, RF_ERR_INVALID, "automaton: %u states and %u classes of bytes",
                       a->n_states, a->n_classes);
    size_t table = (size_t)a->n_states * a->n_classes * sizeof(uint16_t);
    size_t ends_at = sizeof *a + (table + 3) / 4 * 4;
    if (a->ends_at != ends_at || n_bytes != ends_at + rf_ceil_div(a->n_states, 32) * 4)
        return rf_fail(err, RF_ERR_INVALID, "automaton: %zu bytes, expected %zu", n_bytes,
                       ends_at + (size_t)rf_ceil_div(a->n_states, 32) * 4);
    return check_table(a, err);
}

bool rf_automaton_is_over(const rf_automaton *a, uint32_t state) {
    const uint16_t *next = rf_automaton_next(a) + (size_t)state * a->n_classes;
    for (uint32_t c = 0; c < a->n_classes; c++)
        if (next[c] != RF_AUTOMATON_DEAD)
            return false;
    return rf_automaton_may_end(a, state);
}

bool rf_automaton_matches(const rf_automaton *a, const char *text, size_t n) {
    uint32_t state = RF_AUTOMATON_START;
    for (size_t i = 0; i < n && state != RF_AUTOMATON_DEAD; i++)
        state = rf_automaton_step(a, state, (uint8_t)text[i]);
    return state != RF_AUTOMATON_DEAD && rf_automaton_may_end(a, state);
}
