#include "chat/jinja_object.h"

enum { MAX_RANGE = 100000 }; /* jinja2.sandbox.MAX_RANGE */

#define GLOBAL(name) \
    static bool global_##name(rf_vm *vm, const rf_jv *a, const rf_jargs *raw, rf_jv *out)

GLOBAL(range) {
    int64_t v[3] = {0, 0, 1};
    (void)a;
    if (raw->n_kw)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "range() takes no keyword arguments");
    if (raw->n_pos == 0 || raw->n_pos > 3)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "range expected 1 to 3 arguments, got %zu",
                          raw->n_pos);
    for (size_t i = 0; i < raw->n_pos; i++)
        if (!rf_jv_index(vm, raw->pos[i], &v[raw->n_pos == 1 ? 1 : i]))
            return false;
    if (v[2] == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: range() arg 3 must not be zero");
    uint64_t span = 0, step = v[2] > 0 ? (uint64_t)v[2] : 0 - (uint64_t)v[2];
    if (v[2] > 0 ? v[1] > v[0] : v[0] > v[1])
        span = v[2] > 0 ? (uint64_t)v[1] - (uint64_t)v[0] : (uint64_t)v[0] - (uint64_t)v[1];
    uint64_t n = span ? (span - 1) / step + 1 : 0;
    if (n > MAX_RANGE)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "OverflowError: Range too big. The sandbox blocks ranges larger than "
                          "MAX_RANGE (%d).",
                          MAX_RANGE);
    rf_jrange *range = rf_vm_alloc(vm, 1, sizeof *range);
    if (!range)
        return false;
    *range = (rf_jrange){v[0], v[1], v[2], (int64_t)n};
    *out = (rf_jv){.type = RF_J_RANGE, .u.range = range};
    return true;
}

GLOBAL(dict) {
    rf_jdict *dict;
    (void)a;
    if (!rf_jdict_make(vm, raw, &dict))
        return false;
    *out = rf_jv_dict(dict);
    return true;
}

GLOBAL(namespace) {
    rf_jdict *dict;
    (void)a;
    if (!rf_jdict_make(vm, raw, &dict))
        return false;
    for (uint32_t i = 0; i < dict->n; i++) {
        rf_jv key = dict->entries[i].key;
        if (key.type == RF_J_STR && key.len && key.u.s[0] == '_')
            return rf_vm_fail(vm, RF_TEMPLATE_SANDBOX,
                              "Chat templates cannot store underscore-prefixed attributes on a "
                              "namespace, but got '%.*s'. Please rename the attribute.",
                              RF_STR_ARG(rf_jv_view(key)));
    }
    *out = (rf_jv){.type = RF_J_NAMESPACE, .u.dict = dict};
    return true;
}

static bool make_cycler(rf_vm *vm, rf_jtype type, const rf_jv *items, size_t n, rf_jv *out) {
    rf_jcycler *cycler = rf_vm_alloc(vm, 1, sizeof *cycler);
    rf_jv list;
    if (!cycler || !rf_vm_list(vm, RF_J_TUPLE, items, n, &list))
        return false;
    *cycler = (rf_jcycler){*list.u.seq, 0};
    *out = (rf_jv){.type = (uint8_t)type, .u.cycler = cycler};
    return true;
}

GLOBAL(cycler) {
    (void)a;
    if (raw->n_kw)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "cycler() takes no keyword arguments");
    if (raw->n_pos == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "RuntimeError: at least one item has to be provided");
    return make_cycler(vm, RF_J_CYCLER, raw->pos, raw->n_pos, out);
}

GLOBAL(joiner) {
    (void)raw;
    rf_jv sep = a[0].type == RF_J_MISSING ? rf_jv_text(", ") : a[0];
    return make_cycler(vm, RF_J_JOINER, &sep, 1, out);
}

/* Random filler text in Jinja; nothing that a prompt could mean, so none is made. */
GLOBAL(lipsum) {
    (void)a, (void)raw, (void)out;
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "lipsum() makes random text and is not offered");
}

GLOBAL(raise_exception) {
    rf_jv text;
    (void)raw, (void)out;
    if (a[0].type == RF_J_NONE) /* str(TemplateError(None)) */
        return rf_vm_fail(vm, RF_TEMPLATE_RAISED, "None");
    return rf_jv_str_of(vm, a[0], &text) &&
           rf_vm_fail_text(vm, RF_TEMPLATE_RAISED, rf_jv_view(text));
}

GLOBAL(strftime_now) {
    (void)raw;
    if (a[0].type == RF_J_UNDEFINED || !rf_jv_is_text(a[0]))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "strftime() argument 1 must be str, not %s",
                          rf_jv_type_name(a[0]));
    size_t mark = rf_vm_mark(vm);
    return rf_strftime(vm, rf_jv_view(a[0]), vm->clock, &vm->scratch) && rf_vm_take(vm, mark, out);
}

static const struct {
    const char *name;
    bool (*fn)(rf_vm *, const rf_jv *, const rf_jargs *, rf_jv *);
    const char *spec;
} globals[] = {
#define X(name, fn, spec) {name, fn, spec},
#include "chat/jinja_globals.def"
#undef X
};

int rf_global_find(rf_str name) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (rf_str_is(name, globals[i].name))
            return (int)i;
    return -1;
}

const char *rf_global_name(int row) { return globals[row].name; }

bool rf_global_call(rf_vm *vm, int row, const rf_jargs *args, rf_jv *out) {
    rf_jv bound[RF_JARGS_MAX];
    if (globals[row].spec[0] != '*' &&
        !rf_args_bind(vm, globals[row].name, globals[row].spec, args, bound))
        return false;
    return globals[row].fn(vm, bound, args, out);
}
