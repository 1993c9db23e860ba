/* Distance between two sets of logits, row by row. One thread. */
#ifndef RF_CLI_LOGITS_COMPARE_H
#define RF_CLI_LOGITS_COMPARE_H

#include <stddef.h>

typedef struct rf_logits_distance {
    double relative_error; /* sqrt(mean((got - want)^2) / var(want)), over all of it */
    double mean_kl;        /* mean over rows of KL(softmax want || softmax got), nats */
    double max_error;      /* largest |got - want| */
    size_t n_rows, n_same_best;
} rf_logits_distance;

/* got and want: [n_rows][n_vocab]; want may be unaligned. NaN in got gives NaN results. */
rf_logits_distance rf_logits_compare(const float *got, const void *want, size_t n_rows,
                                     size_t n_vocab);

#endif
