#include "cpu/simd_avx2.h"

#define FN(slot) rf_##slot##_avx2
#include "cpu/rows.inc"
