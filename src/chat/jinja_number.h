/*
 * Numbers with Python's meaning: integers of any size up to a bound, floats, their arithmetic,
 * order, parsing and printing. INT holds what fits 64 bits, BIG the rest, never the other way
 * round. Expects LC_NUMERIC "C".
 */
#ifndef RF_CHAT_JINJA_NUMBER_H
#define RF_CHAT_JINJA_NUMBER_H

#include "base/arena.h"
#include "chat/jinja_operator.h"
#include "chat/jinja_vm.h"

typedef struct rf_big {
    bool negative;
    uint32_t n;      /* limbs in use, the last is not 0 */
    uint32_t limb[]; /* least significant first */
} rf_big;

enum {
    RF_BIG_MAX_BITS = 1 << 17, /* larger results are refused */
    RF_BIG_MAX_DIGITS = 4300,  /* Python's bound for int <-> str */
    RF_FLOAT_TEXT_BYTES = 32,
};

typedef enum rf_number_parse { RF_NUMBER_OK, RF_NUMBER_BAD, RF_NUMBER_NO_MEMORY } rf_number_parse;

/* Digits with an optional sign; base 0 takes the prefixes 0x, 0o and 0b. */
rf_number_parse rf_number_parse_int(rf_arena *arena, rf_str text, int base, rf_jv *out);
bool rf_number_parse_float(rf_str text, double *out); /* decimal, inf or nan */

double rf_number_double(rf_jv number); /* infinite beyond the range of double */
bool rf_number_from_double(rf_vm *vm, double value, rf_jv *out); /* truncates; finite only */
bool rf_number_binary(rf_vm *vm, rf_jbinary op, rf_jv a, rf_jv b, rf_jv *out);
bool rf_number_negate(rf_vm *vm, rf_jv a, rf_jv *out);
bool rf_number_is_negative(rf_jv a);
int rf_number_compare(rf_jv a, rf_jv b); /* -1, 0, 1; 2 when one is NaN */
uint64_t rf_number_hash(rf_jv a);        /* equal numbers of any type have equal hashes */

/* Digits of |a| in base 2, 8, 10 or 16; a is an integer. */
bool rf_number_digits(rf_vm *vm, rf_jv a, unsigned base, bool upper, rf_buf *out);
bool rf_number_append(rf_vm *vm, rf_jv a, rf_buf *out); /* repr */
/* The shortest text that reads back as value, in Python's form. Returns its length. */
size_t rf_float_text(double value, char out[RF_FLOAT_TEXT_BYTES]);

/* jinja_bigint.c: INT and BIG only */
bool rf_bigint_add(rf_vm *vm, rf_jv a, rf_jv b, bool subtract, rf_jv *out);
bool rf_bigint_mul(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out);
bool rf_bigint_divmod(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *quotient, rf_jv *rest); /* b != 0 */
bool rf_bigint_pow(rf_vm *vm, rf_jv a, uint64_t exponent, rf_jv *out);
int rf_bigint_compare(rf_jv a, rf_jv b);
uint32_t rf_bigint_bits(rf_jv a); /* int.bit_length */
/* Divides limb[0 … n-1] by divisor in place, returns the rest. */
uint32_t rf_limbs_div_small(uint32_t *limb, uint32_t *n, uint32_t divisor);
rf_jv rf_bigint_normal(rf_big *big); /* INT when it fits */
rf_big *rf_bigint_new(rf_arena *arena, uint32_t n_limbs);

#endif
