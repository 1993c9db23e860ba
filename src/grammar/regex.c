#include "grammar/regex.h"

#include "base/alloc.h"
#include "grammar/nfa.h"
#include "grammar/regex_state.h"

/* An operand that was built: it begins at in and leads to out, a SPLIT whose ways are still free.
 */
typedef struct fragment {
    int32_t in, out;
} fragment;

static int32_t split(rf_nfa *nfa, int32_t a, int32_t b) {
    return rf_nfa_add(nfa, (rf_nfa_state){RF_NFA_SPLIT, 0, 0, a, b});
}

static void lead(rf_nfa *nfa, int32_t from, int32_t to) {
    if (from < 0)
        return;
    rf_nfa_state *s = &nfa->states[from];
    *(s->out < 0 ? &s->out : &s->other) = to;
}

static fragment build_set(rf_nfa *nfa, const regex_program *p, const regex_step *step) {
    int32_t out = split(nfa, -1, -1), in = -1;
    for (uint32_t i = 0; i < step->n; i++) {
        char_range range = p->ranges[step->first + i];
        int32_t way = rf_nfa_add_chars(nfa, range.low, range.high, out);
        in = in < 0 ? way : way < 0 ? in : split(nfa, way, in);
    }
    if (in < 0) /* an empty set: no text */
        in = rf_nfa_add(nfa, (rf_nfa_state){RF_NFA_SPLIT, 0, 0, -1, -1});
    return (fragment){in, out};
}

static void build(rf_nfa *nfa, const regex_program *p, const regex_step *step, fragment *stack,
                  uint32_t *n) {
    fragment *top = stack + *n, a, b;
    switch (step->op) {
    case REGEX_EMPTY:
        a.in = a.out = split(nfa, -1, -1);
        *top = a;
        ++*n;
        return;
    case REGEX_SET:
        *top = build_set(nfa, p, step);
        ++*n;
        return;
    case REGEX_CAT:
        lead(nfa, top[-2].out, top[-1].in);
        top[-2].out = top[-1].out;
        --*n;
        return;
    case REGEX_ALT:
        a = top[-2];
        b = top[-1];
        top[-2].in = split(nfa, a.in, b.in);
        top[-2].out = split(nfa, -1, -1);
        lead(nfa, a.out, top[-2].out);
        lead(nfa, b.out, top[-2].out);
        --*n;
        return;
    case REGEX_STAR:
        a = top[-1];
        b.out = split(nfa, -1, -1);
        b.in = split(nfa, a.in, b.out);
        lead(nfa, a.out, b.in);
        top[-1] = b;
        return;
    }
}

static rf_status compile(rf_nfa *nfa, const regex_program *p, bool leads_space, rf_automaton **out,
                         rf_error *err) {
    fragment *stack = rf_calloc(p->n_steps + 1u, sizeof *stack);
    uint32_t n = 0;
    if (!stack)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the pattern");
    for (uint32_t i = 0; i < p->n_steps && !nfa->no_memory && !nfa->too_many; i++)
        build(nfa, p, &p->steps[i], stack, &n);
    fragment whole = stack[0];
    rf_free(stack);
    int32_t end = rf_nfa_add(nfa, (rf_nfa_state){.kind = RF_NFA_END});
    if (end >= 0)
        lead(nfa, whole.out, end);
    if (leads_space)
        whole.in = split(nfa, rf_nfa_add(nfa, (rf_nfa_state){RF_NFA_BYTES, ' ', ' ', whole.in, -1}),
                         whole.in);
    return rf_nfa_determinise(nfa, whole.in, out, err);
}

rf_status rf_regex_compile(rf_str pattern, bool leads_space, rf_automaton **out, rf_error *err) {
    regex_program program = {0};
    rf_nfa nfa = {0};
    *out = NULL;
    rf_status status = rf_regex_parse(pattern, &program, err);
    if (status == RF_OK)
        status = compile(&nfa, &program, leads_space, out, err);
    rf_nfa_deinit(&nfa);
    rf_regex_program_deinit(&program);
    return status;
}
