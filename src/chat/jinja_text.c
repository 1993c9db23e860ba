/* Memory, strings and errors of a render. */
#include <stdarg.h>
#include <stdio.h>

#include "base/checked.h"
#include "chat/jinja_object.h"

bool rf_vm_fail_text(rf_vm *vm, rf_template_error_kind kind, rf_str text) {
    if (vm->error_kind != RF_TEMPLATE_NO_ERROR)
        return false;
    vm->error_kind = kind;
    rf_buf_clear(&vm->error_text);
    rf_buf_str(&vm->error_text, text);
    return false;
}

bool rf_vm_fail(rf_vm *vm, rf_template_error_kind kind, const char *fmt, ...) {
    char text[RF_ERROR_TEXT_BYTES / 2];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return rf_vm_fail_text(vm, kind, rf_str_of(text));
}

bool rf_vm_fail_memory(rf_vm *vm) {
    bool heap = vm->arena.total_bytes + (vm->arena.max_bytes >> 4) < vm->arena.max_bytes;
    vm->no_memory |= heap;
    return rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "the template needs more than %zu bytes of memory",
                      vm->arena.max_bytes);
}

/* "dict object", "None": jinja2.utils.object_type_repr */
static const char *object_text(rf_jv obj, char *buf, size_t n) {
    static const char *const own[] = {
        [RF_J_NAMESPACE] =
            "transformers.utils.chat_template_utils._cached_compile_jinja_template.<locals>."
            "TemplateNamespace object",
        [RF_J_MACRO] = "jinja2.runtime.Macro object",
        [RF_J_LOOP] = "jinja2.runtime.LoopContext object",
        [RF_J_CYCLER] = "jinja2.utils.Cycler object",
        [RF_J_JOINER] = "jinja2.utils.Joiner object",
        [RF_J_SELF] = "jinja2.runtime.TemplateReference object",
        [RF_J_BLOCK] = "jinja2.runtime.BlockReference object",
    };
    if (obj.type == RF_J_NONE)
        return "None";
    if (obj.type < sizeof own / sizeof *own && own[obj.type])
        return own[obj.type];
    (void)snprintf(buf, n, "%s%s object", rf_jv_is_markup(obj) ? "markupsafe." : "",
                   rf_jv_type_name(obj));
    return buf;
}

bool rf_vm_fail_undefined(rf_vm *vm, rf_jv v) {
    char buf[96];
    const rf_jundef *u = v.u.undef;
    if (!u)
        return rf_vm_fail(vm, RF_TEMPLATE_UNDEFINED, "value is undefined");
    rf_template_error_kind kind = u->sandbox ? RF_TEMPLATE_SANDBOX : RF_TEMPLATE_UNDEFINED;
    if (u->hint.type == RF_J_STR)
        return rf_vm_fail_text(vm, kind, rf_jv_view(u->hint));
    size_t mark = rf_vm_mark(vm);
    rf_jv name = rf_jv_text("");
    if (!rf_jv_append_repr(vm, u->name, &vm->scratch) || !rf_vm_take(vm, mark, &name))
        return false;
    if (u->obj.type == RF_J_MISSING)
        return rf_vm_fail(vm, kind, "%.*s is undefined", RF_STR_ARG(rf_jv_view(name)));
    if (u->name.type != RF_J_STR)
        return rf_vm_fail(vm, kind, "%s has no element %.*s", object_text(u->obj, buf, sizeof buf),
                          RF_STR_ARG(rf_jv_view(name)));
    return rf_vm_fail(vm, kind, "'%s' has no attribute %.*s", object_text(u->obj, buf, sizeof buf),
                      RF_STR_ARG(rf_jv_view(name)));
}

void *rf_vm_alloc(rf_vm *vm, size_t count, size_t bytes) {
    size_t total;
    void *ptr = rf_mul_size(count, bytes, &total) ? rf_arena_alloc(&vm->arena, total, 8) : NULL;
    if (!ptr)
        (void)rf_vm_fail_memory(vm);
    return ptr;
}

bool rf_vm_charge(rf_vm *vm, uint64_t n) {
    vm->steps += n;
    if (vm->steps <= vm->max_steps)
        return true;
    return rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "the template takes more than %llu steps",
                      (unsigned long long)vm->max_steps);
}

bool rf_vm_grow(rf_vm *vm, void **array, uint32_t *cap, uint32_t n, size_t bytes) {
    if (n <= *cap)
        return true;
    if (n > UINT32_MAX / 2)
        return rf_vm_fail_memory(vm);
    uint32_t grown_cap = *cap ? *cap * 2 : 4;
    if (grown_cap < n)
        grown_cap = n;
    void *grown = rf_vm_alloc(vm, grown_cap, bytes);
    if (!grown)
        return false;
    if (*cap)
        memcpy(grown, *array, *cap * bytes);
    *array = grown;
    *cap = grown_cap;
    return true;
}

bool rf_vm_copy(rf_vm *vm, rf_str text, rf_jv *out) {
    char *copy = rf_vm_alloc(vm, text.len + 1, 1);
    if (!copy)
        return false;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    *out = rf_jv_str((rf_str){copy, text.len});
    return true;
}

bool rf_vm_take(rf_vm *vm, size_t mark, rf_jv *out) {
    if (vm->scratch.failed)
        return rf_vm_fail_memory(vm);
    rf_str text = rf_str_sub(rf_buf_view(&vm->scratch), mark, vm->scratch.len);
    vm->scratch.len = mark;
    return rf_vm_charge(vm, text.len / 64) && rf_vm_copy(vm, text, out);
}

bool rf_vm_string(rf_vm *vm, rf_jv *out, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return rf_vm_copy(vm, (rf_str){text, n < 0 ? 0 : strnlen(text, sizeof text)}, out);
}

bool rf_vm_list(rf_vm *vm, rf_jtype type, const rf_jv *items, size_t n, rf_jv *out) {
    rf_jseq *seq = rf_vm_alloc(vm, 1, sizeof *seq);
    rf_jv *copy = seq ? rf_vm_alloc(vm, n ? n : 1, sizeof *copy) : NULL;
    if (!copy)
        return false;
    if (n)
        memcpy(copy, items, n * sizeof *copy);
    *seq = (rf_jseq){copy, n};
    *out = rf_jv_seq(type, seq);
    return true;
}

static bool make_undefined(rf_vm *vm, rf_jundef what, rf_jv *out) {
    rf_jundef *u = rf_vm_alloc(vm, 1, sizeof *u);
    if (!u)
        return false;
    *u = what;
    *out = (rf_jv){.type = RF_J_UNDEFINED, .u.undef = u};
    return true;
}

bool rf_vm_undefined(rf_vm *vm, rf_jv obj, rf_jv name, rf_jv *out) {
    return make_undefined(vm, (rf_jundef){.obj = obj, .name = name}, out);
}

bool rf_vm_undefined_hint(rf_vm *vm, rf_str hint, rf_jv name, rf_jv *out) {
    return make_undefined(vm, (rf_jundef){.hint = rf_jv_str(hint), .name = name}, out);
}

/* Concatenation extends its left operand in place when that one ends at the arena's top, as it
 * does in `a + b + c`: strings are immutable, so sharing the bytes is safe. */
bool rf_jv_concat(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out) {
    size_t total = (size_t)a.len + b.len;
    rf_arena *arena = &vm->arena;
    char *top = arena->chunk ? (char *)arena->chunk + arena->used : NULL;
    if (total > UINT32_MAX)
        return rf_vm_fail_memory(vm);
    if (!rf_vm_charge(vm, total / 256))
        return false;
    char *text;
    if (a.len && a.u.s + a.len == top && arena->cap - arena->used > b.len) {
        text = (char *)arena->chunk + arena->used - a.len;
        arena->used += b.len;
    } else {
        text = rf_arena_alloc(arena, total + 1, 1);
        if (!text)
            return rf_vm_fail_memory(vm);
        arena->used--; /* the spare byte only keeps empty strings apart */
        if (a.len)
            memcpy(text, a.u.s, a.len);
    }
    if (b.len)
        memcpy(text + a.len, b.u.s, b.len);
    uint8_t flags = a.flags;
    *out = rf_jv_str((rf_str){text, total});
    out->flags = flags;
    return true;
}
