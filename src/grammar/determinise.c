/* Subset construction, rule by rule, and the removal of states from which no end can be reached. A
 * call is as a letter of its own: what follows it is one subset. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/map.h"
#include "grammar/nfa.h"

/* A set of NFA states is the sorted list of those that read a byte, call or end. */
typedef struct subset {
    int32_t *states; /* owned */
    uint32_t n;
    uint32_t first_call;
    bool may_end, lives, nullable;
} subset;

typedef struct edge {
    uint32_t rule, to; /* subsets: where the rule begins; what follows */
} edge;

enum { MAX_WORK = 200000000 };

typedef struct construction {
    const rf_nfa *nfa;
    uint8_t class_of[256];
    uint8_t byte_of[256]; /* a byte of each class */
    uint32_t n_classes;
    subset *subsets; /* owned: [n]; 0 is the empty one */
    uint32_t n, room;
    const int32_t *starts; /* of the NFA's rules */
    uint32_t n_starts;
    uint32_t *roots; /* owned: [n_starts], subsets */
    edge *edges;     /* owned: [n_edges], calls in the order of their subsets */
    uint32_t n_edges, edges_room;
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
    rf_free(c->roots);
    rf_free(c->edges);
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

static rf_status add_edge(construction *c, uint32_t rule, uint32_t to, rf_error *err) {
    if (c->n_edges == c->edges_room) {
        uint32_t room = c->edges_room ? 2 * c->edges_room : 64;
        edge *edges = rf_realloc_array(c->edges, room, sizeof *edges);
        if (!edges)
            return no_memory(err);
        c->edges = edges;
        c->edges_room = room;
    }
    c->edges[c->n_edges++] = (edge){rule, to};
    return RF_OK;
}

/* The rules that a subset calls, each once. */
static rf_status expand_calls(construction *c, uint32_t i, rf_error *err) {
    c->subsets[i].first_call = c->n_edges;
    for (uint32_t j = 0; j < c->subsets[i].n; j++) {
        const rf_nfa_state *s = &c->nfa->states[c->subsets[i].states[j]];
        uint32_t n = 0, to;
        bool known = s->kind != RF_NFA_CALL;
        for (uint32_t e = c->subsets[i].first_call; !known && e < c->n_edges; e++)
            known = c->edges[e].rule == (uint32_t)s->other;
        if (known)
            continue;
        c->round++;
        for (uint32_t k = j; k < c->subsets[i].n; k++) {
            const rf_nfa_state *t = &c->nfa->states[c->subsets[i].states[k]];
            if (t->kind == RF_NFA_CALL && t->other == s->other)
                n = close_over(c, t->out, n);
        }
        c->work += c->subsets[i].n + n;
        uint32_t rule = (uint32_t)s->other;
        RF_TRY(find_subset(c, n, &to, err));
        RF_TRY(add_edge(c, rule, to, err));
    }
    return RF_OK;
}

static uint32_t end_of_calls(const construction *c, uint32_t i) {
    return i + 1 < c->n ? c->subsets[i + 1].first_call : c->n_edges;
}

static bool leads_on(const construction *c, uint32_t i) {
    const subset *s = &c->subsets[i];
    bool lives = s->may_end;
    for (uint32_t k = 0; k < c->n_classes && !lives; k++)
        lives = c->subsets[c->next[(size_t)i * c->n_classes + k]].lives;
    for (uint32_t e = s->first_call; e < end_of_calls(c, i) && !lives; e++)
        lives = c->subsets[c->roots[c->edges[e].rule]].lives && c->subsets[c->edges[e].to].lives;
    return lives;
}

/* The text may be over without another byte. */
static bool is_nullable(const construction *c, uint32_t i) {
    const subset *s = &c->subsets[i];
    bool nullable = s->may_end;
    for (uint32_t e = s->first_call; e < end_of_calls(c, i) && !nullable; e++)
        nullable =
            c->subsets[c->roots[c->edges[e].rule]].nullable && c->subsets[c->edges[e].to].nullable;
    return nullable;
}

/* Rounds from the last state to the first: most edges lead to later states. */
static void find_living(construction *c) {
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = c->n; i-- > 1;) {
            subset *s = &c->subsets[i];
            bool lives = leads_on(c, i), nullable = is_nullable(c, i);
            changed |= lives != s->lives || nullable != s->nullable;
            s->lives = lives;
            s->nullable = nullable;
        }
    }
}

/* Does a rule come to itself before it has read a byte? */
static rf_status check_left(construction *c, uint32_t rule, uint8_t *seen, rf_error *err) {
    uint32_t n = 0;
    uint32_t *stack = (uint32_t *)(void *)c->list; /* as many as there are subsets at most */
    memset(seen, 0, c->n);
    stack[n++] = c->roots[rule];
    while (n > 0) {
        uint32_t i = stack[--n];
        for (uint32_t e = c->subsets[i].first_call; e < end_of_calls(c, i); e++) {
            uint32_t root = c->roots[c->edges[e].rule], to = c->edges[e].to;
            if (!c->subsets[root].lives || !c->subsets[to].lives)
                continue;
            if (c->edges[e].rule == rule)
                return rf_fail(err, RF_ERR_INVALID,
                               "a rule calls itself before it has read anything (left recursion)");
            if (!seen[root]) {
                seen[root] = 1;
                stack[n++] = root;
            }
            if (c->subsets[root].nullable && !seen[to]) {
                seen[to] = 1;
                stack[n++] = to;
            }
            if (++c->work > MAX_WORK)
                return rf_fail(err, RF_ERR_LIMIT, "the rules take too many steps to compile");
        }
    }
    return RF_OK;
}

static rf_status check_all_left(construction *c, rf_error *err) {
    uint8_t *seen = rf_calloc(c->n, 1);
    int32_t *list = rf_realloc_array(c->list, (size_t)c->n + 1, sizeof *list);
    rf_status status = seen && list ? RF_OK : no_memory(err);
    if (list)
        c->list = list;
    for (uint32_t r = 1; r < c->n_starts && status == RF_OK; r++)
        status = check_left(c, r, seen, err);
    rf_free(seen);
    return status;
}

static bool edge_lives(const construction *c, const uint32_t *number, uint32_t e) {
    return number[c->roots[c->edges[e].rule]] > 0 && number[c->edges[e].to] > 0;
}

static void write_parts(const construction *c, const uint32_t *number, rf_automaton *a) {
    uint16_t *next = (uint16_t *)(void *)(a + 1);
    uint32_t *ends = (uint32_t *)(void *)((char *)a + a->ends_at), n_calls = 0;
    uint32_t *firsts = (uint32_t *)(void *)((char *)a + a->firsts_at);
    rf_automaton_call *calls = (rf_automaton_call *)(void *)((char *)a + a->calls_at);
    for (uint32_t i = 1; i < c->n; i++) {
        uint32_t s = number[i];
        if (s == 0)
            continue;
        for (uint32_t k = 0; k < c->n_classes; k++)
            next[(size_t)s * c->n_classes + k] =
                (uint16_t)number[c->next[(size_t)i * c->n_classes + k]];
        if (c->subsets[i].may_end)
            ends[s / 32] |= 1u << s % 32;
        if (a->n_calls == 0)
            continue;
        firsts[s] = n_calls;
        for (uint32_t e = c->subsets[i].first_call; e < end_of_calls(c, i); e++)
            if (edge_lives(c, number, e))
                calls[n_calls++] = (rf_automaton_call){(uint16_t)number[c->roots[c->edges[e].rule]],
                                                       (uint16_t)number[c->edges[e].to]};
        firsts[s + 1] = n_calls;
    }
}

static rf_status write(construction *c, rf_automaton **out, rf_error *err) {
    uint32_t *number = rf_calloc(c->n, sizeof *number); /* 0: the dead one */
    uint32_t n = 1, n_calls = 0;
    if (!number)
        return no_memory(err);
    for (uint32_t i = 1; i < c->n; i++)
        number[i] = c->subsets[i].lives ? n++ : 0;
    for (uint32_t i = 1; i < c->n; i++)
        for (uint32_t e = c->subsets[i].first_call; number[i] && e < end_of_calls(c, i); e++)
            n_calls += edge_lives(c, number, e);
    rf_automaton head = {.magic = RF_AUTOMATON_MAGIC,
                         .version = RF_AUTOMATON_VERSION,
                         .n_states = n,
                         .n_classes = c->n_classes,
                         .n_calls = n_calls};
    size_t n_bytes = rf_automaton_lay_out(&head);
    rf_automaton *a = n_bytes > 0 ? rf_calloc(1, n_bytes) : NULL;
    if (a) {
        *a = head;
        memcpy(a->class_of, c->class_of, sizeof a->class_of);
        write_parts(c, number, a);
    }
    rf_free(number);
    *out = a;
    return a              ? RF_OK
           : n_bytes == 0 ? rf_fail(err, RF_ERR_LIMIT, "the automaton is too large")
                          : no_memory(err);
}

static rf_status find_roots(construction *c, rf_error *err) {
    for (uint32_t r = 0; r < c->n_starts; r++) {
        c->round++;
        RF_TRY(find_subset(c, close_over(c, c->starts[r], 0), &c->roots[r], err));
    }
    return RF_OK;
}

static rf_status construct(construction *c, rf_error *err) {
    uint32_t i, n = (uint32_t)c->nfa->n;
    c->seen = rf_calloc(n, sizeof *c->seen);
    c->stack = rf_calloc(2 * (size_t)n + 1, sizeof *c->stack);
    c->list = rf_calloc(n, sizeof *c->list);
    c->roots = rf_calloc(c->n_starts, sizeof *c->roots);
    if (!c->seen || !c->stack || !c->list || !c->roots)
        return no_memory(err);
    find_classes(c);
    RF_TRY(find_subset(c, 0, &i, err)); /* dead */
    RF_TRY(find_roots(c, err));
    for (i = 0; i < c->n; i++) {
        RF_TRY(expand(c, i, err));
        RF_TRY(expand_calls(c, i, err));
    }
    find_living(c);
    if (c->roots[0] != RF_AUTOMATON_START || !c->subsets[RF_AUTOMATON_START].lives)
        return rf_fail(err, RF_ERR_INVALID, "no text matches");
    return check_all_left(c, err);
}

rf_status rf_nfa_determinise(const rf_nfa *nfa, const int32_t *starts, uint32_t n_starts,
                             rf_automaton **out, rf_error *err) {
    construction c = {.nfa = nfa, .starts = starts, .n_starts = n_starts};
    *out = NULL;
    if (nfa->no_memory)
        return no_memory(err);
    if (nfa->too_many)
        return rf_fail(err, RF_ERR_LIMIT, "the pattern has more than %d steps", RF_NFA_MAX_STATES);
    rf_map_init(&c.known);
    rf_status status = construct(&c, err);
    if (status == RF_OK)
        status = write(&c, out, err);
    release(&c);
    return status;
}
