/* Subset construction, and the removal of states from which no end can be reached. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/map.h"
#include "grammar/nfa.h"

/* A set of NFA states is the sorted list of those that read a byte or end. */
typedef struct subset {
    int32_t *states; /* owned */
    uint32_t n;
    bool may_end, lives;
} subset;

enum { MAX_WORK = 200000000 };

typedef struct construction {
    const rf_nfa *nfa;
    uint8_t class_of[256];
    uint8_t byte_of[256]; /* a byte of each class */
    uint32_t n_classes;
    subset *subsets; /* owned: [n]; 0 is the empty one */
    uint32_t n, room;
    uint16_t *next; /* owned: [room][n_classes] */
    rf_map known;   /* lists of states, as bytes */
    uint32_t *seen; /* owned: [nfa->n], round of the last visit */
    uint32_t round;
    uint64_t work;         /* NFA states looked at */
    int32_t *stack, *list; /* owned: [nfa->n] */
} construction;

static void release(construction *c) {
    for (uint32_t i = 0; c->subsets && i < c->n; i++)
        rf_free(c->subsets[i].states);
    rf_map_deinit(&c->known);
    rf_free(c->subsets);
    rf_free(c->next);
    rf_free(c->seen);
    rf_free(c->stack);
    rf_free(c->list);
}

static rf_status no_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for an automaton");
}

/* Bytes that no range tells apart are one class. */
static void find_classes(construction *c) {
    bool begins[257] = {true};
    for (int32_t i = 0; i < c->nfa->n; i++) {
        const rf_nfa_state *s = &c->nfa->states[i];
        if (s->kind == RF_NFA_BYTES)
            begins[s->low] = begins[s->high + 1] = true;
    }
    for (int b = 0; b < 256; b++) {
        if (begins[b])
            c->byte_of[c->n_classes++] = (uint8_t)b;
        c->class_of[b] = (uint8_t)(c->n_classes - 1);
    }
}

/* Adds what can be reached from state without a byte to list. */
static uint32_t close_over(construction *c, int32_t state, uint32_t n) {
    uint32_t top = 0;
    c->stack[top++] = state;
    while (top > 0) {
        int32_t s = c->stack[--top];
        if (s < 0 || c->seen[s] == c->round)
            continue;
        c->seen[s] = c->round;
        if (c->nfa->states[s].kind != RF_NFA_SPLIT) {
            c->list[n++] = s;
            continue;
        }
        if (c->nfa->states[s].other >= 0)
            c->stack[top++] = c->nfa->states[s].other;
        c->stack[top++] = c->nfa->states[s].out;
    }
    return n;
}

static void sort(int32_t *list, uint32_t n) { /* Shell's: short, mostly sorted lists */
    for (uint32_t gap = n / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < n; i++)
            for (uint32_t k = i; k >= gap && list[k - gap] > list[k]; k -= gap) {
                int32_t t = list[k];
                list[k] = list[k - gap];
                list[k - gap] = t;
            }
}

static bool grow(construction *c) {
    if (c->n < c->room)
        return true;
    uint32_t room = c->room ? 2 * c->room : 64;
    subset *subsets = rf_realloc_array(c->subsets, room, sizeof *subsets);
    if (subsets)
        c->subsets = subsets;
    uint16_t *next = rf_realloc_array(c->next, (size_t)room * c->n_classes, sizeof *next);
    if (next)
        c->next = next;
    c->room = subsets && next ? room : c->room;
    return subsets && next;
}

/* The number of the subset in list. */
static rf_status find_subset(construction *c, uint32_t n, uint32_t *out, rf_error *err) {
    sort(c->list, n);
    rf_str key = {(const char *)c->list, n * sizeof *c->list};
    if (rf_map_get(&c->known, key, out))
        return RF_OK;
    if (c->n == RF_AUTOMATON_MAX_STATES ||
        (size_t)c->n * c->n_classes * sizeof(uint16_t) > RF_AUTOMATON_MAX_BYTES / 2)
        return rf_fail(err, RF_ERR_LIMIT,
                       "the automaton has more than %u states, expected a simpler pattern or fewer "
                       "and shorter choices",
                       c->n);
    if (!grow(c))
        return no_memory(err);
    subset *s = &c->subsets[c->n];
    *s = (subset){.n = n, .states = rf_alloc(n > 0 ? key.len : 1)};
    if (!s->states)
        return no_memory(err);
    if (n > 0)
        memcpy(s->states, c->list, key.len);
    for (uint32_t i = 0; i < n; i++)
        s->may_end |= c->nfa->states[c->list[i]].kind == RF_NFA_END;
    *out = c->n++;
    key.ptr = (const char *)s->states;
    return rf_map_put(&c->known, key, *out, NULL) ? RF_OK : no_memory(err);
}

static rf_status expand(construction *c, uint32_t i, rf_error *err) {
    for (uint32_t k = 0; k < c->n_classes; k++) {
        uint32_t n = 0, to;
        c->round++;
        c->work += c->subsets[i].n + 1;
        for (uint32_t j = 0; j < c->subsets[i].n; j++) {
            const rf_nfa_state *s = &c->nfa->states[c->subsets[i].states[j]];
            if (s->kind == RF_NFA_BYTES && c->byte_of[k] >= s->low && c->byte_of[k] <= s->high)
                n = close_over(c, s->out, n);
        }
        c->work += n;
        if (c->work > MAX_WORK)
            return rf_fail(err, RF_ERR_LIMIT, "the pattern takes more than %d steps to compile",
                           MAX_WORK);
        RF_TRY(find_subset(c, n, &to, err));
        c->next[(size_t)i * c->n_classes + k] = (uint16_t)to;
    }
    return RF_OK;
}

/* Rounds from the last state to the first: most edges lead to later states. */
static void find_living(construction *c) {
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = c->n; i-- > 1;) {
            subset *s = &c->subsets[i];
            bool lives = s->may_end;
            for (uint32_t k = 0; k < c->n_classes && !lives; k++)
                lives = c->subsets[c->next[(size_t)i * c->n_classes + k]].lives;
            changed |= lives && !s->lives;
            s->lives = lives;
        }
    }
}

static rf_status write(construction *c, rf_automaton **out, rf_error *err) {
    uint32_t *number = rf_calloc(c->n, sizeof *number); /* 0: the dead one */
    uint32_t n = 1;
    for (uint32_t i = 1; number && i < c->n; i++)
        number[i] = c->subsets[i].lives ? n++ : 0;
    size_t ends_at = sizeof(rf_automaton) + ((size_t)n * c->n_classes * 2 + 3) / 4 * 4;
    size_t n_bytes = ends_at + (size_t)rf_ceil_div(n, 32) * 4;
    rf_automaton *a = number ? rf_calloc(1, n_bytes) : NULL;
    if (!a) {
        rf_free(number);
        return no_memory(err);
    }
    *a = (rf_automaton){.magic = RF_AUTOMATON_MAGIC,
                        .version = RF_AUTOMATON_VERSION,
                        .n_bytes = (uint32_t)n_bytes,
                        .n_states = n,
                        .n_classes = c->n_classes,
                        .ends_at = (uint32_t)ends_at};
    memcpy(a->class_of, c->class_of, sizeof a->class_of);
    uint16_t *next = (uint16_t *)(void *)(a + 1);
    uint32_t *ends = (uint32_t *)(void *)((char *)a + ends_at);
    for (uint32_t i = 1; i < c->n; i++) {
        uint32_t s = number[i];
        for (uint32_t k = 0; s > 0 && k < c->n_classes; k++)
            next[(size_t)s * c->n_classes + k] =
                (uint16_t)number[c->next[(size_t)i * c->n_classes + k]];
        if (s > 0 && c->subsets[i].may_end)
            ends[s / 32] |= 1u << s % 32;
    }
    rf_free(number);
    *out = a;
    return RF_OK;
}

static rf_status construct(construction *c, int32_t start, rf_error *err) {
    uint32_t i, n = (uint32_t)c->nfa->n;
    c->seen = rf_calloc(n, sizeof *c->seen);
    c->stack = rf_calloc(2 * (size_t)n + 1, sizeof *c->stack);
    c->list = rf_calloc(n, sizeof *c->list);
    if (!c->seen || !c->stack || !c->list)
        return no_memory(err);
    find_classes(c);
    RF_TRY(find_subset(c, 0, &i, err)); /* dead */
    c->round++;
    RF_TRY(find_subset(c, close_over(c, start, 0), &i, err));
    for (i = 0; i < c->n; i++)
        RF_TRY(expand(c, i, err));
    find_living(c);
    return c->n > RF_AUTOMATON_START && c->subsets[RF_AUTOMATON_START].lives
               ? RF_OK
               : rf_fail(err, RF_ERR_INVALID, "no text matches");
}

rf_status rf_nfa_determinise(const rf_nfa *nfa, int32_t start, rf_automaton **out, rf_error *err) {
    construction c = {.nfa = nfa};
    *out = NULL;
    if (nfa->no_memory)
        return no_memory(err);
    if (nfa->too_many || start < 0)
        return rf_fail(err, RF_ERR_LIMIT, "the pattern has more than %d steps", RF_NFA_MAX_STATES);
    rf_map_init(&c.known);
    rf_status status = construct(&c, start, err);
    if (status == RF_OK)
        status = write(&c, out, err);
    release(&c);
    return status;
}
