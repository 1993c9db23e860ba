/*
 * Bodies of requests as JSON, by jansson, with what it does not bound: depth, and which field an
 * error is in. Any thread.
 */
#ifndef RF_SERVER_JSON_BODY_H
#define RF_SERVER_JSON_BODY_H

#include <jansson.h>

#include "server/refusal.h"

enum { RF_JSON_MAX_DEPTH = 64 };

/* A JSON object. Integers beyond 64 bits come as numbers, for the validator to refuse. False:
 * *refusal says where it is wrong. */
bool rf_json_body_parse(rf_str body, json_t **out, rf_refusal *refusal);

#endif
