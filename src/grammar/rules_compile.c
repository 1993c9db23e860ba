/* Expressions to one nondeterministic automaton with calls, rule by rule; small rules that do not
 * call themselves are written out where they are called. */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "grammar/nfa.h"
#include "grammar/rules_state.h"

enum { INLINE_MAX = 256, SIZE_MAX_STATES = 1 << 20 };

/* ---- which rules call themselves, and how large expressions are ------------------------------ */

typedef struct visit {
    rf_expr expr;
    uint32_t next; /* child to look at */
} visit;

typedef struct survey {
    rf_rules *rules;
    uint8_t *colour; /* [n_nodes]: 0 unseen, 1 being looked at, 2 known */
    uint32_t *sizes; /* [n_nodes] */
    visit *stack;    /* [n_nodes] */
    uint32_t n;
    rf_error *err;
} survey;

static uint32_t n_children(const expr_node *node) {
    return node->kind == EXPR_SEQ || node->kind == EXPR_ANY || node->kind == EXPR_REPEAT
               ? node->n
               : node->kind == EXPR_CALL;
}

static uint32_t own_size(const rf_rules *rules, const survey *s, const expr_node *node) {
    uint64_t size = 1;
    if (node->kind == EXPR_TEXT)
        return node->n;
    if (node->kind == EXPR_CLASS)
        return 4 * node->n;
    if (node->kind == EXPR_AUTOMATON)
        return 4 * rules->automata[node->first]->n_states;
    if (node->kind == EXPR_CALL)
        return rules->rules[node->first].inlined ? s->sizes[rules->rules[node->first].expr] : 1;
    for (uint32_t i = 0; i < n_children(node); i++)
        size += s->sizes[rules->items[node->first + i]];
    if (node->kind == EXPR_REPEAT)
        size *= (uint32_t)(node->most > node->least ? node->most : node->least) + 1u;
    return size < SIZE_MAX_STATES ? (uint32_t)size : SIZE_MAX_STATES;
}

static void push(survey *s, rf_expr expr) {
    s->colour[expr] = 1;
    s->stack[s->n++] = (visit){expr, 0};
}

/* A call that leads back into what is being looked at is a recursion. */
static rf_status descend(survey *s, const expr_node *node, uint32_t i) {
    rf_rules *rules = s->rules;
    rf_expr child = node->kind == EXPR_CALL ? 0 : rules->items[node->first + i];
    if (node->kind == EXPR_CALL) {
        rule_node *rule = &rules->rules[node->first];
        child = rule->expr;
        if (child == 0)
            return rf_fail(s->err, RF_ERR_INVALID, "the rule %s is used and not defined",
                           rule->name);
        rule->recurs |= s->colour[child] == 1;
    }
    if (s->colour[child] == 0)
        push(s, child);
    return RF_OK;
}

static rf_status look_at(survey *s, rf_expr start) {
    rf_rules *rules = s->rules;
    push(s, start);
    while (s->n > 0) {
        visit *top = &s->stack[s->n - 1];
        const expr_node *node = &rules->nodes[top->expr];
        if (top->next < n_children(node)) {
            RF_TRY(descend(s, node, top->next++));
            continue;
        }
        if (node->kind == EXPR_CALL) {
            rule_node *rule = &rules->rules[node->first];
            rule->inlined = !rule->stays && !rule->recurs && s->sizes[rule->expr] <= INLINE_MAX;
        }
        s->sizes[top->expr] = own_size(rules, s, node);
        s->colour[top->expr] = 2;
        s->n--;
    }
    return RF_OK;
}

static rf_status survey_all(rf_rules *rules, rf_expr start, rf_error *err) {
    survey s = {.rules = rules, .err = err};
    s.colour = rf_calloc(rules->n_nodes, sizeof *s.colour);
    s.sizes = rf_calloc(rules->n_nodes, sizeof *s.sizes);
    s.stack = rf_calloc(rules->n_nodes, sizeof *s.stack);
    rf_status status = s.colour && s.sizes && s.stack
                           ? look_at(&s, start)
                           : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a grammar");
    rf_free(s.colour);
    rf_free(s.sizes);
    rf_free(s.stack);
    return status;
}

/* ---- building -------------------------------------------------------------------------------- */

/* An expression that is to be built between two states; `in` is a SPLIT with a way that is free. */
typedef struct task {
    rf_expr expr;
    int32_t in, out;
} task;

typedef struct builder {
    rf_rules *rules;
    rf_nfa nfa;
    task *tasks; /* owned */
    size_t n, room;
    int32_t *starts; /* owned: [n_starts], of the whole and of the rules that are called */
    uint32_t n_starts;
} builder;

static int32_t fresh(builder *b) {
    return rf_nfa_add(&b->nfa, (rf_nfa_state){RF_NFA_SPLIT, 0, 0, -1, -1});
}

static void lead(builder *b, int32_t from, int32_t to) {
    if (from < 0)
        return;
    rf_nfa_state *s = &b->nfa.states[from];
    *(s->out < 0 ? &s->out : &s->other) = to;
}

static void add_task(builder *b, rf_expr expr, int32_t in, int32_t out) {
    if (b->n == b->room) {
        size_t room = b->room ? 2 * b->room : 256;
        task *tasks = rf_realloc_array(b->tasks, room, sizeof *tasks);
        b->nfa.no_memory |= !tasks;
        if (!tasks)
            return;
        b->tasks = tasks;
        b->room = room;
    }
    b->tasks[b->n++] = (task){expr, in, out};
}

static void build_class(builder *b, const expr_node *node, int32_t in, int32_t out) {
    int32_t all = -1;
    for (uint32_t i = 0; i < node->n; i++) {
        rf_char_range range = b->rules->ranges[node->first + i];
        int32_t way = rf_nfa_add_chars(&b->nfa, range.low, range.high, out);
        if (way >= 0)
            all = all < 0 ? way : rf_nfa_add(&b->nfa, (rf_nfa_state){RF_NFA_SPLIT, 0, 0, way, all});
    }
    if (all >= 0)
        lead(b, in, all);
}

static void build_text(builder *b, const expr_node *node, int32_t in, int32_t out) {
    for (uint32_t k = node->n; k-- > 0 && out >= 0;) {
        uint8_t byte = (uint8_t)b->rules->bytes[node->first + k];
        out = rf_nfa_add(&b->nfa, (rf_nfa_state){RF_NFA_BYTES, byte, byte, out, -1});
    }
    lead(b, in, out);
}

static void build_list(builder *b, const expr_node *node, int32_t in, int32_t out) {
    const rf_expr *items = b->rules->items + node->first;
    for (uint32_t i = 0; i < node->n; i++) {
        bool last = i + 1 == node->n;
        int32_t next = last && node->kind == EXPR_SEQ ? out : fresh(b);
        if (node->kind == EXPR_SEQ) {
            add_task(b, items[i], in, next);
            in = next;
            continue;
        }
        int32_t fork = last ? next : fresh(b);
        lead(b, in, fork);
        if (!last)
            lead(b, fork, next);
        add_task(b, items[i], next, out);
        in = fork;
    }
}

static void build_repeat(builder *b, const expr_node *node, int32_t in, int32_t out) {
    rf_expr item = b->rules->items[node->first];
    for (int32_t i = 0; i < node->least && !b->nfa.too_many; i++) {
        int32_t next = fresh(b);
        add_task(b, item, in, next);
        in = next;
    }
    bool open = node->most == RF_RULES_ANY_NUMBER;
    for (int32_t i = node->least; (open ? i == node->least : i < node->most) && !b->nfa.too_many;
         i++) {
        int32_t fork = fresh(b), body = fresh(b);
        lead(b, in, fork);
        lead(b, fork, body);
        lead(b, fork, out);
        in = open ? fork : fresh(b);
        add_task(b, item, body, in);
    }
    if (!open)
        lead(b, in, out);
}

static void build_call(builder *b, const expr_node *node, int32_t in, int32_t out) {
    rule_node *rule = &b->rules->rules[node->first];
    if (rule->inlined) {
        add_task(b, rule->expr, in, out);
        return;
    }
    if (rule->start < 0) {
        rule->start = (int32_t)b->n_starts;
        b->starts[b->n_starts++] = fresh(b);
        add_task(b, rule->expr, b->starts[rule->start],
                 rf_nfa_add(&b->nfa, (rf_nfa_state){.kind = RF_NFA_END, .out = -1, .other = -1}));
    }
    lead(b, in, rf_nfa_add(&b->nfa, (rf_nfa_state){RF_NFA_CALL, 0, 0, out, rule->start}));
}

/* The bytes that lead from one state to others, as ranges. */
static int32_t build_edges(builder *b, const rf_automaton *a, uint32_t state, int32_t first) {
    int32_t all = -1;
    for (int low = 0, high; low < 256; low = high + 1) {
        uint32_t to = rf_automaton_step(a, state, (uint8_t)low);
        for (high = low; high < 255 && rf_automaton_step(a, state, (uint8_t)(high + 1)) == to;)
            high++;
        if (to == RF_AUTOMATON_DEAD)
            continue;
        rf_nfa_state way = {RF_NFA_BYTES, (uint8_t)low, (uint8_t)high, first + (int32_t)to, -1};
        int32_t edge = rf_nfa_add(&b->nfa, way);
        all = all < 0 ? edge : rf_nfa_add(&b->nfa, (rf_nfa_state){RF_NFA_SPLIT, 0, 0, edge, all});
    }
    return all;
}

static void build_automaton(builder *b, const expr_node *node, int32_t in, int32_t out) {
    const rf_automaton *a = b->rules->automata[node->first];
    int32_t first = b->nfa.n;
    for (uint32_t s = 0; s < a->n_states; s++) /* state 0 is never led to */
        (void)fresh(b);
    for (uint32_t s = 1; s < a->n_states && !b->nfa.no_memory && !b->nfa.too_many; s++) {
        int32_t edges = build_edges(b, a, s, first);
        if (edges >= 0)
            lead(b, first + (int32_t)s, edges);
        if (rf_automaton_may_end(a, s))
            lead(b, first + (int32_t)s, out);
    }
    lead(b, in, first + RF_AUTOMATON_START);
}

static void build(builder *b, task t) {
    const expr_node *node = &b->rules->nodes[t.expr];
    switch (node->kind) {
    case EXPR_NEVER: return;
    case EXPR_EMPTY: lead(b, t.in, t.out); return;
    case EXPR_TEXT: build_text(b, node, t.in, t.out); return;
    case EXPR_CLASS: build_class(b, node, t.in, t.out); return;
    case EXPR_SEQ:
    case EXPR_ANY: build_list(b, node, t.in, t.out); return;
    case EXPR_REPEAT: build_repeat(b, node, t.in, t.out); return;
    case EXPR_CALL: build_call(b, node, t.in, t.out); return;
    case EXPR_AUTOMATON: build_automaton(b, node, t.in, t.out); return;
    }
}

static rf_status build_all(builder *b, rf_expr start, rf_automaton **out, rf_error *err) {
    b->starts = rf_calloc((size_t)b->rules->n_rules + 1, sizeof *b->starts);
    if (!b->starts)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a grammar");
    for (uint32_t i = 0; i < b->rules->n_rules; i++)
        b->rules->rules[i].start = -1;
    b->starts[b->n_starts++] = fresh(b);
    add_task(b, start, b->starts[0],
             rf_nfa_add(&b->nfa, (rf_nfa_state){.kind = RF_NFA_END, .out = -1, .other = -1}));
    while (b->n > 0 && !b->nfa.no_memory && !b->nfa.too_many)
        build(b, b->tasks[--b->n]);
    return rf_nfa_determinise(&b->nfa, b->starts, b->n_starts, out, err);
}

rf_status rf_rules_compile(rf_rules *rules, rf_expr start, bool leads_space, rf_automaton **out,
                           rf_error *err) {
    builder b = {.rules = rules};
    *out = NULL;
    if (leads_space && start > 0)
        start = rf_rules_seq2(rules, rf_rules_optional(rules, rf_rules_text(rules, RF_STR(" "))),
                              start);
    if (rules->status != RF_OK || start == 0) {
        *err = rules->err;
        return rules->status != RF_OK ? rules->status
                                      : rf_fail(err, RF_ERR_INVALID, "the grammar is empty");
    }
    RF_TRY(survey_all(rules, start, err));
    rf_status status = build_all(&b, start, out, err);
    rf_nfa_deinit(&b.nfa);
    rf_free(b.tasks);
    rf_free(b.starts);
    return status;
}
