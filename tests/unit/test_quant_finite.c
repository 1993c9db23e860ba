/* rf_weights_finite against decoding every weight, on random blocks of every type. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "quant/finite.h"

enum { WEIGHTS = 1024, ROUNDS = 400 };

static uint8_t blocks[WEIGHTS * 4 + 1];
static float decoded[WEIGHTS];

/* Index of the first weight that decodes to NaN or infinity; WEIGHTS if there is none. */
static size_t first_bad(rf_qtype qtype, const uint8_t *src) {
    size_t i = 0;
    rf_qtype_get(qtype)->dequant(src, decoded, WEIGHTS);
    while (i < WEIGHTS && isfinite(decoded[i]))
        i++;
    return i;
}

static void agrees_with_decoding(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(11, 0);
    for (int type = 0; type < RF_QTYPE_COUNT; type++) {
        const rf_qtype_info *info = rf_qtype_get((rf_qtype)type);
        size_t bytes = WEIGHTS / info->block_weights * (size_t)info->block_bytes;
        unsigned n_bad = 0, n_good = 0;
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t *src = blocks + round % 2; /* aligned or not */
            /* Bytes without high exponents are finite; then one or no random byte is set. */
            for (size_t i = 0; i < bytes; i++)
                src[i] = (uint8_t)(rf_rng_u32(&rng) & 0x3F);
            if (round % 4 != 0) {
                size_t at = rf_rng_below(&rng, (uint32_t)bytes);
                src[at] = 0x7F;
                src[at ? at - 1 : 0] = 0xFF;
            }
            size_t bad = WEIGHTS, want = first_bad((rf_qtype)type, src);
            bool finite = rf_weights_finite((rf_qtype)type, src, WEIGHTS, &bad);
            assert_int_equal(finite, want == WEIGHTS);
            assert_int_equal(bad, want);
            n_bad += !finite;
            n_good += finite;
        }
        assert_true(n_good > 0);
        if (info->block_weights == 1) /* every byte of these is part of a float */
            assert_true(n_bad > 0);
    }
}

/* Each scale of each block type, made infinite and NaN on its own. */
static void every_scale_is_looked_at(void **state) {
    (void)state;
    static const uint8_t special[2][2] = {{0x00, 0x7C}, {0x01, 0xFE}};
    for (int type = 0; type < RF_QTYPE_COUNT; type++) {
        const rf_qtype_info *info = rf_qtype_get((rf_qtype)type);
        size_t bytes = WEIGHTS / info->block_weights * (size_t)info->block_bytes;
        for (size_t at = 0; at + 2 <= info->block_bytes; at++) {
            for (int i = 0; i < 2; i++) {
                memset(blocks, 0x11, bytes);
                memcpy(blocks + bytes - info->block_bytes + at, special[i], 2);
                size_t bad = WEIGHTS, want = first_bad((rf_qtype)type, blocks);
                bool finite = rf_weights_finite((rf_qtype)type, blocks, WEIGHTS, &bad);
                assert_int_equal(finite, want == WEIGHTS);
                assert_int_equal(bad, want);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_decoding),
        cmocka_unit_test(every_scale_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
