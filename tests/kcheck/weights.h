/*
 * Random weights of any native type in the file's form, with scales of a chosen kind. Any thread
 * with its own kcheck.
 */
#ifndef RF_KCHECK_WEIGHTS_H
#define RF_KCHECK_WEIGHTS_H

#include "quant/quant.h"
#include "tests/kcheck/kcheck.h"

typedef enum kweights {
    KWEIGHTS_NORMAL, /* random codes, scales near 0.01 of either sign */
    KWEIGHTS_ZERO,   /* random codes, scales 0 */
    KWEIGHTS_TINY,   /* subnormal halves */
    KWEIGHTS_HUGE,   /* near the largest half */
    KWEIGHTS_LOW,    /* every code bit 0 */
    KWEIGHTS_HIGH,   /* every code bit 1 */
    KWEIGHTS_MIXED,  /* a block's scales are of any of the kinds above */
    KWEIGHTS_COUNT
} kweights;

const char *kweights_name(kweights kind);
/* Fills n_blocks blocks of qtype at out. */
void kweights_fill(kcheck *k, rf_qtype qtype, kweights kind, uint8_t *out, size_t n_blocks);

#endif
