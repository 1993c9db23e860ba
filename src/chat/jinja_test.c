#include "chat/jinja_chars.h"
#include "chat/jinja_object.h"

#define TEST(name) static bool test_##name(rf_vm *vm, rf_jv v, rf_jv b, bool *out)
#define TYPE_TEST(name, condition)  \
    TEST(name) {                    \
        (void)vm, (void)b, (void)v; \
        *out = (condition);         \
        return true;                \
    }
#define COMPARE_TEST(name, op) \
    TEST(name) { return rf_jv_compare(vm, op, v, b, out); }

TYPE_TEST(defined, v.type != RF_J_UNDEFINED)
TYPE_TEST(undefined, v.type == RF_J_UNDEFINED)
TYPE_TEST(none, v.type == RF_J_NONE)
TYPE_TEST(boolean, v.type == RF_J_BOOL)
TYPE_TEST(is_false, v.type == RF_J_BOOL && !v.u.b)
TYPE_TEST(is_true, v.type == RF_J_BOOL && v.u.b)
TYPE_TEST(integer, v.type == RF_J_INT || v.type == RF_J_BIG)
TYPE_TEST(float, v.type == RF_J_FLOAT)
TYPE_TEST(string, rf_jv_is_text(v))
TYPE_TEST(mapping, v.type == RF_J_DICT)
TYPE_TEST(number, v.type >= RF_J_BOOL && v.type <= RF_J_FLOAT)
TYPE_TEST(iterable, rf_jv_is_iterable(v) || v.type == RF_J_SELF)
TYPE_TEST(callable, rf_jv_is_callable(v))
TYPE_TEST(escaped, rf_jv_is_markup(v))
TYPE_TEST(sameas, rf_jv_same(v, b))
COMPARE_TEST(eq, RF_JC_EQ)
COMPARE_TEST(ne, RF_JC_NE)
COMPARE_TEST(lt, RF_JC_LT)
COMPARE_TEST(le, RF_JC_LE)
COMPARE_TEST(gt, RF_JC_GT)
COMPARE_TEST(ge, RF_JC_GE)

TEST(in) { return rf_jv_contains(vm, b, v, out); }

/* Has a length and subscripts. */
TEST(sequence) {
    (void)vm, (void)b;
    *out = v.type == RF_J_STR || v.type == RF_J_LIST || v.type == RF_J_TUPLE ||
           v.type == RF_J_DICT || v.type == RF_J_RANGE || v.type == RF_J_UNDEFINED;
    return true;
}

static bool modulo_is(rf_vm *vm, rf_jv v, rf_jv divisor, int64_t want, bool *out) {
    rf_jv rest;
    return rf_jv_binary(vm, RF_JB_MOD, v, divisor, &rest) &&
           rf_jv_equal(vm, rest, rf_jv_int(want), out);
}

TEST(odd) {
    (void)b;
    return modulo_is(vm, v, rf_jv_int(2), 1, out);
}
TEST(even) {
    (void)b;
    return modulo_is(vm, v, rf_jv_int(2), 0, out);
}
TEST(divisibleby) { return modulo_is(vm, v, b, 0, out); }

static bool has_case(rf_vm *vm, rf_jv v, bool upper, bool *out) {
    rf_jv text;
    uint32_t c;
    if (!rf_jv_str_of(vm, v, &text))
        return false;
    bool cased = false;
    *out = false;
    for (size_t i = 0, n; (n = rf_chars_at(rf_jv_view(text), i, &c)) > 0; i += n) {
        if (rf_char_is_title(c) || (upper ? rf_char_is_lower(c) : rf_char_is_upper(c)))
            return true;
        cased |= upper ? rf_char_is_upper(c) : rf_char_is_lower(c);
    }
    *out = cased;
    return true;
}

TEST(lower) {
    (void)b;
    return has_case(vm, v, false, out);
}
TEST(upper) {
    (void)b;
    return has_case(vm, v, true, out);
}

static bool hashable(rf_vm *vm, rf_jv v) {
    uint64_t hash;
    return rf_jv_hash(vm, v, &hash);
}

TEST(filter) {
    (void)b;
    *out = v.type == RF_J_STR && rf_filter_find(rf_jv_view(v)) >= 0;
    return hashable(vm, v);
}
TEST(test) {
    (void)b;
    *out = v.type == RF_J_STR && rf_test_find(rf_jv_view(v)) >= 0;
    return hashable(vm, v);
}

static const struct {
    const char *name;
    bool (*fn)(rf_vm *, rf_jv, rf_jv, bool *);
    const char *spec;
} tests[] = {
#define X(name, fn, spec) {name, fn, spec},
#include "chat/jinja_tests.def"
#undef X
};

int rf_test_find(rf_str name) {
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (rf_str_is(name, tests[i].name))
            return (int)i;
    return -1;
}

bool rf_test_apply(rf_vm *vm, int row, const rf_jargs *args, bool *out) {
    rf_jv bound[RF_JARGS_MAX];
    rf_jargs rest = *args;
    if (args->n_pos == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "test '%s' is missing its value", tests[row].name);
    rest.pos++;
    rest.n_pos--;
    return rf_args_bind(vm, tests[row].name, tests[row].spec, &rest, bound) &&
           tests[row].fn(vm, args->pos[0], bound[0], out);
}
