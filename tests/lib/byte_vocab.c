#include "tests/lib/byte_vocab.h"

#include "grammar/constraint.h"

static rf_token_trie *make_trie(void) {
    static uint32_t offsets[257];
    static char bytes[256];
    rf_token_trie *trie = NULL;
    rf_error err = {0};
    for (uint32_t i = 0; i < 256; i++) {
        offsets[i] = i;
        bytes[i] = (char)i;
    }
    offsets[256] = 256;
    rf_token_bytes view = {offsets, bytes, 256};
    if (rf_token_trie_create(&view, &trie, &err) != RF_OK)
        __builtin_trap();
    return trie;
}

/* The allowed byte that is the i-th, counted round. */
static int32_t pick(const uint32_t *mask, uint32_t n_allowed, uint32_t i) {
    int32_t id = -1;
    for (uint32_t k = 0; k <= i % n_allowed;) {
        id++;
        k += mask[id / 32] >> id % 32 & 1;
    }
    return id;
}

size_t byte_vocab_walk(const rf_automaton *automaton, const uint8_t *bytes, size_t n, char *out,
                       size_t most, bool *whole) {
    rf_token_trie *trie = make_trie();
    rf_constraint *c = NULL;
    rf_error err = {0};
    size_t len = 0;
    if (rf_constraint_create(automaton, automaton->n_bytes, trie, 1 << 20, &c, &err) != RF_OK)
        __builtin_trap();
    uint32_t state = rf_constraint_begin(c), n_allowed = 0;
    for (; len < most; len++) {
        if (rf_constraint_is_crowded(c)) {
            rf_constraint_forget(c);
            state = rf_constraint_keep(c, state);
        }
        const uint32_t *mask = rf_constraint_mask(c, state, &n_allowed);
        if (!mask || n_allowed == 0) {
            if (mask && !rf_constraint_may_end(c, state))
                __builtin_trap(); /* stuck */
            break;
        }
        if (rf_constraint_may_end(c, state) && n > 0 && bytes[len % n] < 64)
            break;
        int32_t id = pick(mask, n_allowed, n > 0 ? bytes[len % n] : 0);
        if (!rf_constraint_accept(c, &state, id))
            __builtin_trap();
        out[len] = (char)id;
    }
    *whole = rf_constraint_may_end(c, state);
    rf_constraint_destroy(c);
    rf_token_trie_destroy(trie);
    return len;
}
