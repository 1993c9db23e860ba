#include "server/routes.h"

static const rf_route routes[] = {
#define X(method, path, access, body, place, handler)                                    \
    {RF_METHOD_##method, {path, sizeof path - 1}, RF_ACCESS_##access,    RF_BODY_##body, \
     RF_PLACE_##place,   rf_ep_##handler,         RF_OPERATION_##handler},
#include "server/routes.def"
#undef X
};

enum { N_ROUTES = sizeof routes / sizeof *routes };

const rf_route *rf_route_at(size_t i) { return i < N_ROUTES ? &routes[i] : NULL; }

static bool matches(const rf_route *route, rf_str path) {
    if (route->path.ptr[route->path.len - 1] != '/')
        return rf_str_eq(route->path, path);
    return path.len > route->path.len && rf_str_starts(path, route->path);
}

const rf_route *rf_route_find(rf_str method, rf_str path, rf_str *tail, rf_refusal *refusal) {
    bool get = rf_str_is(method, "GET") || rf_str_is(method, "HEAD");
    bool known = false;
    for (size_t i = 0; i < N_ROUTES; i++) {
        const rf_route *route = &routes[i];
        if (!matches(route, path))
            continue;
        known = true;
        if (route->method == RF_METHOD_GET ? get : rf_str_is(method, "POST")) {
            *tail = rf_str_sub(path, route->path.len, path.len);
            return route;
        }
    }
    if (known)
        (void)rf_refuse(refusal, RF_REFUSE_METHOD, NULL, "method %.*s is not allowed here",
                        RF_STR_ARG(method));
    else
        (void)rf_refuse(refusal, RF_REFUSE_PATH, NULL, "no such endpoint: %.*s", RF_STR_ARG(path));
    return NULL;
}

bool rf_route_is_anthropic(const rf_route *route) {
    return route && (route->handle == rf_ep_messages || route->handle == rf_ep_count_tokens);
}

const char *rf_route_allow(rf_str path) {
    for (size_t i = 0; i < N_ROUTES; i++)
        if (matches(&routes[i], path))
            return routes[i].method == RF_METHOD_GET ? "GET, HEAD" : "POST";
    return "";
}
