/* The table of endpoints and who answers a method and path. Immutable. */
#ifndef RF_SERVER_ROUTES_H
#define RF_SERVER_ROUTES_H

#include "server/exchange.h"
#include "server/operations.h"
#include "server/refusal.h"

typedef enum rf_method { RF_METHOD_GET, RF_METHOD_POST, RF_METHOD_COUNT } rf_method;
typedef enum rf_access { RF_ACCESS_OPEN, RF_ACCESS_KEY } rf_access;
typedef enum rf_body_kind { RF_BODY_NONE, RF_BODY_JSON } rf_body_kind;
typedef enum rf_place { RF_PLACE_LOOP, RF_PLACE_WORKER } rf_place;

/* Answers or refuses the exchange, now or through the engine later; borrows it during the call. */
typedef void (*rf_handler)(rf_exchange *exchange);

typedef struct rf_route {
    rf_method method;
    rf_str path;
    rf_access access;
    rf_body_kind body;
    rf_place place;
    rf_handler handle;
    rf_operation_id operation;
} rf_route;

#define X(method, path, access, body, place, handler) void rf_ep_##handler(rf_exchange *exchange);
#include "server/routes.def"
#undef X

const rf_route *rf_route_at(size_t i); /* NULL: there are no more */
/* NULL: *refusal says whether path or method are unknown. *tail: what follows the path of a route
 * that ends in /. */
const rf_route *rf_route_find(rf_str method, rf_str path, rf_str *tail, rf_refusal *refusal);
/* Its errors and streams are Anthropic's, not OpenAI's. NULL: no. */
bool rf_route_is_anthropic(const rf_route *route);
/* "GET, HEAD" or "POST": what a path takes. */
const char *rf_route_allow(rf_str path);

#endif
