#include "grammar/pushdown.h"

#include <string.h>

#include "base/alloc.h"
#include "base/map.h"

enum {
    NO_STACK = 0,      /* behind the whole text */
    UNKNOWN_STACK = 1, /* behind a local state */
    MAX_PLACES = 512,  /* of a state */
    MAX_VISITS = 2048,
    MIN_STATES = 2048,
    PLACES_A_STATE = 4
};
#define UNSEEN (UINT32_MAX - 1) /* beyond what an enumerator may be */
_Static_assert(UNSEEN != RF_PUSHDOWN_FULL, "two marks");

typedef struct frame {
    uint32_t below;
    uint16_t to, depth;
} frame;

/* A place in the automaton and the stack behind it. */
typedef uint64_t place;

typedef struct state_node {
    uint32_t first; /* of places */
    uint16_t n;
    bool may_end, escapes;
} state_node;

/* What is forgotten in a collection; there are two, of which one is in use. */
typedef struct space {
    frame *frames;
    state_node *states;
    place *places;
    uint32_t *frame_index, *state_index; /* open addressing; 0: free */
    uint32_t n_frames, n_states, n_places;
} space;

struct rf_pushdown {
    const rf_automaton *automaton;
    space spaces[2];
    uint32_t in_use;
    uint32_t max_states, max_places, max_frames, index_size; /* index_size: a power of two */
    uint32_t *next;                                          /* owned: [max_states][n_classes] */
    place list[MAX_PLACES], visits[MAX_VISITS];
    uint32_t n_list, n_visits;
    bool may_end, escapes, full;
};

static uint32_t pos_of(place p) { return (uint32_t)(p & 0xffff); }
static uint32_t stack_of(place p) { return (uint32_t)(p >> 16); }
static place make_place(uint32_t pos, uint32_t stack) { return (place)stack << 16 | pos; }

static void space_deinit(space *s) {
    rf_free(s->frames);
    rf_free(s->states);
    rf_free(s->places);
    rf_free(s->frame_index);
    rf_free(s->state_index);
}

static void space_clear(const rf_pushdown *p, space *s) {
    memset(s->frame_index, 0, p->index_size * sizeof *s->frame_index);
    memset(s->state_index, 0, p->index_size * sizeof *s->state_index);
    s->n_frames = 2; /* NO_STACK and UNKNOWN_STACK */
    s->n_states = 1; /* DEAD */
    s->n_places = 0;
}

static bool space_init(const rf_pushdown *p, space *s) {
    s->frames = rf_calloc(p->max_frames, sizeof *s->frames);
    s->states = rf_calloc(p->max_states, sizeof *s->states);
    s->places = rf_calloc(p->max_places, sizeof *s->places);
    s->frame_index = rf_calloc(p->index_size, sizeof *s->frame_index);
    s->state_index = rf_calloc(p->index_size, sizeof *s->state_index);
    if (!s->frames || !s->states || !s->places || !s->frame_index || !s->state_index)
        return false;
    space_clear(p, s);
    return true;
}

static void forget_steps(rf_pushdown *p) {
    size_t n = (size_t)p->max_states * p->automaton->n_classes;
    for (size_t i = 0; i < n; i++)
        p->next[i] = UNSEEN;
}

rf_pushdown *rf_pushdown_create(const rf_automaton *a, size_t max_bytes) {
    rf_pushdown *p = rf_calloc(1, sizeof *p);
    if (!p)
        return NULL;
    size_t each = a->n_classes * sizeof *p->next +
                  2 * (sizeof(state_node) + PLACES_A_STATE * sizeof(place) + sizeof(frame) + 16);
    size_t n = max_bytes / each;
    p->automaton = a;
    p->max_states = n < MIN_STATES ? MIN_STATES : n > UINT16_MAX ? UINT16_MAX : (uint32_t)n;
    p->max_places = p->max_states * PLACES_A_STATE + MAX_PLACES;
    p->max_frames = p->max_states + 2 * RF_PUSHDOWN_MAX_DEPTH;
    for (p->index_size = 1; p->index_size < 2 * p->max_frames; p->index_size *= 2) {
    }
    p->next = rf_calloc((size_t)p->max_states * a->n_classes, sizeof *p->next);
    if (!p->next || !space_init(p, &p->spaces[0]) || !space_init(p, &p->spaces[1])) {
        rf_pushdown_destroy(p);
        return NULL;
    }
    forget_steps(p);
    return p;
}

void rf_pushdown_destroy(rf_pushdown *p) {
    if (!p)
        return;
    space_deinit(&p->spaces[0]);
    space_deinit(&p->spaces[1]);
    rf_free(p->next);
    rf_free(p);
}

uint32_t rf_pushdown_max_states(const rf_pushdown *p) { return p->max_states; }

static space *current(rf_pushdown *p) { return &p->spaces[p->in_use]; }
static const state_node *node_of(const rf_pushdown *p, uint32_t state) {
    return &p->spaces[p->in_use].states[state];
}

/* ---- numbering ------------------------------------------------------------------------------- */

/* The stack with `to` on top of `below`. */
static uint32_t push_frame(rf_pushdown *p, uint32_t below, uint32_t to) {
    space *s = current(p);
    frame f = {.below = below, .to = (uint16_t)to};
    f.depth = (uint16_t)((below > UNKNOWN_STACK ? s->frames[below].depth : 0) + 1);
    uint64_t key = (uint64_t)below << 16 | to;
    uint32_t at = (uint32_t)rf_hash(&key, sizeof key, 0) & (p->index_size - 1);
    for (; s->frame_index[at] != 0; at = (at + 1) & (p->index_size - 1)) {
        const frame *known = &s->frames[s->frame_index[at]];
        if (known->below == below && known->to == to)
            return s->frame_index[at];
    }
    if (s->n_frames == p->max_frames) {
        p->full = true;
        return NO_STACK;
    }
    s->frames[s->n_frames] = f;
    s->frame_index[at] = s->n_frames;
    return s->n_frames++;
}

static void sort_places(place *list, uint32_t n) {
    for (uint32_t i = 1; i < n; i++) {
        place one = list[i];
        uint32_t k = i;
        for (; k > 0 && list[k - 1] > one; k--)
            list[k] = list[k - 1];
        list[k] = one;
    }
}

/* The number of the state in p->list with its flags. */
static uint32_t intern(rf_pushdown *p) {
    space *s = current(p);
    if (p->full)
        return RF_PUSHDOWN_FULL;
    if (p->n_list == 0 && !p->may_end && !p->escapes)
        return RF_PUSHDOWN_DEAD;
    sort_places(p->list, p->n_list);
    uint32_t flags = (uint32_t)p->may_end | (uint32_t)p->escapes << 1;
    size_t n_bytes = p->n_list * sizeof *p->list;
    uint32_t at = (uint32_t)rf_hash(p->list, n_bytes, flags) & (p->index_size - 1);
    for (; s->state_index[at] != 0; at = (at + 1) & (p->index_size - 1)) {
        const state_node *known = &s->states[s->state_index[at]];
        if (known->n == p->n_list && known->may_end == p->may_end && known->escapes == p->escapes &&
            memcmp(s->places + known->first, p->list, n_bytes) == 0)
            return s->state_index[at];
    }
    if (s->n_states == p->max_states || s->n_places + p->n_list > p->max_places)
        return RF_PUSHDOWN_FULL;
    memcpy(s->places + s->n_places, p->list, n_bytes);
    s->states[s->n_states] = (state_node){.first = s->n_places,
                                          .n = (uint16_t)p->n_list,
                                          .may_end = p->may_end,
                                          .escapes = p->escapes};
    s->n_places += p->n_list;
    s->state_index[at] = s->n_states;
    return s->n_states++;
}

/* ---- what can be reached without a byte ------------------------------------------------------ */

static void begin_list(rf_pushdown *p) {
    p->n_list = p->n_visits = 0;
    p->may_end = p->escapes = p->full = false;
}

static void visit(rf_pushdown *p, uint32_t pos, uint32_t stack) {
    place here = make_place(pos, stack);
    for (uint32_t i = 0; i < p->n_visits; i++)
        if (p->visits[i] == here)
            return;
    if (p->n_visits == MAX_VISITS)
        p->full = true;
    else
        p->visits[p->n_visits++] = here;
}

static bool reads(const rf_automaton *a, uint32_t pos) {
    const uint16_t *next = rf_automaton_next(a) + (size_t)pos * a->n_classes;
    for (uint32_t k = 0; k < a->n_classes; k++)
        if (next[k] != RF_AUTOMATON_DEAD)
            return true;
    return false;
}

static uint32_t n_calls_of(const rf_automaton *a, uint32_t pos) {
    const uint32_t *firsts = rf_automaton_firsts(a);
    return firsts[pos + 1] - firsts[pos];
}

/* A call whose return would end at once needs no stack: so lists do not grow one. */
static void follow_calls(rf_pushdown *p, uint32_t pos, uint32_t stack) {
    const rf_automaton *a = p->automaton;
    const uint32_t *firsts = rf_automaton_firsts(a);
    const rf_automaton_call *calls = rf_automaton_calls(a);
    for (uint32_t i = firsts[pos]; i < firsts[pos + 1] && !p->full; i++) {
        uint32_t to = calls[i].to, onto = stack;
        bool is_last = rf_automaton_may_end(a, to) && n_calls_of(a, to) == 0 && !reads(a, to);
        if (!is_last) {
            if (stack > UNKNOWN_STACK && current(p)->frames[stack].depth >= RF_PUSHDOWN_MAX_DEPTH)
                continue;
            onto = push_frame(p, stack, to);
        }
        visit(p, calls[i].start, onto);
    }
}

/* Completes p->list from what was visited. */
static void close_list(rf_pushdown *p, uint32_t from) {
    for (uint32_t i = from; i < p->n_visits && !p->full; i++) {
        uint32_t pos = pos_of(p->visits[i]), stack = stack_of(p->visits[i]);
        if (reads(p->automaton, pos)) {
            if (p->n_list == MAX_PLACES)
                p->full = true;
            else
                p->list[p->n_list++] = p->visits[i];
        }
        if (rf_automaton_may_end(p->automaton, pos)) {
            p->may_end |= stack == NO_STACK;
            p->escapes |= stack == UNKNOWN_STACK;
            if (stack > UNKNOWN_STACK)
                visit(p, current(p)->frames[stack].to, current(p)->frames[stack].below);
        }
        follow_calls(p, pos, stack);
    }
}

uint32_t rf_pushdown_begin(rf_pushdown *p) {
    begin_list(p);
    visit(p, RF_AUTOMATON_START, NO_STACK);
    close_list(p, 0);
    return intern(p);
}

uint32_t rf_pushdown_step(rf_pushdown *p, uint32_t state, uint8_t byte) {
    const rf_automaton *a = p->automaton;
    uint32_t k = a->class_of[byte];
    uint32_t *known = &p->next[(size_t)state * a->n_classes + k];
    if (*known != UNSEEN)
        return *known;
    const uint16_t *next = rf_automaton_next(a);
    const state_node *node = node_of(p, state);
    begin_list(p);
    for (uint32_t i = 0; i < node->n; i++) {
        place here = current(p)->places[node->first + i];
        uint32_t to = next[(size_t)pos_of(here) * a->n_classes + k];
        if (to != RF_AUTOMATON_DEAD)
            visit(p, to, stack_of(here));
    }
    close_list(p, 0);
    uint32_t to = intern(p);
    if (to != RF_PUSHDOWN_FULL)
        *known = to;
    return to;
}

bool rf_pushdown_may_end(const rf_pushdown *p, uint32_t state) {
    return node_of(p, state)->may_end;
}

bool rf_pushdown_goes_on(const rf_pushdown *p, uint32_t state) { return node_of(p, state)->n > 0; }

bool rf_pushdown_escapes(const rf_pushdown *p, uint32_t state) {
    return node_of(p, state)->escapes;
}

uint32_t rf_pushdown_locals(rf_pushdown *p, uint32_t state,
                            uint32_t out[static RF_PUSHDOWN_LOCALS]) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < node_of(p, state)->n;) {
        uint32_t stack = stack_of(current(p)->places[node_of(p, state)->first + i]);
        begin_list(p);
        for (; i < node_of(p, state)->n; i++) {
            place here = current(p)->places[node_of(p, state)->first + i];
            if (stack_of(here) != stack)
                break;
            p->list[p->n_list++] = make_place(pos_of(here), UNKNOWN_STACK);
        }
        if (n == RF_PUSHDOWN_LOCALS)
            return 0;
        out[n] = intern(p);
        if (out[n++] == RF_PUSHDOWN_FULL)
            return 0;
    }
    return n;
}

/* ---- forgetting ------------------------------------------------------------------------------ */

bool rf_pushdown_is_crowded(const rf_pushdown *p) {
    const space *s = &p->spaces[p->in_use];
    return s->n_states > p->max_states / 4 * 3 || s->n_places > p->max_places / 4 * 3 ||
           s->n_frames > p->max_frames / 4 * 3;
}

/* The same stack in the space that is now in use. */
static uint32_t move_stack(rf_pushdown *p, const space *from, uint32_t stack) {
    uint16_t path[RF_PUSHDOWN_MAX_DEPTH];
    uint32_t n = 0;
    for (; stack > UNKNOWN_STACK && n < RF_PUSHDOWN_MAX_DEPTH; stack = from->frames[stack].below)
        path[n++] = from->frames[stack].to;
    while (n > 0 && !p->full)
        stack = push_frame(p, stack, path[--n]);
    return stack;
}

void rf_pushdown_forget(rf_pushdown *p) {
    p->in_use = 1 - p->in_use;
    space_clear(p, current(p));
    forget_steps(p);
}

uint32_t rf_pushdown_keep(rf_pushdown *p, uint32_t state) {
    const space *from = &p->spaces[1 - p->in_use];
    const state_node *node = &from->states[state];
    begin_list(p);
    for (uint32_t k = 0; k < node->n; k++) {
        place here = from->places[node->first + k];
        p->list[p->n_list++] = make_place(pos_of(here), move_stack(p, from, stack_of(here)));
    }
    p->may_end = node->may_end;
    p->escapes = node->escapes;
    uint32_t to = intern(p);
    return to != RF_PUSHDOWN_FULL ? to : RF_PUSHDOWN_DEAD;
}
