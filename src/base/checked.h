/* Arithmetic that cannot wrap. Each returns false, with *out unspecified, on overflow. */
#ifndef RF_BASE_CHECKED_H
#define RF_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool rf_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline bool rf_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool rf_add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline bool rf_mul_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
/* Rounds a up to a multiple of align (any align > 0). */
static inline bool rf_round_up_u64(uint64_t a, uint64_t align, uint64_t *out) {
    uint64_t rest = a % align;
    return rest == 0 ? (*out = a, true) : rf_add_u64(a, align - rest, out);
}

/* For values that are already known to be small. */
static inline size_t rf_round_up(size_t a, size_t align) { return (a + align - 1) / align * align; }
static inline size_t rf_ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

#endif
