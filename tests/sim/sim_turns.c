/* Nobody starves: a job that has its first rows passes over those that are more urgent only where
 * these may be waiting for a prefix, or hold their slots and lack room in a step; and that for few
 * turns. */
#include "tests/sim/sim_state.h"

static bool shares(const request *a, const request *b) {
    return a->event->salt == b->event->salt && !a->event->keeps_private &&
           !b->event->keeps_private && a->prompt[0] == b->prompt[0];
}

static bool more_urgent(const request *a, const request *b) {
    return a->urgency != b->urgency ? a->urgency < b->urgency : a->place < b->place;
}

void sim_check_turn(run *r, request *q) {
    if (!q || q->began)
        return;
    q->began = true;
    for (uint32_t i = 0; i < r->scenario->n_events; i++) {
        request *other = &r->requests[i];
        if (!other->accepted || other->began || other->n_ended > 0 || !more_urgent(other, q))
            continue;
        bool may_wait = false;
        for (uint32_t k = 0; k < r->scenario->n_events && !may_wait; k++) {
            const request *runs = &r->requests[k];
            may_wait = runs->accepted && runs->began && shares(runs, other);
        }
        if (!may_wait && ++other->n_passed > 2 * r->scenario->max_seqs)
            sim_wrong(r, "job %llu is passed over again and again",
                      (unsigned long long)other->event->id);
    }
}
