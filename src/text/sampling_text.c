#include "text/sampling_text.h"

#include "base/number.h"

enum { NUMBER_MAX_BYTES = 64 };

static bool is_gap(char c) { return c == ' ' || c == ',' || c == '\n' || c == '\t'; }

static rf_status find(rf_str name, size_t *out, rf_error *err) {
    for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_sample_param_info *info = rf_sample_param_at(i);
        if (rf_str_is(name, info->json) || rf_str_is(name, info->field)) {
            *out = i;
            return RF_OK;
        }
    }
    return rf_fail(err, RF_ERR_USAGE,
                   "sampling: setting \"%.*s\" is unknown, expected one such as temperature, "
                   "top_k, top_p, min_p, seed or samplers",
                   RF_STR_ARG(name));
}

static rf_status set(rf_sample_params *params, rf_str name, rf_str value, rf_error *err) {
    if (rf_str_is(name, "samplers")) {
        if (rf_sample_order_from_names(params, value, err) != RF_OK)
            return rf_fail_prefix(err, "sampling: samplers");
        return RF_OK;
    }
    size_t i = 0;
    RF_TRY(find(name, &i, err));
    char number[NUMBER_MAX_BYTES];
    if (value.len < sizeof number) {
        memcpy(number, value.ptr, value.len);
        number[value.len] = 0;
        int64_t integer;
        double real;
        if (rf_sample_param_at(i)->kind == RF_SAMPLE_PARAM_INT && rf_number_int(number, &integer))
            return rf_sample_param_set_int(params, i, integer, err);
        if (rf_sample_param_at(i)->kind == RF_SAMPLE_PARAM_FLOAT && rf_number_real(number, &real))
            return rf_sample_param_set_float(params, i, real, err);
    }
    return rf_fail(err, RF_ERR_USAGE, "sampling: %.*s is \"%.*s\", expected %s", RF_STR_ARG(name),
                   RF_STR_ARG(value),
                   rf_sample_param_at(i)->kind == RF_SAMPLE_PARAM_INT ? "an integer" : "a number");
}

rf_status rf_sampling_text_apply(rf_str text, rf_sample_params *params, rf_error *err) {
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        while (end < text.len && !is_gap(text.ptr[end]))
            end++;
        rf_str setting = rf_str_sub(text, at, end);
        const char *equals = setting.len ? memchr(setting.ptr, '=', setting.len) : NULL;
        if (setting.len > 0 && !equals)
            return rf_fail(err, RF_ERR_USAGE, "sampling: found \"%.*s\", expected name=value",
                           RF_STR_ARG(setting));
        if (equals) {
            size_t n = (size_t)(equals - setting.ptr);
            RF_TRY(set(params, rf_str_sub(setting, 0, n), rf_str_sub(setting, n + 1, setting.len),
                       err));
        }
        at = end + 1;
    }
    return RF_OK;
}
