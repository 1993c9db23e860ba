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

static rf_status check_calls(const rf_automaton *a, rf_error *err) {
    const uint32_t *firsts = rf_automaton_firsts(a);
    const rf_automaton_call *calls = rf_automaton_calls(a);
    for (uint32_t s = 0; s < a->n_states; s++)
        if (firsts[s] > firsts[s + 1] || (s == 0 && (firsts[0] != 0 || firsts[1] != 0)))
            return rf_fail(err, RF_ERR_INVALID, "automaton: calls of state %u begin at %u", s,
                           firsts[s]);
    if (firsts[a->n_states] != a->n_calls)
        return rf_fail(err, RF_ERR_INVALID, "automaton: %u calls, expected %u", firsts[a->n_states],
                       a->n_calls);
    for (uint32_t i = 0; i < a->n_calls; i++)
        if (calls[i].start == 0 || calls[i].start >= a->n_states || calls[i].to == 0 ||
            calls[i].to >= a->n_states)
            return rf_fail(err, RF_ERR_INVALID, "automaton: call %u from %u to %u of %u states", i,
                           calls[i].start, calls[i].to, a->n_states);
    return RF_OK;
}

size_t rf_automaton_lay_out(rf_automaton *a) {
    size_t table = (size_t)a->n_states * a->n_classes * sizeof(uint16_t);
    size_t ends_at = sizeof *a + (table + 3) / 4 * 4;
    size_t firsts_at = ends_at + (size_t)rf_ceil_div(a->n_states, 32) * 4;
    size_t calls_at = firsts_at + (a->n_calls ? ((size_t)a->n_states + 1) * 4 : 0);
    size_t n_bytes = calls_at + (size_t)a->n_calls * sizeof(rf_automaton_call);
    if (a->n_calls > RF_AUTOMATON_MAX_BYTES / 4 || n_bytes > RF_AUTOMATON_MAX_BYTES)
        return 0;
    a->n_bytes = (uint32_t)n_bytes;
    a->ends_at = (uint32_t)ends_at;
    a->firsts_at = (uint32_t)firsts_at;
    a->calls_at = (uint32_t)calls_at;
    return n_bytes;
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
    rf_automaton laid = *a;
    if (rf_automaton_lay_out(&laid) != n_bytes || laid.ends_at != a->ends_at ||
        laid.firsts_at != a->firsts_at || laid.calls_at != a->calls_at)
        return rf_fail(err, RF_ERR_INVALID, "automaton: %zu bytes, expected %u", n_bytes,
                       laid.n_bytes);
    RF_TRY(check_table(a, err));
    return a->n_calls > 0 ? check_calls(a, err) : RF_OK;
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
