#include "server/refusal.h"

#include <stdarg.h>
#include <stdio.h>

#include "chat/messages.h"

typedef struct kind_row {
    int http_status;
    const char *type, *code;
} kind_row;

static const kind_row kinds[] = {
#define X(id, http_status, type, code) {http_status, type, code},
#include "server/refusals.def"
#undef X
};

bool rf_refuse(rf_refusal *refusal, rf_refusal_kind kind, const char *param, const char *fmt, ...) {
    if (refusal->kind != RF_REFUSE_NOTHING)
        return false;
    char text[RF_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    refusal->kind = kind;
    (void)rf_fail(&refusal->error, RF_ERR_INVALID, "%s", text);
    (void)snprintf(refusal->param, sizeof refusal->param, "%s", param ? param : "");
    return false;
}

bool rf_refuse_status(rf_refusal *refusal, const char *param, const rf_error *err) {
    rf_refusal_kind kind =
        err->code == RF_ERR_NO_MEMORY || err->code == RF_ERR_INTERNAL || err->code == RF_ERR_IO
            ? RF_REFUSE_FAILED
            : RF_REFUSE_VALUE;
    return rf_refuse(refusal, kind, param, "%s", err->text);
}

int rf_refusal_http_status(rf_refusal_kind kind) { return kinds[kind].http_status; }

const char *rf_refusal_code(rf_refusal_kind kind) { return kinds[kind].code; }

void rf_refusal_write(const rf_refusal *refusal, rf_buf *out) {
    const kind_row *kind = &kinds[refusal->kind];
    rf_buf_text(out, "{\"error\":{\"message\":");
    rf_json_append_string(out, rf_str_of(refusal->error.text));
    rf_buf_printf(out, ",\"type\":\"%s\",\"param\":", kind->type);
    if (refusal->param[0])
        rf_json_append_string(out, rf_str_of(refusal->param));
    else
        rf_buf_text(out, "null");
    rf_buf_printf(out, ",\"code\":\"%s\"}}", kind->code);
}

void rf_refusal_write_anthropic(const rf_refusal *refusal, const char *id, rf_buf *out) {
    static const struct {
        int http_status;
        const char *type;
    } types[] = {{401, "authentication_error"}, {403, "permission_error"}, {404, "not_found_error"},
                 {413, "request_too_large"},    {429, "rate_limit_error"}, {500, "api_error"},
                 {503, "overloaded_error"}};
    const char *type = "invalid_request_error";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].http_status == kinds[refusal->kind].http_status)
            type = types[i].type;
    rf_buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
    rf_json_append_string(out, rf_str_of(refusal->error.text));
    rf_buf_text(out, ",\"param\":");
    if (refusal->param[0])
        rf_json_append_string(out, rf_str_of(refusal->param));
    else
        rf_buf_text(out, "null");
    rf_buf_printf(out, ",\"code\":\"%s\"},\"request_id\":\"%s\"}", kinds[refusal->kind].code, id);
}
