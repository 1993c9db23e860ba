/* Attributes, subscripts and slices, with the sandbox's rules. */
#include "chat/jinja_chars.h"
#include "chat/jinja_object.h"

static bool bound_method(rf_vm *vm, rf_jv obj, int row, rf_jv *out) {
    rf_jmethod *method = rf_vm_alloc(vm, 1, sizeof *method);
    if (!method)
        return false;
    *method = (rf_jmethod){obj, row};
    *out = (rf_jv){.type = RF_J_METHOD, .u.method = method};
    return true;
}

/* Attributes that are no methods. */
static bool data_attr(rf_vm *vm, rf_jv obj, rf_str name, rf_jv *out, bool *found) {
    *found = true;
    switch (obj.type) {
    case RF_J_LOOP: return rf_loop_attr(vm, obj.u.loop, name, out, found);
    case RF_J_NAMESPACE: return rf_jdict_get_str(vm, obj.u.dict, name, out, found);
    case RF_J_CYCLER:
        if (rf_str_is(name, "current"))
            *out = obj.u.cycler->items.items[obj.u.cycler->pos];
        else if (rf_str_is(name, "pos"))
            *out = rf_jv_int((int64_t)obj.u.cycler->pos);
        else if (rf_str_is(name, "items"))
            return rf_vm_list(vm, RF_J_TUPLE, obj.u.cycler->items.items, obj.u.cycler->items.n,
                              out);
        else
            *found = false;
        return true;
    case RF_J_JOINER:
        if (rf_str_is(name, "sep"))
            *out = obj.u.cycler->items.items[0];
        else if (rf_str_is(name, "used"))
            *out = rf_jv_bool(obj.u.cycler->pos != 0);
        else
            *found = false;
        return true;
    case RF_J_TUPLE:
        *found =
            (obj.flags & RF_JF_GROUP) && (rf_str_is(name, "grouper") || rf_str_is(name, "list"));
        if (*found)
            *out = obj.u.seq->items[name.ptr[0] == 'l'];
        return true;
    case RF_J_RANGE:
        *found = rf_str_is(name, "start") || rf_str_is(name, "stop") || rf_str_is(name, "step");
        if (*found)
            *out = rf_jv_int(name.len == 5             ? obj.u.range->start
                             : rf_str_is(name, "stop") ? obj.u.range->stop
                                                       : obj.u.range->step);
        return true;
    case RF_J_BOOL:
    case RF_J_INT:
    case RF_J_BIG:
    case RF_J_FLOAT:
        if (rf_str_is(name, "real"))
            *out = obj.type == RF_J_BOOL ? rf_jv_int(obj.u.b) : obj;
        else if (rf_str_is(name, "numerator") && obj.type != RF_J_FLOAT)
            *out = obj.type == RF_J_BOOL ? rf_jv_int(obj.u.b) : obj;
        else if (rf_str_is(name, "imag"))
            *out = obj.type == RF_J_FLOAT ? rf_jv_float(0) : rf_jv_int(0);
        else if (rf_str_is(name, "denominator") && obj.type != RF_J_FLOAT)
            *out = rf_jv_int(1);
        else
            *found = false;
        return true;
    default: *found = false; return true;
    }
}

static bool macro_attr(rf_vm *vm, rf_jv obj, rf_str name, rf_jv *out, bool *found) {
    const rf_jmacro_info *info = obj.u.macro->info;
    *found = true;
    if (rf_str_is(name, "name")) {
        *out = info->name.ptr ? rf_jv_str(info->name) : rf_jv_of(RF_J_NONE);
    } else if (rf_str_is(name, "arguments")) {
        rf_jv *items = rf_vm_alloc(vm, info->n_args + 1, sizeof *items);
        if (!items)
            return false;
        for (uint32_t i = 0; i < info->n_args; i++)
            items[i] = rf_jv_str(vm->code->names[info->args[i]]);
        return rf_vm_list(vm, RF_J_TUPLE, items, info->n_args, out);
    } else if (rf_str_is(name, "catch_kwargs")) {
        *out = rf_jv_bool(info->uses_kwargs);
    } else if (rf_str_is(name, "catch_varargs")) {
        *out = rf_jv_bool(info->uses_varargs);
    } else if (rf_str_is(name, "caller")) {
        *out = rf_jv_bool(info->uses_caller || info->explicit_caller);
    } else if (rf_str_is(name, "explicit_caller")) {
        *out = rf_jv_bool(info->explicit_caller);
    } else {
        *found = false;
    }
    return true;
}

bool rf_jv_own_attr(rf_vm *vm, rf_jv obj, rf_str name, rf_jv *out, bool *found) {
    *found = false;
    if (obj.type == RF_J_UNDEFINED)
        return rf_str_starts(name, RF_STR("__")) && rf_str_ends(name, RF_STR("__"))
                   ? true
                   : rf_vm_fail_undefined(vm, obj);
    if (obj.type == RF_J_MACRO)
        return macro_attr(vm, obj, name, out, found);
    if (!data_attr(vm, obj, name, out, found) || *found)
        return !*found ? vm->error_kind == RF_TEMPLATE_NO_ERROR : true;
    int row = rf_method_find((rf_jtype)obj.type, name);
    if (row < 0 && obj.type == RF_J_FUNCTION && rf_str_is(name, "fromkeys") &&
        strcmp(rf_global_name(obj.aux), "dict") == 0)
        row = rf_method_find(RF_J_FUNCTION, name);
    *found = row >= 0;
    return row < 0 || bound_method(vm, obj, row, out);
}

/* Does Python's object have a dunder of this name? Those exist and are unsafe. */
static bool is_dunder(rf_jv obj, rf_str name) {
    static const char *const common[] = {"__class__",
                                         "__doc__",
                                         "__eq__",
                                         "__ne__",
                                         "__lt__",
                                         "__le__",
                                         "__gt__",
                                         "__ge__",
                                         "__hash__",
                                         "__init__",
                                         "__new__",
                                         "__repr__",
                                         "__str__",
                                         "__format__",
                                         "__reduce__",
                                         "__reduce_ex__",
                                         "__getattribute__",
                                         "__setattr__",
                                         "__delattr__",
                                         "__dir__",
                                         "__sizeof__",
                                         "__subclasshook__",
                                         "__init_subclass__",
                                         "__getstate__"};
    static const char *const sized[] = {"__len__", "__getitem__", "__contains__", "__iter__",
                                        "__mul__", "__rmul__",    "__add__"};
    if (obj.type == RF_J_NAMESPACE)
        return rf_str_is(name, "__class__");
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (rf_str_is(name, common[i]))
            return true;
    bool holds = obj.type == RF_J_STR || obj.type == RF_J_LIST || obj.type == RF_J_TUPLE ||
                 obj.type == RF_J_DICT || obj.type == RF_J_RANGE;
    for (size_t i = 0; holds && i < sizeof sized / sizeof *sized; i++)
        if (rf_str_is(name, sized[i]))
            return true;
    if (rf_str_is(name, "__mod__") || rf_str_is(name, "__rmod__"))
        return obj.type == RF_J_STR || rf_jv_is_number(obj);
    if (rf_jv_is_number(obj))
        return rf_str_is(name, "__add__") || rf_str_is(name, "__int__") ||
               rf_str_is(name, "__float__") || rf_str_is(name, "__abs__") ||
               rf_str_is(name, "__mul__") || rf_str_is(name, "__bool__");
    if (obj.type == RF_J_MACRO || obj.type == RF_J_METHOD || obj.type == RF_J_FUNCTION)
        return rf_str_is(name, "__call__") || rf_str_is(name, "__name__") ||
               rf_str_is(name, "__self__") || rf_str_is(name, "__module__") ||
               rf_str_is(name, "__qualname__") || rf_str_is(name, "__globals__") ||
               rf_str_is(name, "__code__") || rf_str_is(name, "__dict__");
    return false;
}

static bool is_mutator(rf_jv obj, rf_str name) {
    static const char *const list[] = {"append", "clear", "pop",    "reverse",
                                       "insert", "sort",  "extend", "remove"};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update"};
    const char *const *names = obj.type == RF_J_LIST ? list : dict;
    size_t n = obj.type == RF_J_LIST ? sizeof list / sizeof *list : sizeof dict / sizeof *dict;
    if (obj.type != RF_J_LIST && obj.type != RF_J_DICT)
        return false;
    for (size_t i = 0; i < n; i++)
        if (rf_str_is(name, names[i]))
            return true;
    return false;
}

static bool unsafe_undefined(rf_vm *vm, rf_jv obj, rf_str name, rf_jv *out) {
    size_t mark = rf_vm_mark(vm);
    rf_jv hint;
    rf_buf_text(&vm->scratch, "access to attribute ");
    rf_jv_append_quoted(name, false, &vm->scratch);
    rf_buf_printf(&vm->scratch, " of '%s' object is unsafe.", rf_jv_type_name(obj));
    if (!rf_vm_take(vm, mark, &hint) ||
        !rf_vm_undefined_hint(vm, rf_jv_view(hint), rf_jv_str(name), out))
        return false;
    out->u.undef->sandbox = true;
    out->u.undef->obj = obj;
    return true;
}

/* The attribute as the sandbox hands it out. */
static bool safe_attr(rf_vm *vm, rf_jv obj, rf_str name, rf_jv *out, bool *found) {
    if (obj.type != RF_J_UNDEFINED && (is_mutator(obj, name) || is_dunder(obj, name))) {
        *found = true;
        return unsafe_undefined(vm, obj, name, out);
    }
    if (!rf_jv_own_attr(vm, obj, name, out, found))
        return false;
    if (*found && name.len && name.ptr[0] == '_')
        return unsafe_undefined(vm, obj, name, out);
    return true;
}

static bool self_block(rf_vm *vm, rf_str name, rf_jv *out, bool *found) {
    *found = false;
    for (uint32_t i = 0; i < vm->code->n_blocks && !*found; i++)
        if (rf_str_eq(vm->code->blocks[i].name, name)) {
            *out = (rf_jv){.type = RF_J_BLOCK, .aux = (uint16_t)i};
            *found = true;
        }
    return true;
}

/* obj[key] of Python; *found false stands for its LookupError and TypeError. */
static bool plain_item(rf_vm *vm, rf_jv obj, rf_jv key, rf_jv *out, bool *found) {
    *found = false;
    bool is_index = key.type == RF_J_INT || key.type == RF_J_BOOL;
    int64_t length, i;
    switch (obj.type) {
    case RF_J_DICT:
        if (key.type == RF_J_LIST || key.type == RF_J_DICT || key.type == RF_J_SLICE)
            return true;
        return rf_jdict_get(vm, obj.u.dict, key, out, found);
    case RF_J_SELF: return key.type != RF_J_STR || self_block(vm, rf_jv_view(key), out, found);
    case RF_J_STR:
    case RF_J_LIST:
    case RF_J_TUPLE:
    case RF_J_RANGE:
        if (!is_index)
            return true;
        break;
    case RF_J_UNDEFINED: return rf_vm_fail_undefined(vm, obj);
    default: return true;
    }
    if (!rf_jv_length(vm, obj, &length))
        return false;
    i = rf_jv_small(key);
    if (i < 0)
        i += length;
    *found = i >= 0 && i < length;
    if (!*found)
        return true;
    if (obj.type == RF_J_RANGE) {
        *out = rf_jv_int(obj.u.range->start + i * obj.u.range->step);
    } else if (obj.type == RF_J_STR) {
        uint32_t code;
        rf_str s = rf_jv_view(obj);
        if (obj.flags & RF_JF_BYTES) {
            *out = rf_jv_int((unsigned char)s.ptr[i]);
            return true;
        }
        size_t at = (int64_t)s.len == length ? (size_t)i : rf_chars_offset(s, (size_t)i);
        *out = rf_jv_str(rf_str_sub(s, at, at + rf_chars_at(s, at, &code)));
        out->flags = obj.flags;
    } else {
        *out = obj.u.seq->items[i];
    }
    return true;
}

bool rf_jv_attr(rf_vm *vm, rf_jv obj, rf_str name, rf_jv *out) {
    bool found;
    if (!safe_attr(vm, obj, name, out, &found))
        return false;
    if (!found && !plain_item(vm, obj, rf_jv_str(name), out, &found))
        return false;
    return found || rf_vm_undefined(vm, obj, rf_jv_str(name), out);
}

bool rf_jv_item(rf_vm *vm, rf_jv obj, rf_jv key, rf_jv *out) {
    bool found;
    if (!plain_item(vm, obj, key, out, &found))
        return false;
    if (!found && key.type == RF_J_STR && !safe_attr(vm, obj, rf_jv_view(key), out, &found))
        return false;
    return found || rf_vm_undefined(vm, obj, key, out);
}

bool rf_jv_path(rf_vm *vm, rf_jv obj, rf_jv path, rf_jv fallback, rf_jv *out) {
    *out = obj;
    if (path.type == RF_J_MISSING || path.type == RF_J_NONE)
        return true;
    if (path.type != RF_J_STR) {
        if (!rf_jv_item(vm, obj, path, out))
            return false;
        if (out->type == RF_J_UNDEFINED && fallback.type != RF_J_MISSING)
            *out = fallback;
        return true;
    }
    rf_str rest = rf_jv_view(path);
    for (bool more = true; more;) {
        const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
        rf_str part = dot ? rf_str_sub(rest, 0, (size_t)(dot - rest.ptr)) : rest;
        more = dot != NULL;
        rest = rf_str_sub(rest, part.len + more, rest.len);
        rf_jv key = rf_jv_str(part);
        size_t digits = strspn(part.len ? part.ptr : "", "0123456789");
        if (part.len && digits >= part.len && part.len < 18) {
            int64_t value = 0;
            for (size_t i = 0; i < part.len; i++)
                value = value * 10 + (part.ptr[i] - '0');
            key = rf_jv_int(value);
        }
        if (!rf_jv_item(vm, *out, key, out))
            return false;
        if (out->type == RF_J_UNDEFINED && fallback.type != RF_J_MISSING)
            *out = fallback;
    }
    return true;
}
