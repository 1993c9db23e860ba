/* best_of: more choices are generated than are told. */
#include "server/answer.h"

static double mean_logprob(const rf_choice *choice) {
    return choice->n_tokens > 0 ? choice->logprob_sum / choice->n_tokens : 0;
}

static void swap(rf_choice *a, rf_choice *b) {
    rf_choice held = *a;
    *a = *b;
    *b = held;
}

/* The n best first, by selection: there are at most 128. */
static void sort_best(rf_choice *choices, uint32_t n_choices, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t best = i;
        for (uint32_t k = i + 1; k < n_choices; k++)
            if (mean_logprob(&choices[k]) > mean_logprob(&choices[best]))
                best = k;
        if (best != i)
            swap(&choices[i], &choices[best]);
    }
}

void rf_answer_choose_best(rf_answer *answer) {
    uint32_t all = answer->n_choices, n = answer->n_wanted;
    if (all == n)
        return;
    for (size_t p = 0; p < answer->n_prompts; p++)
        sort_best(&answer->choices[p * all], all, n);
    for (size_t p = 1; p < answer->n_prompts; p++)
        for (uint32_t i = 0; i < n; i++)
            swap(&answer->choices[p * n + i], &answer->choices[p * all + i]);
}
