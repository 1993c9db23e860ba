/* Prompt lookup. One pass from the end, no state: a match in 4,096 tokens takes microseconds. */
#include <string.h>

#include "engine/drafter.h"

enum { LONGEST = RF_DRAFT_GRADES, LOOK_BACK = 65536 };

/* Tokens that end at a and at b alike, LONGEST at most; a < b. */
static uint32_t same_before(const int32_t *tokens, uint32_t a, uint32_t b) {
    uint32_t n = 0;
    while (n < LONGEST && n <= a && tokens[a - n] == tokens[b - n])
        n++;
    return n;
}

static void look_up(rf_draft_ask *ask) {
    const int32_t *tokens = ask->place.tokens;
    uint32_t n = ask->place.n_tokens, last = n - 1, best = 0, at = 0;
    uint32_t end = n > LOOK_BACK ? n - LOOK_BACK : 0;
    for (uint32_t i = last; i-- > end && best < LONGEST;) {
        if (tokens[i] != tokens[last])
            continue;
        uint32_t same = same_before(tokens, i, last);
        if (same > best) {
            best = same;
            at = i;
        }
    }
    if (best == 0)
        return;
    ask->grade = best - 1;
    ask->n_drafts = ask->n_wanted < last - at ? ask->n_wanted : last - at;
    memcpy(ask->drafts, tokens + at + 1, ask->n_drafts * sizeof *tokens);
}

void rf_draft_lookup(rf_draft_ask *asks, uint32_t n_asks) {
    for (uint32_t i = 0; i < n_asks; i++) {
        asks[i].n_drafts = 0;
        if (asks[i].n_wanted > 0 && asks[i].place.n_tokens > 1)
            look_up(&asks[i]);
    }
}
