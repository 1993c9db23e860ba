/*
 * Arguments of built-in functions. A spec lists the parameters, separated by spaces: "width" is
 * required, "width?" may be left out (MISSING then), "/" at the start forbids keywords.
 */
#include "chat/jinja_object.h"

typedef struct parameter {
    rf_str name;
    bool optional;
} parameter;

static size_t parse_spec(const char *spec, parameter *params) {
    size_t n = 0;
    while (*spec && n < RF_JARGS_MAX) {
        size_t len = strcspn(spec, " ");
        bool optional = spec[len - 1] == '?';
        params[n++] = (parameter){{spec, len - optional}, optional};
        spec += len + strspn(spec + len, " ");
    }
    return n;
}

bool rf_args_bind(rf_vm *vm, const char *who, const char *spec, const rf_jargs *args, rf_jv *out) {
    parameter params[RF_JARGS_MAX];
    bool positional = spec[0] == '/';
    size_t n = parse_spec(positional ? spec + 1 : spec, params);
    for (size_t i = 0; i < RF_JARGS_MAX; i++)
        out[i] = rf_jv_of(RF_J_MISSING);
    if (args->n_pos > n)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "%s() takes at most %zu arguments (%zu given)", who,
                          n, args->n_pos);
    for (size_t i = 0; i < args->n_pos; i++)
        out[i] = args->pos[i];
    if (positional && args->n_kw)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "%s() takes no keyword arguments", who);
    for (size_t k = 0; k < args->n_kw; k++) {
        size_t i = 0;
        while (i < n && !rf_str_eq(params[i].name, args->kw_names[k]))
            i++;
        if (i == n)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "%s() got an unexpected keyword argument '%.*s'", who,
                              RF_STR_ARG(args->kw_names[k]));
        if (out[i].type != RF_J_MISSING)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "%s() got multiple values for argument '%.*s'",
                              who, RF_STR_ARG(args->kw_names[k]));
        out[i] = args->kw_values[k];
    }
    for (size_t i = 0; i < n; i++)
        if (out[i].type == RF_J_MISSING && !params[i].optional)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "%s() missing 1 required positional argument: '%.*s'", who,
                              RF_STR_ARG(params[i].name));
    return true;
}
