#include "server/openapi.h"

#include "chat/messages.h"
#include "sample/sample_params.h"
#include "server/operations.h"
#include "server/routes.h"

static void text(rf_buf *out, const char *s) { rf_json_append_string(out, rf_str_of(s)); }

/* ---- fields of bodies ---------------------------------------------------------------------- */

/* What a row's kind says: null is as absent, where it may be. */
static void write_kind(const rf_field_info *info, bool required, rf_buf *out) {
    static const char *const types[] = {"boolean", "integer", "number",
                                        "string",  "array",   "object"};
    static const char *const bounds[][2] = {
        {"minimum", "maximum"},     {"minimum", "maximum"},   {"minimum", "maximum"},
        {"minLength", "maxLength"}, {"minItems", "maxItems"}, {"minProperties", "maxProperties"}};
    if (info->kind == RF_FIELD_KIND_REFUSED) {
        rf_buf_text(out, "\"anyOf\":[{\"enum\":[null,false,\"\",\"none\",\"auto\",[],{}]},"
                         "{\"type\":\"number\",\"maximum\":0},"
                         "{\"type\":\"object\",\"required\":[\"type\"],"
                         "\"properties\":{\"type\":{\"const\":\"text\"}}}]");
        return;
    }
    if (info->kind > RF_FIELD_KIND_OBJECT) {
        rf_buf_text(out, "\"x-any\":true");
        return;
    }
    rf_buf_printf(out, required ? "\"type\":\"%s\"" : "\"type\":[\"%s\",\"null\"]",
                  types[info->kind]);
    if (info->kind != RF_FIELD_KIND_FLAG) {
        rf_buf_printf(out, ",\"%s\":%.17g", bounds[info->kind][0], info->least);
        rf_buf_printf(out, ",\"%s\":%.17g", bounds[info->kind][1], info->most);
    }
    if (info->kind == RF_FIELD_KIND_FLAG)
        rf_buf_printf(out, ",\"default\":%s", info->fallback > 0 ? "true" : "false");
    else if (info->kind <= RF_FIELD_KIND_REAL && info->fallback >= info->least &&
             info->fallback <= info->most)
        rf_buf_printf(out, ",\"default\":%.17g", info->fallback);
}

static void write_help(const rf_field_info *info, const char *help, rf_buf *out) {
    bool refused = info->kind == RF_FIELD_KIND_REFUSED;
    bool ignored = info->kind == RF_FIELD_KIND_IGNORED;
    if (!help && !refused && !ignored)
        return;
    rf_buf_text(out, ",\"description\":");
    text(out, help      ? help
              : refused ? "not supported: refused where it asks for something"
                        : "taken and ignored");
}

static void write_field(size_t i, rf_buf *out) {
    const rf_field_info *info = rf_field_at(i);
    const rf_field_shape *shape = rf_field_shape_at(i);
    text(out, info->name);
    rf_buf_text(out, ":{");
    if (shape->schema) {
        rf_buf_str(out, rf_str_sub(rf_str_of(shape->schema), 1, strlen(shape->schema) - 1));
    } else {
        write_kind(info, shape->required, out);
    }
    write_help(info, shape->help, out);
    rf_buf_put(out, '}');
}

static void write_samplers(rf_buf *out) {
    for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_sample_param_info *info = rf_sample_param_at(i);
        bool whole = info->kind == RF_SAMPLE_PARAM_INT;
        rf_buf_put(out, ',');
        text(out, info->json);
        rf_buf_printf(out, ":{\"type\":[\"%s\",\"null\"],\"default\":%.9g",
                      whole ? "integer" : "number", info->def);
        if (whole)
            rf_buf_printf(out, ",\"minimum\":%lld,\"maximum\":%lld", (long long)info->int_min,
                          (long long)info->int_max);
        else
            rf_buf_printf(out, ",\"minimum\":%.9g,\"maximum\":%.9g", info->min, info->max);
        rf_buf_text(out, ",\"description\":");
        text(out, info->help);
        rf_buf_put(out, '}');
    }
}

static void write_body(rf_ask_endpoint endpoint, const char *name, rf_buf *out) {
    const char *before = "";
    text(out, name);
    rf_buf_text(out, ":{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < RF_FIELD_COUNT; i++)
        if (rf_field_is_of(rf_field_at(i), endpoint)) {
            rf_buf_text(out, before);
            write_field(i, out);
            before = ",";
        }
    if (rf_ask_endpoint_samples(endpoint))
        write_samplers(out);
    rf_buf_text(out, "},\"required\":[");
    before = "";
    for (size_t i = 0; i < RF_FIELD_COUNT; i++)
        if (rf_field_is_of(rf_field_at(i), endpoint) && rf_field_shape_at(i)->required) {
            rf_buf_text(out, before);
            text(out, rf_field_at(i)->name);
            before = ",";
        }
    rf_buf_text(out, "]}");
}

/* ---- operations ---------------------------------------------------------------------------- */

/* Errors that a route can end with, beside those of HTTP itself. */
static bool may_refuse(const rf_route *route, rf_refusal_kind kind) {
    bool tail = route->path.ptr[route->path.len - 1] == '/';
    switch (kind) {
    case RF_REFUSE_NOTHING:
    case RF_REFUSE_METHOD: return false;
    case RF_REFUSE_KEY: return route->access == RF_ACCESS_KEY;
    case RF_REFUSE_PATH:
    case RF_REFUSE_MODEL: return tail;
    case RF_REFUSE_REQUEST:
    case RF_REFUSE_ORIGIN:
    case RF_REFUSE_FAILED:
    case RF_REFUSE_DRAINING: return true;
    default: return route->body == RF_BODY_JSON;
    }
}

static void write_errors(const rf_route *route, rf_buf *out) {
    for (int status = 400; status < 600; status++) {
        bool may = false;
        for (int k = 0; k < RF_REFUSE_COUNT; k++)
            may |= rf_refusal_http_status((rf_refusal_kind)k) == status &&
                   may_refuse(route, (rf_refusal_kind)k);
        if (may)
            rf_buf_printf(out, ",\"%d\":{\"$ref\":\"#/components/responses/Error%d\"}", status,
                          status);
    }
}

static void write_replies(const rf_operation *operation, rf_buf *out) {
    const rf_reply_shape *reply = rf_reply_shape_at(operation->reply);
    rf_buf_printf(out, "\"200\":{\"description\":\"%s\",\"content\":{\"%s\":{\"schema\":%s}",
                  reply->streams ? "the answer, or the events of a stream" : "the answer",
                  reply->content_type, reply->schema);
    if (reply->streams)
        rf_buf_text(out, ",\"text/event-stream\":{\"schema\":{\"type\":\"string\"}}");
    rf_buf_text(out, "}}");
}

static void write_operation(const rf_route *route, size_t i, rf_buf *out) {
    const rf_operation *operation = rf_operation_at(route->operation);
    bool tail = route->path.ptr[route->path.len - 1] == '/';
    rf_buf_printf(out, "\"%s\":{\"operationId\":\"%s_%zu\",\"summary\":",
                  route->method == RF_METHOD_GET ? "get" : "post", operation->name, i);
    text(out, operation->help);
    rf_buf_printf(out, ",\"security\":[%s]",
                  route->access == RF_ACCESS_KEY ? "{\"key\":[]},{}" : "");
    if (tail)
        rf_buf_text(out, ",\"parameters\":[{\"name\":\"name\",\"in\":\"path\",\"required\":true,"
                         "\"schema\":{\"type\":\"string\",\"minLength\":1}}]");
    if (operation->body != RF_ASK_NONE)
        rf_buf_printf(out,
                      ",\"requestBody\":{\"required\":true,\"content\":{\"application/json\":"
                      "{\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}}}",
                      operation->body_name);
    rf_buf_text(out, ",\"responses\":{");
    write_replies(operation, out);
    write_errors(route, out);
    rf_buf_text(out, "}}");
}

static bool is_first_of_path(size_t i) {
    for (size_t k = 0; k < i; k++)
        if (rf_str_eq(rf_route_at(k)->path, rf_route_at(i)->path))
            return false;
    return true;
}

static void write_path(size_t i, rf_buf *out) {
    const rf_route *route = rf_route_at(i);
    bool tail = route->path.ptr[route->path.len - 1] == '/';
    const char *before = "";
    rf_buf_printf(out, "%s\"%s%s\":{", i > 0 ? "," : "", route->path.ptr, tail ? "{name}" : "");
    for (size_t k = i; rf_route_at(k); k++)
        if (rf_str_eq(rf_route_at(k)->path, route->path)) {
            rf_buf_text(out, before);
            write_operation(rf_route_at(k), k, out);
            before = ",";
        }
    rf_buf_put(out, '}');
}

/* ---- what they share ----------------------------------------------------------------------- */

static void write_error_replies(rf_buf *out) {
    const char *before = "";
    for (int status = 400; status < 600; status++) {
        size_t n = 0;
        for (int k = 0; k < RF_REFUSE_COUNT; k++) {
            if (rf_refusal_http_status((rf_refusal_kind)k) != status)
                continue;
            if (n++ == 0)
                rf_buf_printf(out, "%s\"Error%d\":{\"description\":\"", before, status);
            rf_buf_printf(out, "%s%s", n > 1 ? ", " : "", rf_refusal_code((rf_refusal_kind)k));
            before = ",";
        }
        if (n > 0)
            rf_buf_text(out, "\",\"content\":{\"application/json\":{\"schema\":"
                             "{\"$ref\":\"#/components/schemas/Error\"}}}}");
    }
}

static void write_components(rf_buf *out) {
    bool done[RF_ASK_COUNT] = {false};
    rf_buf_text(out, "\"components\":{\"securitySchemes\":{\"key\":{\"type\":\"http\","
                     "\"scheme\":\"bearer\",\"description\":\"where the server has keys\"}},"
                     "\"responses\":{");
    write_error_replies(out);
    rf_buf_text(out, "},\"schemas\":{\"Error\":{\"type\":\"object\",\"required\":[\"error\"],"
                     "\"properties\":{\"error\":{\"type\":\"object\",\"required\":[\"message\","
                     "\"type\",\"param\",\"code\"],\"properties\":{\"message\":{\"type\":"
                     "\"string\"},\"type\":{\"type\":\"string\"},\"param\":{\"type\":[\"string\","
                     "\"null\"]},\"code\":{\"type\":\"string\"}}}}}");
    for (size_t i = 0; i < RF_OPERATION_COUNT; i++) {
        const rf_operation *operation = rf_operation_at((rf_operation_id)i);
        if (operation->body == RF_ASK_NONE || done[operation->body])
            continue;
        done[operation->body] = true;
        rf_buf_put(out, ',');
        write_body(operation->body, operation->body_name, out);
    }
    rf_buf_text(out, "}}");
}

void rf_openapi_write(rf_buf *out) {
    rf_buf_text(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"rocmforge\",\"version\":\"1\","
                     "\"description\":\"null is as absent; names that are not listed are ignored, "
                     "with a line in the log for the first of each.\"},\"paths\":{");
    for (size_t i = 0; rf_route_at(i); i++)
        if (is_first_of_path(i))
            write_path(i, out);
    rf_buf_text(out, "},");
    write_components(out);
    rf_buf_text(out, "}\n");
}
