/* Sorting and what builds on keys: sort, dictsort, groupby, unique, min, max. */
#include "chat/jinja_filter.h"

static bool merge(rf_vm *vm, rf_jsort_item *a, rf_jsort_item *b, size_t lo, size_t mid, size_t hi,
                  bool reverse) {
    for (size_t i = lo, j = mid, k = lo; k < hi; k++) {
        bool right = i == mid;
        if (!right && j < hi) {
            rf_jv x = reverse ? a[i].key : a[j].key, y = reverse ? a[j].key : a[i].key;
            if (!rf_vm_charge(vm, 1) || !rf_jv_compare(vm, RF_JC_LT, x, y, &right))
                return false;
        }
        b[k] = right ? a[j++] : a[i++];
    }
    return true;
}

/* Equal keys keep their order, also in reverse. */
bool rf_jsort(rf_vm *vm, rf_jsort_item *items, size_t n, bool reverse) {
    rf_jsort_item *other = rf_vm_alloc(vm, n + 1, sizeof *other), *a = items, *b = other;
    if (!other)
        return false;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n, hi = mid + width < n ? mid + width : n;
            if (!merge(vm, a, b, lo, mid, hi, reverse))
                return false;
        }
        rf_jsort_item *t = a;
        a = b;
        b = t;
    }
    if (a != items)
        memcpy(items, a, n * sizeof *items);
    return true;
}

static bool one_key(rf_vm *vm, rf_jv item, rf_jv path, bool fold, rf_jv fallback, rf_jv *key) {
    return rf_jv_path(vm, item, path, fallback, key) && (!fold || rf_jkey_fold(vm, key));
}

/* Keys of sort: "a,b" sorts by several attributes. A key is always a list, as in Jinja: items that
 * are equal without having an order then sort, too. */
static bool sort_key(rf_vm *vm, rf_jv item, rf_jv path, bool fold, rf_jv *key) {
    rf_str rest = path.type == RF_J_STR ? rf_jv_view(path) : (rf_str){0};
    rf_jv missing = rf_jv_of(RF_J_MISSING);
    rf_jv parts[32];
    if (!rest.len || !memchr(rest.ptr, ',', rest.len))
        return one_key(vm, item, path, fold, missing, &parts[0]) &&
               rf_vm_list(vm, RF_J_LIST, parts, 1, key);
    size_t n = 0;
    for (bool more = true; more && n < 32;) {
        const char *comma = rest.len ? memchr(rest.ptr, ',', rest.len) : NULL;
        rf_str part = comma ? rf_str_sub(rest, 0, (size_t)(comma - rest.ptr)) : rest;
        more = comma != NULL;
        rest = rf_str_sub(rest, part.len + more, rest.len);
        if (!one_key(vm, item, rf_jv_str(part), fold, missing, &parts[n++]))
            return false;
    }
    return rf_vm_list(vm, RF_J_LIST, parts, n, key);
}

typedef bool (*key_fn)(rf_vm *vm, rf_jv item, rf_jv path, bool fold, rf_jv *key);

static bool keyed(rf_vm *vm, rf_jv v, rf_jv path, bool fold, key_fn fn, rf_jsort_item **out,
                  size_t *n) {
    rf_jseq seq;
    if (!rf_jv_items(vm, v, &seq))
        return false;
    rf_jsort_item *items = rf_vm_alloc(vm, seq.n + 1, sizeof *items);
    if (!items)
        return false;
    for (size_t i = 0; i < seq.n; i++) {
        items[i].item = seq.items[i];
        if (!rf_vm_charge(vm, 1) || !fn(vm, seq.items[i], path, fold, &items[i].key))
            return false;
    }
    *out = items;
    *n = seq.n;
    return true;
}

static bool items_of(rf_vm *vm, const rf_jsort_item *items, size_t n, rf_jv *out) {
    rf_jv *values = rf_vm_alloc(vm, n + 1, sizeof *values);
    if (!values)
        return false;
    for (size_t i = 0; i < n; i++)
        values[i] = items[i].item;
    return rf_vm_list(vm, RF_J_LIST, values, n, out);
}

bool rf_jfilter_sort(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out) {
    bool reverse, sensitive;
    rf_jsort_item *items;
    size_t n;
    RF_JUNUSED(raw);
    return rf_jarg_bool(vm, a[0], false, &reverse) && rf_jarg_bool(vm, a[1], false, &sensitive) &&
           keyed(vm, v, a[2], !sensitive, sort_key, &items, &n) &&
           rf_jsort(vm, items, n, reverse) && items_of(vm, items, n, out);
}

static bool pair_key(rf_vm *vm, rf_jv item, rf_jv which, bool fold, rf_jv *key) {
    *key = item.u.seq->items[which.u.i];
    return !fold || rf_jkey_fold(vm, key);
}

bool rf_jfilter_dictsort(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out) {
    bool sensitive, reverse;
    rf_jsort_item *items;
    size_t n;
    RF_JUNUSED(raw);
    bool by_value = a[1].type == RF_J_STR && rf_str_is(rf_jv_view(a[1]), "value");
    bool by_key =
        a[1].type == RF_J_MISSING || (a[1].type == RF_J_STR && rf_str_is(rf_jv_view(a[1]), "key"));
    if (!by_key && !by_value)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "FilterArgumentError: You can only sort by either \"key\" or \"value\"");
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    if (v.type != RF_J_DICT)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "AttributeError: '%s' object has no attribute 'items'",
                          rf_jv_type_name(v));
    v = (rf_jv){.type = RF_J_VIEW, .aux = RF_JVIEW_ITEMS, .u.dict = v.u.dict};
    return rf_jarg_bool(vm, a[0], false, &sensitive) && rf_jarg_bool(vm, a[2], false, &reverse) &&
           keyed(vm, v, rf_jv_int(by_value), !sensitive, pair_key, &items, &n) &&
           rf_jsort(vm, items, n, reverse) && items_of(vm, items, n, out);
}

static bool plain_key(rf_vm *vm, rf_jv item, rf_jv path, bool fold, rf_jv *key) {
    return one_key(vm, item, path, fold, rf_jv_of(RF_J_MISSING), key);
}

static bool extreme(rf_vm *vm, rf_jv v, const rf_jv *a, rf_jcompare op, rf_jv *out) {
    bool sensitive, better;
    rf_jsort_item *items;
    size_t n, best = 0;
    if (!rf_jarg_bool(vm, a[0], false, &sensitive) ||
        !keyed(vm, v, a[1], !sensitive, plain_key, &items, &n))
        return false;
    if (n == 0)
        return rf_vm_undefined_hint(vm, RF_STR("No aggregated item, sequence was empty."),
                                    rf_jv_of(RF_J_NONE), out);
    for (size_t i = 1; i < n; i++) {
        if (!rf_jv_compare(vm, op, items[i].key, items[best].key, &better))
            return false;
        if (better)
            best = i;
    }
    *out = items[best].item;
    return true;
}

bool rf_jfilter_min(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out) {
    RF_JUNUSED(raw);
    return extreme(vm, v, a, RF_JC_LT, out);
}

bool rf_jfilter_max(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out) {
    RF_JUNUSED(raw);
    return extreme(vm, v, a, RF_JC_GT, out);
}

bool rf_jfilter_unique(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out) {
    bool sensitive, seen;
    rf_jsort_item *items;
    size_t n, kept = 0;
    rf_jv ignored;
    RF_JUNUSED(raw);
    rf_jdict *keys = rf_jdict_new(vm, 0);
    if (!keys || !rf_jarg_bool(vm, a[0], false, &sensitive) ||
        !keyed(vm, v, a[1], !sensitive, plain_key, &items, &n))
        return false;
    rf_jv *values = rf_vm_alloc(vm, n + 1, sizeof *values);
    if (!values)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!rf_jdict_get(vm, keys, items[i].key, &ignored, &seen))
            return false;
        if (seen)
            continue;
        if (!rf_jdict_set(vm, keys, items[i].key, rf_jv_bool(true)))
            return false;
        values[kept++] = items[i].item;
    }
    return rf_jv_generator(vm, "generator", (rf_jseq){values, kept}, out);
}

/* One group: its key as the first item has it, when case does not count. */
static bool group(rf_vm *vm, const rf_jsort_item *items, size_t n, const rf_jv *a, bool fold,
                  rf_jv *out) {
    rf_jv pair[2];
    pair[0] = items[0].key;
    if (fold && !rf_jv_path(vm, items[0].item, a[0], a[1], &pair[0]))
        return false;
    if (!items_of(vm, items, n, &pair[1]) || !rf_vm_list(vm, RF_J_TUPLE, pair, 2, out))
        return false;
    out->flags = RF_JF_GROUP;
    return true;
}

bool rf_jfilter_groupby(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out) {
    bool sensitive;
    rf_jseq seq;
    RF_JUNUSED(raw);
    if (!rf_jarg_bool(vm, a[2], false, &sensitive) || !rf_jv_items(vm, v, &seq))
        return false;
    rf_jv fallback = a[1].type == RF_J_NONE ? rf_jv_of(RF_J_MISSING) : a[1];
    const rf_jv args[2] = {a[0], fallback};
    rf_jsort_item *items = rf_vm_alloc(vm, seq.n + 1, sizeof *items);
    rf_jv *groups = rf_vm_alloc(vm, seq.n + 1, sizeof *groups);
    if (!items || !groups)
        return false;
    for (size_t i = 0; i < seq.n; i++) {
        items[i].item = seq.items[i];
        if (!one_key(vm, seq.items[i], a[0], !sensitive, fallback, &items[i].key))
            return false;
    }
    if (!rf_jsort(vm, items, seq.n, false))
        return false;
    size_t n = 0;
    for (size_t i = 0, j; i < seq.n; i = j) {
        bool equal = true;
        for (j = i + 1; j < seq.n; j++) {
            if (!rf_jv_equal(vm, items[i].key, items[j].key, &equal))
                return false;
            if (!equal)
                break;
        }
        if (!group(vm, items + i, j - i, args, !sensitive, &groups[n++]))
            return false;
    }
    return rf_vm_list(vm, RF_J_LIST, groups, n, out);
}
