#include "grammar/local_masks.h"

#include <string.h>

#include "base/alloc.h"

enum { MIN_SLOTS = 4, MAX_SLOTS = 256, FREE = 0 };

typedef struct local_slot {
    uint32_t state;    /* FREE: none */
    uint32_t first, n; /* nodes in the list */
    bool too_long;     /* the list did not fit: nothing is kept */
} local_slot;

struct rf_local_masks {
    rf_pushdown *pushdown;
    const rf_token_trie *trie;
    uint32_t n_words, n_slots, n_used, max_nodes, n_nodes;
    local_slot *slots; /* owned, as the others */
    uint32_t *masks;   /* [n_slots][n_words] */
    uint32_t *nodes;   /* [max_nodes] */
    uint32_t *path;    /* [max_depth + 2], states along a token */
};

rf_local_masks *rf_local_masks_create(rf_pushdown *pushdown, const rf_token_trie *trie,
                                      size_t max_bytes) {
    rf_local_masks *m = rf_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->pushdown = pushdown;
    m->trie = trie;
    m->n_words = (trie->n_tokens + 31) / 32;
    size_t n = max_bytes / 2 / (m->n_words * sizeof *m->masks);
    m->n_slots = n < MIN_SLOTS ? MIN_SLOTS : n > MAX_SLOTS ? MAX_SLOTS : (uint32_t)n;
    m->max_nodes = (uint32_t)(max_bytes / 2 / sizeof *m->nodes);
    m->slots = rf_calloc(m->n_slots, sizeof *m->slots);
    m->masks = rf_calloc((size_t)m->n_slots * m->n_words, sizeof *m->masks);
    m->nodes = rf_calloc(m->max_nodes + 1u, sizeof *m->nodes);
    m->path = rf_calloc(trie->max_depth + 2u, sizeof *m->path);
    if (!m->slots || !m->masks || !m->nodes || !m->path) {
        rf_local_masks_destroy(m);
        return NULL;
    }
    return m;
}

void rf_local_masks_destroy(rf_local_masks *m) {
    if (!m)
        return;
    rf_free(m->slots);
    rf_free(m->masks);
    rf_free(m->nodes);
    rf_free(m->path);
    rf_free(m);
}

void rf_local_masks_forget(rf_local_masks *m) { m->n_used = m->n_nodes = 0; }

/* A stretch of the tree that is walked: nodes i … end, of which those at depth `base` follow
 * `state`. */
typedef struct stretch {
    uint32_t i, end, base, state;
    local_slot *notes; /* where nodes that escape are noted, or NULL */
} stretch;

static void note(rf_local_masks *m, local_slot *slot, uint32_t node) {
    if (m->n_nodes == m->max_nodes)
        slot->too_long = true;
    else
        m->nodes[m->n_nodes++] = node;
}

/* Adds the tokens that may come. False: no room for a state. */
static bool walk(rf_local_masks *m, stretch s, uint32_t *mask) {
    const rf_token_trie *trie = m->trie;
    m->path[0] = s.state;
    for (uint32_t i = s.i; i < s.end;) {
        uint32_t depth = trie->depths[i] - s.base;
        uint32_t to = rf_pushdown_step(m->pushdown, m->path[depth], trie->bytes[i]);
        if (to == RF_PUSHDOWN_FULL)
            return false;
        if (to == RF_PUSHDOWN_DEAD) {
            i = trie->ends[i];
            continue;
        }
        for (uint32_t k = trie->firsts[i]; k < trie->firsts[i + 1]; k++)
            mask[trie->tokens[k] / 32] |= 1u << trie->tokens[k] % 32;
        if (s.notes && trie->ends[i] > i + 1 && rf_pushdown_escapes(m->pushdown, to))
            note(m, s.notes, i);
        m->path[depth + 1] = to;
        i = rf_pushdown_goes_on(m->pushdown, to) ? i + 1 : trie->ends[i];
    }
    return true;
}

static bool walk_all(rf_local_masks *m, uint32_t state, local_slot *notes, uint32_t *mask) {
    return walk(m, (stretch){0, m->trie->n_nodes, 0, state, notes}, mask);
}

/* The slot of a local state; NULL: no room. */
static const local_slot *find(rf_local_masks *m, uint32_t state) {
    for (uint32_t i = 0; i < m->n_used; i++)
        if (m->slots[i].state == state)
            return &m->slots[i];
    if (m->n_used == m->n_slots || m->n_nodes > m->max_nodes / 4 * 3)
        rf_local_masks_forget(m);
    local_slot *slot = &m->slots[m->n_used];
    uint32_t *mask = m->masks + (size_t)m->n_used * m->n_words;
    *slot = (local_slot){.state = state, .first = m->n_nodes};
    memset(mask, 0, m->n_words * sizeof *mask);
    if (!walk_all(m, state, slot, mask))
        return NULL;
    if (slot->too_long)
        m->n_nodes = slot->first;
    slot->n = m->n_nodes - slot->first;
    m->n_used++;
    return slot;
}

/* What stands below a node, with the stack that is really there. */
static bool decide(rf_local_masks *m, uint32_t state, uint32_t node, uint32_t *mask) {
    const rf_token_trie *trie = m->trie;
    uint32_t token = (uint32_t)trie->tokens[trie->firsts[node]]; /* the first one below it */
    uint32_t from = trie->offsets[token], n = trie->depths[node] + 1u;
    for (uint32_t i = 0; i < n; i++) {
        state = rf_pushdown_step(m->pushdown, state, (uint8_t)trie->text[from + i]);
        if (state == RF_PUSHDOWN_DEAD || state == RF_PUSHDOWN_FULL)
            return state == RF_PUSHDOWN_DEAD;
    }
    return walk(m, (stretch){node + 1, trie->ends[node], n, state, NULL}, mask);
}

bool rf_local_masks_fill(rf_local_masks *m, uint32_t state, uint32_t *mask) {
    uint32_t locals[RF_PUSHDOWN_LOCALS];
    uint32_t n = rf_pushdown_locals(m->pushdown, state, locals);
    memset(mask, 0, m->n_words * sizeof *mask);
    if (!rf_pushdown_goes_on(m->pushdown, state))
        return true;
    if (n == 0)
        return walk_all(m, state, NULL, mask);
    for (uint32_t l = 0; l < n; l++) {
        const local_slot *slot = find(m, locals[l]);
        if (!slot)
            return false;
        if (slot->too_long)
            return walk_all(m, state, NULL, mask);
        const uint32_t *part = m->masks + (size_t)(slot - m->slots) * m->n_words;
        for (uint32_t i = 0; i < m->n_words; i++)
            mask[i] |= part[i];
        uint32_t covered = 0;
        for (uint32_t i = 0; i < slot->n; i++) {
            uint32_t node = m->nodes[slot->first + i];
            if (node < covered)
                continue;
            covered = m->trie->ends[node];
            if (!decide(m, state, node, mask))
                return false;
        }
    }
    return true;
}
