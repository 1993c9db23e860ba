#include "grammar/constraint.h"

#include <string.h>

#include "base/alloc.h"
#include "grammar/automaton.h"
#include "grammar/local_masks.h"
#include "grammar/pushdown.h"

enum { MIN_MASKS = 4, NO_SLOT = UINT16_MAX };

typedef struct mask_slot {
    uint32_t state; /* RF_AUTOMATON_DEAD: free */
    uint32_t n_allowed;
    uint64_t used; /* when last */
} mask_slot;

struct rf_constraint {
    const rf_token_trie *trie; /* borrowed */
    rf_automaton *automaton;   /* owned */
    uint16_t *slot_of;         /* owned: [n_states] */
    mask_slot *slots;          /* owned: [n_slots] */
    uint32_t *masks;           /* owned: [n_slots][n_words] */
    uint16_t *path;            /* owned: [max_depth + 1], states along a token */
    rf_pushdown *pushdown;     /* owned; where the automaton calls, with the next */
    rf_local_masks *locals;    /* owned */
    uint32_t n_states;
    uint32_t n_slots, n_words;
    uint64_t n_uses;
};

void rf_constraint_destroy(rf_constraint *c) {
    if (!c)
        return;
    rf_local_masks_destroy(c->locals);
    rf_pushdown_destroy(c->pushdown);
    rf_free(c->automaton);
    rf_free(c->slot_of);
    rf_free(c->slots);
    rf_free(c->masks);
    rf_free(c->path);
    rf_free(c);
}

static uint32_t n_slots_for(uint32_t n_states, size_t mask_bytes, size_t max_bytes) {
    size_t n = max_bytes / mask_bytes;
    n = n < n_states ? n : n_states;
    n = n < NO_SLOT ? n : NO_SLOT - 1;
    return n > MIN_MASKS ? (uint32_t)n : MIN_MASKS;
}

/* A quarter of the memory for states, a half for masks of places. */
static bool take_pushdown(rf_constraint *c, size_t max_bytes) {
    c->pushdown = rf_pushdown_create(c->automaton, max_bytes / 4);
    if (!c->pushdown)
        return false;
    c->n_states = rf_pushdown_max_states(c->pushdown);
    c->locals = rf_local_masks_create(c->pushdown, c->trie, max_bytes / 2);
    return c->locals != NULL;
}

static void forget_masks(rf_constraint *c) {
    memset(c->slots, 0, c->n_slots * sizeof *c->slots);
    memset(c->slot_of, 0xff, c->n_states * sizeof *c->slot_of);
}

static bool take_memory(rf_constraint *c, const void *bytes, size_t n_bytes, size_t max_bytes) {
    c->automaton = rf_alloc(n_bytes);
    if (!c->automaton)
        return false;
    memcpy(c->automaton, bytes, n_bytes);
    c->n_words = (c->trie->n_tokens + 31) / 32;
    size_t mask_bytes = (size_t)c->n_words * sizeof *c->masks;
    c->n_states = c->automaton->n_states;
    if (c->automaton->n_calls > 0) {
        if (!take_pushdown(c, max_bytes))
            return false;
        max_bytes /= 4;
    }
    c->n_slots = n_slots_for(c->n_states, mask_bytes, max_bytes);
    c->slot_of = rf_calloc(c->n_states, sizeof *c->slot_of);
    c->slots = rf_calloc(c->n_slots, sizeof *c->slots);
    c->masks = rf_calloc((size_t)c->n_slots * c->n_words, sizeof *c->masks);
    c->path = rf_calloc((size_t)c->trie->max_depth + 1, sizeof *c->path);
    if (!c->slot_of || !c->slots || !c->masks || !c->path)
        return false;
    forget_masks(c);
    return true;
}

rf_status rf_constraint_create(const void *bytes, size_t n_bytes, const rf_token_trie *trie,
                               size_t max_mask_bytes, rf_constraint **out, rf_error *err) {
    *out = NULL;
    RF_TRY(rf_automaton_check(bytes, n_bytes, err));
    rf_constraint *c = rf_calloc(1, sizeof *c);
    if (c)
        c->trie = trie;
    if (!c || !take_memory(c, bytes, n_bytes, max_mask_bytes)) {
        rf_constraint_destroy(c);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a constraint of %zu bytes",
                       n_bytes);
    }
    *out = c;
    return RF_OK;
}

bool rf_constraint_is(const rf_constraint *c, const void *bytes, size_t n_bytes) {
    return c->automaton->n_bytes == n_bytes && memcmp(c->automaton, bytes, n_bytes) == 0;
}

uint32_t rf_constraint_begin(rf_constraint *c) {
    if (!c->pushdown)
        return RF_AUTOMATON_START;
    uint32_t state = rf_pushdown_begin(c->pushdown);
    return state == RF_PUSHDOWN_FULL ? RF_AUTOMATON_DEAD : state;
}

bool rf_constraint_may_end(const rf_constraint *c, uint32_t state) {
    return c->pushdown ? rf_pushdown_may_end(c->pushdown, state)
                       : rf_automaton_may_end(c->automaton, state);
}

static uint32_t step(rf_constraint *c, uint32_t state, uint8_t byte) {
    if (!c->pushdown)
        return rf_automaton_step(c->automaton, state, byte);
    uint32_t to = rf_pushdown_step(c->pushdown, state, byte);
    return to == RF_PUSHDOWN_FULL ? RF_AUTOMATON_DEAD : to;
}

bool rf_constraint_accept(rf_constraint *c, uint32_t *state, int32_t token) {
    if (token < 0 || (uint32_t)token >= c->trie->n_tokens)
        return false;
    uint32_t from = c->trie->offsets[token], to = c->trie->offsets[token + 1], s = *state;
    if (from == to)
        return false;
    for (uint32_t i = from; i < to && s != RF_AUTOMATON_DEAD; i++)
        s = step(c, s, (uint8_t)c->trie->text[i]);
    *state = s;
    return s != RF_AUTOMATON_DEAD;
}

/* One pass over the tree: a byte that may not come skips all that begins with it. */
static uint32_t fill(rf_constraint *c, uint32_t state, uint32_t *mask) {
    const rf_token_trie *trie = c->trie;
    const rf_automaton *a = c->automaton;
    uint32_t n_allowed = 0;
    memset(mask, 0, c->n_words * sizeof *mask);
    c->path[0] = (uint16_t)state;
    for (uint32_t i = 0; i < trie->n_nodes;) {
        uint32_t depth = trie->depths[i];
        uint32_t to = rf_automaton_step(a, c->path[depth], trie->bytes[i]);
        if (to == RF_AUTOMATON_DEAD) {
            i = trie->ends[i];
            continue;
        }
        c->path[depth + 1] = (uint16_t)to;
        for (uint32_t k = trie->firsts[i]; k < trie->firsts[i + 1]; k++, n_allowed++)
            mask[trie->tokens[k] / 32] |= 1u << trie->tokens[k] % 32;
        i++;
    }
    return n_allowed;
}

/* The same with a stack. False: no room for the states that it takes. */
static bool fill_nested(rf_constraint *c, uint32_t state, uint32_t *mask, uint32_t *n_allowed) {
    if (!rf_local_masks_fill(c->locals, state, mask))
        return false;
    *n_allowed = 0;
    for (uint32_t i = 0; i < c->n_words; i++)
        *n_allowed += (uint32_t)__builtin_popcount(mask[i]);
    return true;
}

static uint32_t oldest(const rf_constraint *c) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < c->n_slots; i++)
        best = c->slots[i].used < c->slots[best].used ? i : best;
    return best;
}

const uint32_t *rf_constraint_mask(rf_constraint *c, uint32_t state, uint32_t *n_allowed) {
    uint32_t i = c->slot_of[state];
    if (i == NO_SLOT) {
        i = oldest(c);
        if (c->slots[i].state != RF_AUTOMATON_DEAD)
            c->slot_of[c->slots[i].state] = NO_SLOT;
        uint32_t *mask = c->masks + (size_t)i * c->n_words;
        c->slots[i].state = RF_AUTOMATON_DEAD;
        if (!c->pushdown)
            c->slots[i].n_allowed = fill(c, state, mask);
        else if (!fill_nested(c, state, mask, &c->slots[i].n_allowed))
            return NULL;
        c->slots[i].state = state;
        c->slot_of[state] = (uint16_t)i;
    }
    c->slots[i].used = ++c->n_uses;
    *n_allowed = c->slots[i].n_allowed;
    return c->masks + (size_t)i * c->n_words;
}

bool rf_constraint_is_crowded(const rf_constraint *c) {
    return c->pushdown && rf_pushdown_is_crowded(c->pushdown);
}

void rf_constraint_forget(rf_constraint *c) {
    rf_pushdown_forget(c->pushdown);
    rf_local_masks_forget(c->locals);
    forget_masks(c);
}

uint32_t rf_constraint_keep(rf_constraint *c, uint32_t state) {
    return rf_pushdown_keep(c->pushdown, state);
}
