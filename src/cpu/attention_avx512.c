#include "cpu/simd_avx512.h"

#define FN(slot) rf_##slot##_avx512
#include "cpu/attention.inc"
