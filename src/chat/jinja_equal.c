/* Equality, order, membership and hashes. */
#include "base/map.h"
#include "chat/jinja_number.h"
#include "chat/jinja_object.h"
#include "chat/jinja_walk.h"

bool rf_jv_same(rf_jv a, rf_jv b) {
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case RF_J_NONE: return true;
    case RF_J_BOOL: return a.u.b == b.u.b;
    case RF_J_INT: return a.u.i == b.u.i && a.u.i >= -5 && a.u.i <= 256;
    case RF_J_FLOAT: return false;
    case RF_J_STR: return a.len == b.len && (a.u.s == b.u.s || a.len == 0);
    case RF_J_FUNCTION: return a.aux == b.aux;
    default: return a.u.p == b.u.p;
    }
}

static int compare_text(rf_jv a, rf_jv b) { /* UTF-8 sorts by code point */
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.u.s, b.u.s, n) : 0;
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static bool is_seq(rf_jv v) { return v.type == RF_J_LIST || v.type == RF_J_TUPLE; }

/* Equality of the parts that need no walk; *deep: compare their parts instead. */
static bool shallow_equal(rf_jv a, rf_jv b, bool *deep) {
    *deep = false;
    if (rf_jv_is_number(a) && rf_jv_is_number(b))
        return rf_number_compare(a, b) == 0;
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case RF_J_UNDEFINED:
    case RF_J_NONE:
    case RF_J_MISSING: return true;
    case RF_J_STR: return ((a.flags ^ b.flags) & RF_JF_BYTES) == 0 && compare_text(a, b) == 0;
    case RF_J_LIST:
    case RF_J_TUPLE:
        *deep = a.u.seq->n == b.u.seq->n && a.u.seq != b.u.seq;
        return a.u.seq->n == b.u.seq->n;
    case RF_J_DICT:
        *deep = a.u.dict->n == b.u.dict->n && a.u.dict != b.u.dict;
        return a.u.dict->n == b.u.dict->n;
    case RF_J_RANGE: {
        const rf_jrange *x = a.u.range, *y = b.u.range;
        return x->n == y->n &&
               (x->n == 0 || (x->start == y->start && (x->n == 1 || x->step == y->step)));
    }
    case RF_J_METHOD:
        return a.u.method->row == b.u.method->row && a.u.method->self.u.p == b.u.method->self.u.p;
    case RF_J_VIEW: return a.u.dict == b.u.dict && a.aux == b.aux && a.aux != RF_JVIEW_VALUES;
    default: return rf_jv_same(a, b);
    }
}

/* The next pair of parts of a step; *more false: all were equal. */
static bool next_pair(rf_vm *vm, rf_jstep *s, rf_jv *x, rf_jv *y, bool *more, bool *found) {
    *found = true;
    if (is_seq(s->v)) {
        *more = s->at < s->v.u.seq->n;
        if (*more) {
            *x = s->v.u.seq->items[s->at];
            *y = s->other.u.seq->items[s->at++];
        }
        return true;
    }
    *more = s->at < s->v.u.dict->n;
    if (!*more)
        return true;
    const rf_jentry *entry = &s->v.u.dict->entries[s->at++];
    *x = entry->value;
    return rf_jdict_get(vm, s->other.u.dict, entry->key, y, found);
}

/* Keys of dicts are compared inside the walk over values: a key that is itself a tuple starts a
 * walk of its own, and tuples that are keys hold no dicts, so this goes no deeper than two. */
bool rf_jv_equal(rf_vm *vm, rf_jv a, rf_jv b, bool *out) {
    bool deep;
    *out = shallow_equal(a, b, &deep);
    if (!*out || !deep)
        return true;
    rf_jwalk w;
    rf_jwalk_init(&w);
    if (!rf_jwalk_push(vm, &w, a, b))
        return false;
    while (w.n) {
        rf_jv x, y;
        bool more, found;
        if (!rf_vm_charge(vm, 1) || !next_pair(vm, &w.steps[w.n - 1], &x, &y, &more, &found))
            return false;
        if (!more) {
            w.n--;
            continue;
        }
        if (!found || !shallow_equal(x, y, &deep)) {
            *out = false;
            return true;
        }
        if (deep && !rf_jwalk_push(vm, &w, x, y))
            return false;
    }
    return true;
}

static const char *const symbols[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};

static bool by_order(rf_jcompare op, int order) {
    switch (op) {
    case RF_JC_LT: return order < 0;
    case RF_JC_LE: return order <= 0;
    case RF_JC_GT: return order > 0 && order != 2;
    default: return order >= 0 && order != 2;
    }
}

/* Order of two values that are no sequences. */
static bool order_leaf(rf_vm *vm, rf_jcompare op, rf_jv a, rf_jv b, bool *out) {
    if (rf_jv_is_number(a) && rf_jv_is_number(b)) {
        int order = rf_number_compare(a, b);
        *out = order == 2 ? false : by_order(op, order);
        return true;
    }
    if (a.type == RF_J_STR && b.type == RF_J_STR && ((a.flags ^ b.flags) & RF_JF_BYTES) == 0) {
        int order = compare_text(a, b);
        *out = by_order(op, order < 0 ? -1 : order > 0);
        return true;
    }
    if (a.type == RF_J_UNDEFINED || b.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, a.type == RF_J_UNDEFINED ? a : b);
    return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "'%s' not supported between instances of '%s' and '%s'",
                      symbols[op], rf_jv_type_name(a), rf_jv_type_name(b));
}

/* Lexicographic: the first unequal items decide, else the lengths. */
static bool order(rf_vm *vm, rf_jcompare op, rf_jv a, rf_jv b, bool *out) {
    for (uint32_t depth = 0; is_seq(a) && a.type == b.type; depth++) {
        size_t n = a.u.seq->n < b.u.seq->n ? a.u.seq->n : b.u.seq->n, i = 0;
        bool equal = true;
        while (i < n) {
            if (!rf_vm_charge(vm, 1) ||
                !rf_jv_equal(vm, a.u.seq->items[i], b.u.seq->items[i], &equal))
                return false;
            if (!equal)
                break;
            i++;
        }
        if (i == n) {
            size_t na = a.u.seq->n, nb = b.u.seq->n;
            *out = by_order(op, na < nb ? -1 : na > nb);
            return true;
        }
        if (depth > vm->max_depth)
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "RecursionError: maximum recursion depth exceeded");
        rf_jv x = a.u.seq->items[i], y = b.u.seq->items[i];
        a = x;
        b = y;
    }
    return order_leaf(vm, op, a, b, out);
}

bool rf_jv_compare(rf_vm *vm, rf_jcompare op, rf_jv a, rf_jv b, bool *out) {
    bool ok;
    switch (op) {
    case RF_JC_EQ: return rf_jv_equal(vm, a, b, out);
    case RF_JC_NE:
        ok = rf_jv_equal(vm, a, b, out);
        *out = !*out;
        return ok;
    case RF_JC_IN: return rf_jv_contains(vm, b, a, out);
    case RF_JC_NOT_IN:
        ok = rf_jv_contains(vm, b, a, out);
        *out = !*out;
        return ok;
    default: return order(vm, op, a, b, out);
    }
}

bool rf_jv_contains(rf_vm *vm, rf_jv container, rf_jv item, bool *out) {
    rf_jv ignored;
    *out = false;
    if (container.type == RF_J_STR) {
        if (item.type != RF_J_STR)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "'in <string>' requires string as left operand, not %s",
                              rf_jv_type_name(item));
        *out = item.len == 0 ||
               (container.len && memmem(container.u.s, container.len, item.u.s, item.len));
        return rf_vm_charge(vm, container.len / 64);
    }
    if (container.type == RF_J_DICT ||
        (container.type == RF_J_VIEW && container.aux == RF_JVIEW_KEYS))
        return rf_jdict_get(vm, container.u.dict, item, &ignored, out);
    if (container.type == RF_J_NAMESPACE || !rf_jv_is_iterable(container))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "argument of type '%s' is not iterable",
                          rf_jv_type_name(container));
    rf_jiter it;
    bool more = true;
    if (!rf_iter_start(vm, container, &it))
        return false;
    while (!*out) {
        rf_jv v;
        if (!rf_iter_next(vm, &it, &v, &more))
            return false;
        if (!more)
            return true;
        if (!rf_jv_equal(vm, v, item, out))
            return false;
    }
    return true;
}

bool rf_jv_hash(rf_vm *vm, rf_jv v, uint64_t *out) {
    if (rf_jv_is_number(v)) {
        *out = rf_number_hash(v);
        return true;
    }
    if (v.type == RF_J_STR) {
        *out = rf_hash(v.u.s, v.len, vm->hash_seed);
        return rf_vm_charge(vm, v.len / 256);
    }
    *out = (uint64_t)v.type * 0x9e3779b97f4a7c15u;
    if (v.type != RF_J_TUPLE && v.type != RF_J_LIST && v.type != RF_J_DICT && v.type != RF_J_SLICE)
        return true;
    /* tuples hash by length, once all their parts are known to be hashable */
    rf_jwalk w;
    rf_jwalk_init(&w);
    if (!rf_jwalk_push(vm, &w, v, v))
        return false;
    while (w.n) {
        rf_jstep *s = &w.steps[w.n - 1];
        if (s->v.type != RF_J_TUPLE)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "unhashable type: '%s'", rf_jv_type_name(s->v));
        if (!rf_vm_charge(vm, 1))
            return false;
        if (s->at == s->v.u.seq->n) {
            w.n--;
            continue;
        }
        rf_jv part = s->v.u.seq->items[s->at++];
        bool walks = part.type == RF_J_TUPLE || part.type == RF_J_LIST || part.type == RF_J_DICT;
        if (walks && !rf_jwalk_push(vm, &w, part, part))
            return false;
    }
    *out += v.u.seq->n * 0xbf58476d1ce4e5b9u;
    return true;
}
