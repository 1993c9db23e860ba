#include "grammar/nfa.h"

#include "base/alloc.h"
#include "base/utf8.h"

void rf_nfa_deinit(rf_nfa *nfa) {
    rf_free(nfa->states);
    *nfa = (rf_nfa){0};
}

int32_t rf_nfa_add(rf_nfa *nfa, rf_nfa_state state) {
    if (nfa->n == RF_NFA_MAX_STATES)
        nfa->too_many = true;
    if (nfa->no_memory || nfa->too_many)
        return -1;
    if (nfa->n == nfa->room) {
        int32_t room = nfa->room ? 2 * nfa->room : 256;
        rf_nfa_state *states = rf_realloc_array(nfa->states, (size_t)room, sizeof *states);
        nfa->no_memory = !states;
        if (!states)
            return -1;
        nfa->states = states;
        nfa->room = room;
    }
    nfa->states[nfa->n] = state;
    return nfa->n++;
}

/* ---- code points --------------------------------------------------------------------------- */

static int32_t add_bytes(rf_nfa *nfa, const char *low, const char *high, size_t n, int32_t out) {
    while (n-- > 0 && out >= 0)
        out = rf_nfa_add(nfa,
                         (rf_nfa_state){RF_NFA_BYTES, (uint8_t)low[n], (uint8_t)high[n], out, -1});
    return out;
}

static int32_t either(rf_nfa *nfa, int32_t a, int32_t b) {
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return rf_nfa_add(nfa, (rf_nfa_state){RF_NFA_SPLIT, 0, 0, a, b});
}

/* Cuts the range where the number of bytes changes, and where bytes behind the first differing one
 * do not run from 80 to bf; what is left is one range for each byte. */
int32_t rf_nfa_add_chars(rf_nfa *nfa, uint32_t low, uint32_t high, int32_t out) {
    static const uint32_t last_of[] = {0x7f, 0x7ff, 0xd7ff, 0xdfff, 0xffff, 0x10ffff};
    int32_t all = -1;
    while (low <= high && high <= 0x10ffff && !nfa->no_memory && !nfa->too_many) {
        uint32_t end = high;
        for (int i = 5; i >= 0; i--)
            if (low <= last_of[i] && last_of[i] < end)
                end = last_of[i];
        for (int bits = 6; bits <= 18; bits += 6) {
            uint32_t mask = (1u << bits) - 1;
            if ((low & ~mask) == (end & ~mask) || low < 0x80)
                break;
            if ((low & mask) != 0)
                end = low | mask;
            else if ((end & mask) != mask)
                end = (end & ~mask) - 1;
        }
        if (low < 0xd800 || low > 0xdfff) { /* surrogates have no UTF-8 */
            char first[4], last[4];
            size_t n = rf_utf8_encode(low, first);
            (void)rf_utf8_encode(end, last);
            all = either(nfa, add_bytes(nfa, first, last, n, out), all);
        }
        low = end + 1;
    }
    return all;
}
