#include "server/api_reference.h"

#include "sample/sample_params.h"
#include "server/operations.h"
#include "server/routes.h"

/* `POST /v1/tokenize`, `/tokenize` */
static void write_paths(rf_operation_id id, rf_buf *out) {
    const char *before = "";
    for (size_t i = 0; rf_route_at(i); i++) {
        const rf_route *route = rf_route_at(i);
        bool tail = route->path.ptr[route->path.len - 1] == '/';
        if (route->operation != id)
            continue;
        rf_buf_printf(out, "%s`%s%s%s`", before,
                      *before                          ? ""
                      : route->method == RF_METHOD_GET ? "GET "
                                                       : "POST ",
                      route->path.ptr, tail ? "NAME" : "");
        before = ", ";
    }
}

static const rf_route *first_route(rf_operation_id id) {
    for (size_t i = 0; rf_route_at(i); i++)
        if (rf_route_at(i)->operation == id)
            return rf_route_at(i);
    return NULL;
}

static void write_endpoints(rf_buf *out) {
    rf_buf_text(out, "## Endpoints\n\n| endpoint | key | |\n|---|---|---|\n");
    for (int i = 0; i < RF_OPERATION_COUNT; i++) {
        const rf_route *route = first_route((rf_operation_id)i);
        if (!route)
            continue;
        const rf_operation *operation = rf_operation_at((rf_operation_id)i);
        rf_buf_text(out, "| ");
        write_paths((rf_operation_id)i, out);
        rf_buf_printf(out, " | %s | %s%s |\n", route->access == RF_ACCESS_KEY ? "yes" : "no",
                      operation->help,
                      rf_reply_shape_at(operation->reply)->streams ? " Streamed too." : "");
    }
}

static void write_range(double least, double most, rf_buf *out) {
    rf_buf_printf(out, " %.10g to %.10g", least, most);
}

/* What a value may be, as the field's kind has it. */
static void write_values(const rf_field_info *info, rf_buf *out) {
    switch (info->kind) {
    case RF_FIELD_KIND_FLAG: rf_buf_text(out, "true or false"); break;
    case RF_FIELD_KIND_INT:
        rf_buf_text(out, "integer");
        write_range(info->least, info->most, out);
        break;
    case RF_FIELD_KIND_REAL:
        rf_buf_text(out, "number");
        write_range(info->least, info->most, out);
        break;
    case RF_FIELD_KIND_TEXT: rf_buf_printf(out, "text, at most %.0f bytes", info->most); break;
    case RF_FIELD_KIND_LIST: rf_buf_printf(out, "list, at most %.0f", info->most); break;
    case RF_FIELD_KIND_OBJECT: rf_buf_text(out, "object"); break;
    case RF_FIELD_KIND_ANY: break;
    case RF_FIELD_KIND_IGNORED: rf_buf_text(out, "*ignored*"); break;
    case RF_FIELD_KIND_REFUSED: rf_buf_text(out, "**not supported**"); break;
    }
}

static void write_default(const rf_field_info *info, rf_buf *out) {
    if (info->kind == RF_FIELD_KIND_FLAG)
        rf_buf_text(out, info->fallback > 0 ? "true" : "false");
    else if (info->kind <= RF_FIELD_KIND_REAL && info->fallback >= info->least &&
             info->fallback <= info->most)
        rf_buf_printf(out, "%.10g", info->fallback);
}

static void write_fields(const rf_operation *operation, rf_operation_id id, rf_buf *out) {
    rf_buf_text(out, "\n## ");
    write_paths(id, out);
    rf_buf_text(out, "\n\n| field | value | default | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < RF_FIELD_COUNT; i++) {
        const rf_field_info *info = rf_field_at(i);
        const rf_field_shape *shape = rf_field_shape_at(i);
        if (!rf_field_is_of(info, operation->body))
            continue;
        rf_buf_printf(out, "| `%s`%s | ", info->name, shape->required ? ", required" : "");
        write_values(info, out);
        rf_buf_text(out, " | ");
        write_default(info, out);
        rf_buf_printf(out, " | %s |\n", shape->help ? shape->help : "");
    }
    if (rf_ask_endpoint_samples(operation->body))
        rf_buf_text(out, "\nAnd the [samplers](#samplers).\n");
}

static void write_samplers(rf_buf *out) {
    rf_buf_text(out, "\n## Samplers\n\nThe defaults are those of the command line.\n\n"
                     "| field | value | default | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_sample_param_info *info = rf_sample_param_at(i);
        bool whole = info->kind == RF_SAMPLE_PARAM_INT;
        rf_buf_printf(out, "| `%s` | %s", info->json, whole ? "integer" : "number");
        if (whole)
            rf_buf_printf(out, " %lld to %lld", (long long)info->int_min, (long long)info->int_max);
        else
            write_range(info->min, info->max, out);
        rf_buf_printf(out, " | %.6g | %s |\n", info->def, info->help);
    }
}

static void write_errors(rf_buf *out) {
    rf_buf_text(out, "\n## Errors\n\n`{\"error\": {\"message\", \"type\", \"param\", \"code\"}}`: "
                     "`param` is the field that is wrong, or null.\n\n"
                     "| status | code |\n|---|---|\n");
    for (int i = 0; i < RF_REFUSE_COUNT; i++)
        if (i != RF_REFUSE_NOTHING)
            rf_buf_printf(out, "| %d | `%s` |\n", rf_refusal_http_status((rf_refusal_kind)i),
                          rf_refusal_code((rf_refusal_kind)i));
}

void rf_api_reference_write(rf_buf *out) {
    rf_buf_text(
        out,
        "# HTTP API\n\nMade by `rocmforge help http` from the tables that the server goes by; "
        "`/openapi.json` (`rocmforge help openapi`) has the schemas too.\n\n"
        "`null` is as absent. Names that are not listed are ignored, with a line in the log for "
        "the first of each. Integers may come as `5.0`. Fields that are *ignored* change nothing; "
        "those that are **not supported** are refused with `unsupported_parameter` where they ask "
        "for something.\n\n");
    write_endpoints(out);
    for (int i = 0; i < RF_OPERATION_COUNT; i++) {
        const rf_operation *operation = rf_operation_at((rf_operation_id)i);
        if (operation->body != RF_ASK_NONE && first_route((rf_operation_id)i))
            write_fields(operation, (rf_operation_id)i, out);
    }
    write_samplers(out);
    write_errors(out);
}
