#include "chat/template.h"

#include "base/alloc.h"
#include "base/map.h"
#include "chat/jinja_compiler.h"
#include "chat/jinja_context.h"
#include "chat/jinja_object.h"

enum { DEFAULT_STEPS = 5000000, DEFAULT_DEPTH = 400, DEFAULT_BYTES = 64 << 20 };

struct rf_template {
    rf_arena arena;
    rf_template_limits limits;
    rf_jcode code;
    rf_str source;
};

const char *rf_template_error_kind_name(rf_template_error_kind kind) {
    static const char *const names[] = {"none",    "raise_exception", "undefined", "type",
                                        "sandbox", "limit",           "other"};
    return (unsigned)kind < RF_TEMPLATE_ERROR_KIND_COUNT ? names[kind] : "unknown";
}

static rf_template_limits with_defaults(const rf_template_limits *given) {
    rf_template_limits l = given ? *given : (rf_template_limits){0};
    if (l.max_steps == 0)
        l.max_steps = DEFAULT_STEPS;
    if (l.max_depth == 0)
        l.max_depth = DEFAULT_DEPTH;
    if (l.max_output_bytes == 0)
        l.max_output_bytes = DEFAULT_BYTES;
    if (l.max_memory_bytes == 0)
        l.max_memory_bytes = DEFAULT_BYTES;
    if (l.max_memory_bytes > INT32_MAX)
        l.max_memory_bytes = INT32_MAX; /* lengths of strings have 32 bits */
    return l;
}

rf_status rf_template_compile(rf_str source, const rf_template_limits *limits, rf_template **out,
                              rf_error *err) {
    rf_template *t = rf_calloc(1, sizeof *t);
    if (!t)
        return rf_fail(err, RF_ERR_NO_MEMORY, "template: no memory");
    t->limits = with_defaults(limits);
    rf_arena_init(&t->arena, t->limits.max_memory_bytes);
    t->source = rf_arena_str(&t->arena, source);
    rf_status status = rf_jinja_compile(source, &t->arena, t->limits.max_depth, &t->code, err);
    if (status != RF_OK) {
        rf_template_destroy(t);
        return status;
    }
    *out = t;
    return RF_OK;
}

rf_str rf_template_source(const rf_template *tmpl) { return tmpl->source; }

void rf_template_destroy(rf_template *tmpl) {
    if (!tmpl)
        return;
    rf_arena_deinit(&tmpl->arena);
    rf_free(tmpl);
}

/* The values that names have outside of all scopes: the context's, then the built-in functions. */
static bool bind_context(rf_vm *vm, const rf_jdict *dict) {
    vm->context = rf_vm_alloc(vm, vm->code->n_names + 1, sizeof *vm->context);
    if (!vm->context)
        return false;
    for (uint32_t i = 0; i < vm->code->n_names; i++) {
        rf_str name = vm->code->names[i];
        bool found;
        int row = rf_global_find(name);
        vm->context[i] = rf_jv_of(RF_J_MISSING);
        if (!rf_jdict_get_str(vm, dict, name, &vm->context[i], &found))
            return false;
        if (!found && row >= 0)
            vm->context[i] = (rf_jv){.type = RF_J_FUNCTION, .aux = (uint16_t)row};
        else if (!found && rf_str_is(name, "self"))
            vm->context[i] = rf_jv_of(RF_J_SELF);
    }
    return true;
}

static bool start(rf_vm *vm, rf_str context) {
    rf_jv root;
    const char *problem = NULL;
    size_t at;
    if (!rf_jv_from_json(vm, context, &root, &problem, &at))
        return problem ? rf_vm_fail(vm, RF_TEMPLATE_OTHER, "context: %s at byte %zu", problem, at)
                       : false;
    if (root.type != RF_J_DICT)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "context: expected a JSON object");
    uint32_t cap = 0;
    if (!bind_context(vm, root.u.dict) ||
        !rf_vm_grow(vm, (void **)&vm->stack, &cap, 64, sizeof *vm->stack))
        return false;
    vm->cap_stack = cap;
    vm->root = vm->scope = rf_scope_enter(vm, NULL, 0);
    return vm->root != NULL;
}

static rf_status finish(rf_vm *vm, bool ok, rf_buf *out, rf_template_error_kind *kind,
                        rf_error *err) {
    *kind = ok ? RF_TEMPLATE_NO_ERROR : vm->error_kind;
    rf_str text = ok ? rf_buf_view(&vm->out) : rf_buf_view(&vm->error_text);
    rf_buf_str(out, text);
    if (vm->no_memory || out->failed)
        return rf_fail(err, RF_ERR_NO_MEMORY, "template: no memory for the rendered text");
    if (ok)
        return RF_OK;
    rf_status status = *kind == RF_TEMPLATE_LIMIT ? RF_ERR_LIMIT : RF_ERR_INVALID;
    if (*kind == RF_TEMPLATE_RAISED)
        return rf_fail(err, status, "%.*s", (int)(text.len < 900 ? text.len : 900), text.ptr);
    uint32_t line = vm->pc > 0 ? vm->code->code[vm->pc - 1].line : 0;
    return rf_fail(err, status, "line %u: %.*s", line, (int)(text.len < 900 ? text.len : 900),
                   text.ptr ? text.ptr : "");
}

rf_status rf_template_render(const rf_template *tmpl, rf_str context, int64_t clock, rf_buf *out,
                             rf_template_error_kind *kind, rf_error *err) {
    const rf_template_limits *limits = &tmpl->limits;
    rf_vm vm = {.code = &tmpl->code,
                .max_steps = limits->max_steps,
                .max_depth = limits->max_depth,
                .clock = clock,
                .hash_seed = rf_hash_random_seed()};
    rf_arena_init(&vm.arena, limits->max_memory_bytes);
    rf_buf_init(&vm.out, limits->max_output_bytes);
    rf_buf_init(&vm.scratch, limits->max_memory_bytes);
    rf_buf_init(&vm.error_text, limits->max_memory_bytes);
    bool ok = start(&vm, context) && rf_vm_run(&vm);
    rf_status status = finish(&vm, ok, out, kind, err);
    rf_buf_deinit(&vm.error_text);
    rf_buf_deinit(&vm.scratch);
    rf_buf_deinit(&vm.out);
    rf_arena_deinit(&vm.arena);
    return status;
}
