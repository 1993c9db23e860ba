#include "chat/jinja_number.h"

/* A view of INT or BIG as sign and limbs. */
typedef struct wide {
    uint32_t small[2];
    const uint32_t *limb;
    uint32_t n;
    bool negative;
} wide;

static void widen(rf_jv v, wide *w) {
    if (v.type == RF_J_BIG) {
        w->limb = v.u.big->limb;
        w->n = v.u.big->n;
        w->negative = v.u.big->negative;
        return;
    }
    int64_t value = rf_jv_small(v);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    w->negative = value < 0;
    w->small[0] = (uint32_t)magnitude;
    w->small[1] = (uint32_t)(magnitude >> 32);
    w->limb = w->small;
    w->n = w->small[1] ? 2 : w->small[0] ? 1 : 0;
}

rf_big *rf_bigint_new(rf_arena *arena, uint32_t n_limbs) {
    rf_big *big = rf_arena_calloc(arena, 1, sizeof *big + n_limbs * sizeof big->limb[0]);
    if (big)
        big->n = n_limbs;
    return big;
}

static rf_big *make(rf_vm *vm, uint32_t n_limbs) {
    if ((uint64_t)n_limbs * 32 > RF_BIG_MAX_BITS) {
        (void)rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "integer of more than %d bits", RF_BIG_MAX_BITS);
        return NULL;
    }
    rf_big *big = rf_bigint_new(&vm->arena, n_limbs);
    if (!big)
        (void)rf_vm_fail_memory(vm);
    return big;
}

rf_jv rf_bigint_normal(rf_big *big) {
    while (big->n && big->limb[big->n - 1] == 0)
        big->n--;
    if (big->n <= 2) {
        uint64_t m = (big->n > 1 ? (uint64_t)big->limb[1] << 32 : 0) | (big->n ? big->limb[0] : 0);
        if (!big->negative && m <= INT64_MAX)
            return rf_jv_int((int64_t)m);
        if (big->negative && m <= (uint64_t)INT64_MAX + 1)
            return rf_jv_int((int64_t)(0 - m));
    }
    return (rf_jv){.type = RF_J_BIG, .u.big = big};
}

static int compare_limbs(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb) {
    if (na != nb)
        return na < nb ? -1 : 1;
    for (uint32_t i = na; i-- > 0;)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

int rf_bigint_compare(rf_jv a, rf_jv b) {
    wide x, y;
    widen(a, &x);
    widen(b, &y);
    if (x.negative != y.negative)
        return x.negative ? -1 : 1;
    int order = compare_limbs(x.limb, x.n, y.limb, y.n);
    return x.negative ? -order : order;
}

/* out = a - b for a >= b, or a + b; out has max(na, nb) + 1 limbs. */
static void add_limbs(uint32_t *out, const wide *a, const wide *b, bool subtract) {
    int64_t carry = 0;
    uint32_t n = a->n > b->n ? a->n : b->n;
    for (uint32_t i = 0; i < n; i++) {
        int64_t y = i < b->n ? b->limb[i] : 0;
        int64_t sum = (i < a->n ? (int64_t)a->limb[i] : 0) + (subtract ? -y : y) + carry;
        out[i] = (uint32_t)sum;
        carry = sum >> 32;
    }
    out[n] = (uint32_t)carry;
}

bool rf_bigint_add(rf_vm *vm, rf_jv a, rf_jv b, bool subtract, rf_jv *out) {
    wide x, y;
    widen(a, &x);
    widen(b, &y);
    y.negative ^= subtract;
    rf_big *sum = make(vm, (x.n > y.n ? x.n : y.n) + 1);
    if (!sum)
        return false;
    if (x.negative == y.negative) {
        add_limbs(sum->limb, &x, &y, false);
        sum->negative = x.negative;
    } else {
        bool swap = compare_limbs(x.limb, x.n, y.limb, y.n) < 0;
        add_limbs(sum->limb, swap ? &y : &x, swap ? &x : &y, true);
        sum->negative = swap ? y.negative : x.negative;
    }
    *out = rf_bigint_normal(sum);
    return true;
}

bool rf_bigint_mul(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out) {
    wide x, y;
    widen(a, &x);
    widen(b, &y);
    rf_big *product = make(vm, x.n + y.n);
    if (!product || !rf_vm_charge(vm, (uint64_t)x.n * y.n / 16))
        return false;
    for (uint32_t i = 0; i < x.n; i++) {
        uint64_t carry = 0;
        for (uint32_t k = 0; k < y.n; k++) {
            uint64_t t = (uint64_t)x.limb[i] * y.limb[k] + product->limb[i + k] + carry;
            product->limb[i + k] = (uint32_t)t;
            carry = t >> 32;
        }
        product->limb[i + y.n] = (uint32_t)carry;
    }
    product->negative = x.negative != y.negative;
    *out = rf_bigint_normal(product);
    return true;
}

uint32_t rf_limbs_div_small(uint32_t *limb, uint32_t *n, uint32_t divisor) {
    uint64_t rest = 0;
    for (uint32_t i = *n; i-- > 0;) {
        rest = rest << 32 | limb[i];
        limb[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    while (*n && limb[*n - 1] == 0)
        --*n;
    return (uint32_t)rest;
}

/* Long division bit by bit: quotient into q (nx limbs), rest into r (ny + 1 limbs). */
static void divide_limbs(const wide *x, const wide *y, uint32_t *q, uint32_t *r) {
    uint32_t nr = y->n + 1;
    for (uint32_t bit = x->n * 32; bit-- > 0;) {
        uint32_t carry = x->limb[bit / 32] >> (bit % 32) & 1;
        for (uint32_t i = 0; i < nr; i++) {
            uint32_t top = r[i] >> 31;
            r[i] = r[i] << 1 | carry;
            carry = top;
        }
        uint32_t n = nr;
        while (n && r[n - 1] == 0)
            n--;
        if (compare_limbs(r, n, y->limb, y->n) < 0)
            continue;
        int64_t borrow = 0;
        for (uint32_t i = 0; i < nr; i++) {
            int64_t t = (int64_t)r[i] - (i < y->n ? y->limb[i] : 0) + borrow;
            r[i] = (uint32_t)t;
            borrow = t >> 32;
        }
        q[bit / 32] |= (uint32_t)1 << (bit % 32);
    }
}

/* Floor division, as Python's: the rest has the divisor's sign. */
bool rf_bigint_divmod(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *quotient, rf_jv *rest) {
    wide x, y;
    widen(a, &x);
    widen(b, &y);
    rf_big *q = make(vm, x.n + 1), *r = q ? make(vm, y.n + 1) : NULL;
    if (!r || !rf_vm_charge(vm, (uint64_t)x.n * (y.n + 1)))
        return false;
    divide_limbs(&x, &y, q->limb, r->limb);
    q->negative = x.negative != y.negative;
    r->negative = x.negative;
    *quotient = rf_bigint_normal(q);
    *rest = rf_bigint_normal(r);
    bool is_zero = rest->type == RF_J_INT && rest->u.i == 0;
    if (is_zero || x.negative == y.negative)
        return true;
    return rf_bigint_add(vm, *quotient, rf_jv_int(1), true, quotient) &&
           rf_bigint_add(vm, *rest, b, false, rest);
}

uint32_t rf_bigint_bits(rf_jv a) {
    wide x;
    widen(a, &x);
    return x.n == 0 ? 0 : x.n * 32 - (uint32_t)__builtin_clz(x.limb[x.n - 1]);
}

bool rf_bigint_pow(rf_vm *vm, rf_jv a, uint64_t exponent, rf_jv *out) {
    uint64_t bits = rf_bigint_bits(a);
    if (bits > 1 && exponent > RF_BIG_MAX_BITS / (bits - 1))
        return rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "integer of more than %d bits", RF_BIG_MAX_BITS);
    rf_jv result = rf_jv_int(1);
    for (; exponent; exponent >>= 1) {
        if ((exponent & 1) && !rf_bigint_mul(vm, result, a, &result))
            return false;
        if (exponent > 1 && !rf_bigint_mul(vm, a, a, &a))
            return false;
    }
    *out = result;
    return true;
}
