/* NaN and infinity in stored weights, found without decoding whole blocks. Any thread. */
#ifndef RF_QUANT_FINITE_H
#define RF_QUANT_FINITE_H

#include "quant/quant.h"

/* False when one of the n weights at src (whole blocks) decodes to NaN or infinity; *bad is then
 * the index of the first one. */
bool rf_weights_finite(rf_qtype qtype, const void *src, size_t n, size_t *bad);

#endif
