#include "chat/jinja_method.h"

#include <math.h>
#include <stdio.h>

#include "chat/jinja_number.h"

static const struct {
    rf_jtype type;
    const char *name;
    bool (*fn)(rf_vm *, rf_jv, const rf_jv *, const rf_jargs *, rf_jv *);
    const char *spec;
} methods[] = {
#define X(type, name, fn, spec) {RF_J_##type, name, rf_jm_##fn, spec},
#include "chat/jinja_methods.def"
#undef X
};

int rf_method_find(rf_jtype type, rf_str name) {
    if (type == RF_J_BOOL || type == RF_J_BIG)
        type = RF_J_INT;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].type == type && rf_str_is(name, methods[i].name))
            return (int)i;
    return -1;
}

bool rf_method_call(rf_vm *vm, const rf_jmethod *method, const rf_jargs *args, rf_jv *out) {
    rf_jv bound[RF_JARGS_MAX];
    int row = method->row;
    if (methods[row].spec[0] != '*' &&
        !rf_args_bind(vm, methods[row].name, methods[row].spec, args, bound))
        return false;
    return methods[row].fn(vm, method->self, bound, args, out);
}

bool rf_jmethod_text(rf_vm *vm, const char *who, rf_jv v, rf_str *out) {
    if (v.type == RF_J_STR) {
        *out = rf_jv_view(v);
        return true;
    }
    return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "%s() argument must be str, not %s", who,
                      rf_jv_type_name(v));
}

rf_jv rf_jmethod_like(rf_jv self, rf_str s) {
    rf_jv v = rf_jv_str(s);
    v.flags = self.flags;
    return v;
}

RF_JMETHOD(list_copy) {
    RF_JIGNORE(a), RF_JIGNORE(raw);
    return rf_vm_list(vm, RF_J_LIST, self.u.seq->items, self.u.seq->n, out);
}

RF_JMETHOD(seq_count) {
    rf_jseq items;
    int64_t n = 0;
    bool equal;
    RF_JIGNORE(raw);
    if (!rf_jv_items(vm, self, &items))
        return false;
    for (size_t i = 0; i < items.n; i++) {
        if (!rf_vm_charge(vm, 1) || !rf_jv_equal(vm, items.items[i], a[0], &equal))
            return false;
        n += equal;
    }
    *out = rf_jv_int(n);
    return true;
}

RF_JMETHOD(seq_index) {
    rf_jseq items;
    int64_t start = 0, stop = INT64_MAX;
    bool equal;
    RF_JIGNORE(raw);
    if (!rf_jv_items(vm, self, &items) ||
        (a[1].type != RF_J_MISSING && !rf_jv_index(vm, a[1], &start)) ||
        (a[2].type != RF_J_MISSING && !rf_jv_index(vm, a[2], &stop)))
        return false;
    int64_t n = (int64_t)items.n;
    start = start < 0 ? (start + n < 0 ? 0 : start + n) : start;
    stop = stop < 0 ? stop + n : stop < n ? stop : n;
    for (int64_t i = start; i < stop; i++) {
        if (!rf_vm_charge(vm, 1) || !rf_jv_equal(vm, items.items[i], a[0], &equal))
            return false;
        if (equal) {
            *out = rf_jv_int(i);
            return true;
        }
    }
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: value is not in %s",
                      rf_jv_type_name(self));
}

RF_JMETHOD(dict_copy) {
    rf_jdict *dict;
    RF_JIGNORE(a), RF_JIGNORE(raw);
    if (!rf_jdict_make(vm, &(rf_jargs){.pos = &self, .n_pos = 1}, &dict))
        return false;
    *out = rf_jv_dict(dict);
    return true;
}

RF_JMETHOD(dict_fromkeys) {
    rf_jseq keys;
    RF_JIGNORE(raw), RF_JIGNORE(self);
    rf_jdict *dict = rf_jdict_new(vm, 0);
    if (!dict || !rf_jv_items(vm, a[0], &keys))
        return false;
    rf_jv value = a[1].type == RF_J_MISSING ? rf_jv_of(RF_J_NONE) : a[1];
    for (size_t i = 0; i < keys.n; i++)
        if (!rf_jdict_set(vm, dict, keys.items[i], value))
            return false;
    *out = rf_jv_dict(dict);
    return true;
}

RF_JMETHOD(dict_get) {
    bool found;
    RF_JIGNORE(raw);
    if (!rf_jdict_get(vm, self.u.dict, a[0], out, &found))
        return false;
    if (!found)
        *out = a[1].type == RF_J_MISSING ? rf_jv_of(RF_J_NONE) : a[1];
    return true;
}

static bool view(rf_jv self, uint16_t which, rf_jv *out) {
    *out = (rf_jv){.type = RF_J_VIEW, .aux = which, .u.dict = self.u.dict};
    return true;
}

RF_JMETHOD(dict_items) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    return view(self, RF_JVIEW_ITEMS, out);
}
RF_JMETHOD(dict_keys) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    return view(self, RF_JVIEW_KEYS, out);
}
RF_JMETHOD(dict_values) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    return view(self, RF_JVIEW_VALUES, out);
}

RF_JMETHOD(int_bit_length) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    *out = rf_jv_int(rf_bigint_bits(self));
    return true;
}

RF_JMETHOD(int_bit_count) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    int64_t n = 0;
    if (self.type == RF_J_BIG) {
        for (uint32_t i = 0; i < self.u.big->n; i++)
            n += __builtin_popcount(self.u.big->limb[i]);
    } else {
        int64_t v = rf_jv_small(self);
        n = __builtin_popcountll(v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    }
    *out = rf_jv_int(n);
    return true;
}

RF_JMETHOD(int_ratio) {
    RF_JIGNORE(a), RF_JIGNORE(raw);
    rf_jv v = self.type == RF_J_BOOL ? rf_jv_int(self.u.b) : self;
    return rf_vm_list(vm, RF_J_TUPLE, (rf_jv[]){v, rf_jv_int(1)}, 2, out);
}

RF_JMETHOD(number_self) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    *out = self.type == RF_J_BOOL ? rf_jv_int(self.u.b) : self;
    return true;
}

RF_JMETHOD(float_is_integer) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    *out = rf_jv_bool(isfinite(self.u.f) && floor(self.u.f) == self.u.f);
    return true;
}

RF_JMETHOD(float_hex) {
    int exponent;
    RF_JIGNORE(a), RF_JIGNORE(raw);
    double f = self.u.f;
    if (!isfinite(f))
        return rf_jv_repr_of(vm, self, out);
    const char *sign = signbit(f) ? "-" : "";
    if (f == 0)
        return rf_vm_string(vm, out, "%s0x0.0p+0", sign);
    double fraction = frexp(fabs(f), &exponent);
    if (exponent < -1021) { /* subnormal */
        fraction = ldexp(fraction, exponent + 1022);
        exponent = -1021;
    }
    uint64_t bits = (uint64_t)ldexp(fraction, 53);
    return rf_vm_string(vm, out, "%s0x%llu.%013llxp%+d", sign, (unsigned long long)(bits >> 52),
                        (unsigned long long)(bits & 0xfffffffffffff), exponent - 1);
}

RF_JMETHOD(cycler_next) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    rf_jcycler *cycler = self.u.cycler;
    *out = cycler->items.items[cycler->pos];
    cycler->pos = (cycler->pos + 1) % cycler->items.n;
    return true;
}

RF_JMETHOD(cycler_reset) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    self.u.cycler->pos = 0;
    *out = rf_jv_of(RF_J_NONE);
    return true;
}

RF_JMETHOD(loop_cycle) {
    RF_JIGNORE(a);
    if (raw->n_kw || raw->n_pos == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "no items for cycling given");
    *out = raw->pos[(size_t)self.u.loop->index0 % raw->n_pos];
    return true;
}

RF_JMETHOD(loop_changed) {
    rf_jv now;
    bool same;
    RF_JIGNORE(a);
    if (raw->n_kw)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "changed() takes no keyword arguments");
    if (!rf_vm_list(vm, RF_J_TUPLE, raw->pos, raw->n_pos, &now) ||
        !rf_jv_equal(vm, now, self.u.loop->changed, &same))
        return false;
    self.u.loop->changed = now;
    *out = rf_jv_bool(!same);
    return true;
}
