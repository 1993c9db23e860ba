/* Filters of sequences that need no order. */
#include "chat/jinja_chars.h"
#include "chat/jinja_filter.h"
#include "chat/jinja_number.h"

#define FILTER(name) \
    bool rf_jfilter_##name(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out)

FILTER(length) {
    int64_t n;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (!rf_jv_length(vm, v, &n))
        return false;
    *out = rf_jv_int(n);
    return true;
}

FILTER(list) {
    rf_jseq items;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    return rf_jv_items(vm, v, &items) && rf_vm_list(vm, RF_J_LIST, items.items, items.n, out);
}

FILTER(first) {
    rf_jiter it;
    bool more;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (!rf_iter_start(vm, v, &it) || !rf_iter_next(vm, &it, out, &more))
        return false;
    return more || rf_vm_undefined_hint(vm, RF_STR("No first item, sequence was empty."),
                                        rf_jv_of(RF_J_NONE), out);
}

static bool can_reverse(rf_jv v) {
    return rf_jv_is_iterable(v) && v.type != RF_J_ITER && v.type != RF_J_LOOP;
}

FILTER(last) {
    rf_jseq items;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (!can_reverse(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "'%s' object is not reversible",
                          rf_jv_type_name(v));
    if (!rf_jv_items(vm, v, &items))
        return false;
    if (items.n == 0)
        return rf_vm_undefined_hint(vm, RF_STR("No last item, sequence was empty."),
                                    rf_jv_of(RF_J_NONE), out);
    *out = items.items[items.n - 1];
    return true;
}

FILTER(random) {
    rf_jseq items;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (v.type == RF_J_ITER || !rf_jv_items(vm, v, &items))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "object of type '%s' has no len()",
                          rf_jv_type_name(v));
    if (items.n == 0)
        return rf_vm_undefined_hint(vm, RF_STR("No random item, sequence was empty."),
                                    rf_jv_of(RF_J_NONE), out);
    *out = items.items[(vm->hash_seed ^ vm->steps) % items.n];
    return true;
}

FILTER(reverse) {
    rf_jseq items;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (v.type == RF_J_STR) {
        const rf_jv none = rf_jv_of(RF_J_NONE);
        return rf_jv_slice(vm, v, (rf_jv[]){none, none, rf_jv_int(-1)}, out);
    }
    if (!rf_jv_is_iterable(v))
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "FilterArgumentError: argument must be iterable");
    if (!rf_jv_items(vm, v, &items))
        return false;
    rf_jv *values = rf_vm_alloc(vm, items.n + 1, sizeof *values);
    if (!values)
        return false;
    for (size_t i = 0; i < items.n; i++)
        values[i] = items.items[items.n - 1 - i];
    if (!can_reverse(v))
        return rf_vm_list(vm, RF_J_LIST, values, items.n, out);
    return rf_jv_generator(vm, v.type == RF_J_LIST ? "list_reverseiterator" : "reversed",
                           (rf_jseq){values, items.n}, out);
}

FILTER(items) {
    rf_jseq items = {0};
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (v.type != RF_J_UNDEFINED && v.type != RF_J_DICT) {
        if (!rf_jv_generator(vm, "generator", items, out)) /* raised on the first use */
            return false;
        out->u.iter->deferred_kind = RF_TEMPLATE_TYPE;
        out->u.iter->deferred_text = RF_STR("Can only get item pairs from a mapping.");
        return true;
    }
    if (v.type == RF_J_DICT) {
        v = (rf_jv){.type = RF_J_VIEW, .aux = RF_JVIEW_ITEMS, .u.dict = v.u.dict};
        if (!rf_jv_items(vm, v, &items))
            return false;
    }
    return rf_jv_generator(vm, "generator", items, out);
}

static bool join_plain(rf_vm *vm, rf_jseq items, rf_jv d, rf_jv *out) {
    size_t mark = rf_vm_mark(vm);
    for (size_t i = 0; i < items.n; i++) {
        if (i && !rf_jv_append_str(vm, d, &vm->scratch))
            return false;
        if (!rf_jv_append_str(vm, items.items[i], &vm->scratch))
            return false;
        if (vm->scratch.failed)
            return rf_vm_fail_memory(vm);
    }
    return rf_vm_take(vm, mark, out);
}

FILTER(join) {
    rf_jseq items;
    RF_JUNUSED(raw);
    rf_jv d = a[0].type == RF_J_MISSING ? rf_jv_text("") : a[0];
    if (!rf_jv_items(vm, v, &items))
        return false;
    rf_jv *values = rf_vm_alloc(vm, items.n + 1, sizeof *values);
    if (!values)
        return false;
    bool markup = rf_jv_is_markup(d);
    for (size_t i = 0; i < items.n; i++) {
        if (!rf_jv_path(vm, items.items[i], a[1], rf_jv_of(RF_J_MISSING), &values[i]))
            return false;
        markup |= rf_jv_is_markup(values[i]);
    }
    markup &= vm->autoescape;
    if (markup && !rf_jv_escape(vm, d, &d))
        return false;
    for (size_t i = 0; markup && i < items.n; i++)
        if (!rf_jv_escape(vm, values[i], &values[i]))
            return false;
    if (!join_plain(vm, (rf_jseq){values, items.n}, d, out))
        return false;
    out->flags = markup ? RF_JF_MARKUP : 0;
    return true;
}

FILTER(sum) {
    rf_jseq items;
    RF_JUNUSED(raw);
    *out = a[1].type == RF_J_MISSING ? rf_jv_int(0) : a[1];
    if (!rf_jv_items(vm, v, &items))
        return false;
    if (out->type == RF_J_STR)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                          "sum() can't sum strings [use ''.join(seq) instead]");
    for (size_t i = 0; i < items.n; i++) {
        rf_jv item;
        if (!rf_jv_path(vm, items.items[i], a[0], rf_jv_of(RF_J_MISSING), &item) ||
            !rf_jv_binary(vm, RF_JB_ADD, *out, item, out))
            return false;
    }
    return true;
}

/* Rows of linecount items; the last is filled up. */
FILTER(batch) {
    rf_jseq items;
    int64_t width;
    RF_JUNUSED(raw);
    if (!rf_jv_items(vm, v, &items) || !rf_jarg_int(vm, a[0], 1, &width))
        return false;
    if (width < 1)
        width = INT32_MAX;
    bool fills = a[1].type != RF_J_MISSING && a[1].type != RF_J_NONE;
    rf_jv *rows = rf_vm_alloc(vm, items.n + 1, sizeof *rows);
    size_t n = 0, w = (size_t)width;
    if (!rows)
        return false;
    for (size_t at = 0; at < items.n; at += w) {
        size_t have = items.n - at < w ? items.n - at : w, size = fills ? w : have;
        rf_jv *row = rf_vm_alloc(vm, size, sizeof *row);
        if (!row || !rf_vm_charge(vm, size))
            return false;
        for (size_t i = 0; i < size; i++)
            row[i] = i < have ? items.items[at + i] : a[1];
        if (!rf_vm_list(vm, RF_J_LIST, row, size, &rows[n++]))
            return false;
    }
    return rf_jv_generator(vm, "generator", (rf_jseq){rows, n}, out);
}

/* A given number of slices, sizes as even as they can be. */
FILTER(slice) {
    rf_jseq items;
    int64_t count;
    RF_JUNUSED(raw);
    if (!rf_jv_items(vm, v, &items) || !rf_jarg_int(vm, a[0], 1, &count))
        return false;
    if (count == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "ZeroDivisionError: integer division or modulo by zero");
    size_t slices = count < 0 ? 0 : (size_t)count;
    bool fills = a[1].type != RF_J_MISSING && a[1].type != RF_J_NONE;
    rf_jv *rows = rf_vm_alloc(vm, slices + 1, sizeof *rows);
    rf_jv *row = rf_vm_alloc(vm, items.n + 2, sizeof *row);
    if (!rows || !row || !rf_vm_charge(vm, slices))
        return false;
    size_t at = 0;
    for (size_t i = 0; i < slices; i++) {
        bool extra = i < items.n % slices;
        size_t n = items.n / slices + extra;
        if (n)
            memcpy(row, items.items + at, n * sizeof *row);
        at += n;
        if (fills && !extra)
            row[n++] = a[1];
        if (!rf_vm_list(vm, RF_J_LIST, row, n, &rows[i]))
            return false;
    }
    return rf_jv_generator(vm, "generator", (rf_jseq){rows, slices}, out);
}

/* A generator's failure is raised when it is consumed, not when it is made. */
static bool finish(rf_vm *vm, bool ok, rf_jv *values, size_t n, rf_jv *out) {
    int kind = RF_TEMPLATE_NO_ERROR;
    rf_jv text = rf_jv_text("");
    if (!ok) {
        if (vm->error_kind == RF_TEMPLATE_LIMIT ||
            !rf_vm_copy(vm, rf_buf_view(&vm->error_text), &text))
            return false;
        kind = (int)vm->error_kind;
        vm->error_kind = RF_TEMPLATE_NO_ERROR;
    }
    if (!rf_jv_generator(vm, "generator", (rf_jseq){values, n}, out))
        return false;
    out->u.iter->deferred_kind = kind;
    out->u.iter->deferred_text = rf_jv_view(text);
    return true;
}

typedef struct mapping { /* what map does with an item */
    bool by_attribute;
    rf_jv attribute, fallback;
    int row;
    rf_jargs args;
} mapping;

static bool prepare_map(rf_vm *vm, const rf_jargs *raw, mapping *m) {
    *m = (mapping){.attribute = rf_jv_of(RF_J_MISSING), .fallback = rf_jv_of(RF_J_MISSING)};
    for (size_t k = 0; raw->n_pos == 0 && k < raw->n_kw; k++)
        m->by_attribute |= rf_str_is(raw->kw_names[k], "attribute");
    if (m->by_attribute) {
        for (size_t k = 0; k < raw->n_kw; k++) {
            if (rf_str_is(raw->kw_names[k], "attribute"))
                m->attribute = raw->kw_values[k];
            else if (rf_str_is(raw->kw_names[k], "default"))
                m->fallback = raw->kw_values[k];
            else
                return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                                  "FilterArgumentError: Unexpected keyword argument '%.*s'",
                                  RF_STR_ARG(raw->kw_names[k]));
        }
        if (m->fallback.type == RF_J_NONE)
            m->fallback = rf_jv_of(RF_J_MISSING);
        return true;
    }
    if (raw->n_pos == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "FilterArgumentError: map requires a filter argument");
    m->row = raw->pos[0].type == RF_J_STR ? rf_filter_find(rf_jv_view(raw->pos[0])) : -1;
    if (m->row < 0) {
        rf_jv name;
        return rf_jv_str_of(vm, raw->pos[0], &name) &&
               rf_vm_fail(vm, RF_TEMPLATE_OTHER, "TemplateRuntimeError: No filter named '%.*s'.",
                          RF_STR_ARG(rf_jv_view(name)));
    }
    m->args = *raw;
    m->args.pos = rf_vm_alloc(vm, raw->n_pos, sizeof(rf_jv));
    if (!m->args.pos)
        return false;
    memcpy(m->args.pos, raw->pos, raw->n_pos * sizeof(rf_jv)); /* item in place of the name */
    return true;
}

FILTER(map) {
    mapping m;
    rf_jseq items = {0};
    bool any, ok = true;
    rf_jv *values = NULL;
    size_t n = 0;
    RF_JUNUSED(a);
    if (!rf_jv_truth(vm, v, &any))
        return false;
    ok = !any || prepare_map(vm, raw, &m);
    if (ok && any && !(ok = rf_jv_items(vm, v, &items)))
        return finish(vm, false, NULL, 0, out);
    values = rf_vm_alloc(vm, items.n + 1, sizeof *values);
    if (!values)
        return false;
    for (size_t i = 0; ok && i < items.n; i++) {
        if (m.by_attribute) {
            ok = rf_jv_path(vm, items.items[i], m.attribute, m.fallback, &values[n]);
        } else {
            m.args.pos[0] = items.items[i];
            ok = rf_filter_apply(vm, m.row, &m.args, &values[n]);
        }
        n += ok;
    }
    return finish(vm, ok, values, n, out);
}

typedef struct choice { /* what select and its kin test */
    bool by_attribute, negate;
    rf_jv attribute;
    int row; /* -1: truth */
    rf_jargs args;
} choice;

static bool prepare_choice(rf_vm *vm, const rf_jargs *raw, choice *ch) {
    size_t at = ch->by_attribute;
    ch->row = -1;
    if (ch->by_attribute && raw->n_pos == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "FilterArgumentError: Missing parameter for attribute name");
    ch->attribute = ch->by_attribute ? raw->pos[0] : rf_jv_of(RF_J_MISSING);
    if (raw->n_pos <= at)
        return true;
    rf_jv name = raw->pos[at];
    ch->row = name.type == RF_J_STR ? rf_test_find(rf_jv_view(name)) : -1;
    if (ch->row < 0)
        return rf_jv_str_of(vm, name, &name) &&
               rf_vm_fail(vm, RF_TEMPLATE_OTHER, "TemplateRuntimeError: No test named '%.*s'.",
                          RF_STR_ARG(rf_jv_view(name)));
    ch->args = *raw;
    ch->args.n_pos -= at;
    ch->args.pos = rf_vm_alloc(vm, ch->args.n_pos, sizeof(rf_jv));
    if (!ch->args.pos)
        return false;
    memcpy(ch->args.pos, raw->pos + at, ch->args.n_pos * sizeof(rf_jv));
    return true;
}

static bool decide(rf_vm *vm, choice *ch, rf_jv item, bool *keep) {
    rf_jv value;
    if (!rf_jv_path(vm, item, ch->attribute, rf_jv_of(RF_J_MISSING), &value))
        return false;
    if (ch->row < 0) {
        if (!rf_jv_truth(vm, value, keep))
            return false;
    } else {
        ch->args.pos[0] = value;
        if (!rf_test_apply(vm, ch->row, &ch->args, keep))
            return false;
    }
    *keep ^= ch->negate;
    return true;
}

static bool choose(rf_vm *vm, rf_jv v, const rf_jargs *raw, choice ch, rf_jv *out) {
    rf_jseq items = {0};
    bool any, ok, keep;
    size_t n = 0;
    if (!rf_jv_truth(vm, v, &any))
        return false;
    ok = !any || (prepare_choice(vm, raw, &ch) && rf_jv_items(vm, v, &items));
    rf_jv *values = ok || vm->error_kind != RF_TEMPLATE_LIMIT
                        ? rf_vm_alloc(vm, items.n + 1, sizeof *values)
                        : NULL;
    if (!values)
        return false;
    for (size_t i = 0; ok && i < items.n; i++) {
        ok = decide(vm, &ch, items.items[i], &keep);
        if (ok && keep)
            values[n++] = items.items[i];
    }
    return finish(vm, ok, values, n, out);
}

FILTER(select) {
    RF_JUNUSED(a);
    return choose(vm, v, raw, (choice){0}, out);
}
FILTER(reject) {
    RF_JUNUSED(a);
    return choose(vm, v, raw, (choice){.negate = true}, out);
}
FILTER(selectattr) {
    RF_JUNUSED(a);
    return choose(vm, v, raw, (choice){.by_attribute = true}, out);
}
FILTER(rejectattr) {
    RF_JUNUSED(a);
    return choose(vm, v, raw, (choice){.by_attribute = true, .negate = true}, out);
}
