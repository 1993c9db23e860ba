#include "grammar/constraint.h"

#include <string.h>

#include "base/alloc.h"
#include "grammar/automaton.h"

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
    uint32_t n_slots, n_words;
    uint64_t n_uses;
};

void rf_constraint_destroy(rf_constraint *c) {
    if (!c)
        return;
    rf_free(c->automaton);
    rf_free(c->slot_of);
    rf_free(c->slots);
    rf_free(c->masks);
    rf_free(c->path);
    rf_free(c);
}

static uint32_t n_slots_for(const rf_automaton *a, size_t mask_bytes, size_t max_bytes) {
    size_t n = max_bytes / mask_bytes;
    n = n < a->n_states ? n : a->n_states;
    n = n < NO_SLOT ? n : NO_SLOT - 1;
    return n > MIN_MASKS ? (uint32_t)n : MIN_MASKS;
}

static bool take_memory(rf_constraint *c, const void *bytes, size_t n_bytes, size_t max_bytes) {
    c->automaton = rf_alloc(n_bytes);
    if (!c->automaton)
        return false;
    memcpy(c->automaton, bytes, n_bytes);
    c->n_words = (c->trie->n_tokens + 31) / 32;
    size_t mask_bytes = (size_t)c->n_words * sizeof *c->masks;
    c->n_slots = n_slots_for(c->automaton, mask_bytes, max_bytes);
    c->slot_of = rf_calloc(c->automaton->n_states, sizeof *c->slot_of);
    c->slots = rf_calloc(c->n_slots, sizeof *c->slots);
    c->masks = rf_calloc((size_t)c->n_slots * c->n_words, sizeof *c->masks);
    c->path = rf_calloc((size_t)c->trie->max_depth + 1, sizeof *c->path);
    if (!c->slot_of || !c->slots || !c->masks || !c->path)
        return false;
    memset(c->slot_of, 0xff, c->automaton->n_states * sizeof *c->slot_of);
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

uint32_t rf_constraint_begin(const rf_constraint *c) {
    (void)c;
    return RF_AUTOMATON_START;
}

bool rf_constraint_may_end(const rf_constraint *c, uint32_t state) {
    return rf_automaton_may_end(c->automaton, state);
}

bool rf_constraint_accept(const rf_constraint *c, uint32_t *state, int32_t token) {
    if (token < 0 || (uint32_t)token >= c->trie->n_tokens)
        return false;
    uint32_t from = c->trie->offsets[token], to = c->trie->offsets[token + 1], s = *state;
    if (from == to)
        return false;
    for (uint32_t i = from; i < to && s != RF_AUTOMATON_DEAD; i++)
        s = rf_automaton_step(c->automaton, s, (uint8_t)c->trie->text[i]);
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
        c->slots[i].state = state;
        c->slots[i].n_allowed = fill(c, state, c->masks + (size_t)i * c->n_words);
        c->slot_of[state] = (uint16_t)i;
    }
    c->slots[i].used = ++c->n_uses;
    *n_allowed = c->slots[i].n_allowed;
    return c->masks + (size_t)i * c->n_words;
}
