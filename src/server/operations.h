/* What handlers take and answer, for the API's description. Immutable; any thread. */
#ifndef RF_SERVER_OPERATIONS_H
#define RF_SERVER_OPERATIONS_H

#include "server/fields.h"

typedef enum rf_operation_id {
#define X(handler, body, reply, help) RF_OPERATION_##handler,
#include "server/operations.def"
#undef X
    RF_OPERATION_COUNT
} rf_operation_id;

typedef enum rf_reply_id {
#define X(id, content_type, streams, schema) RF_REPLY_SHAPE_##id,
#include "server/replies.def"
#undef X
    RF_REPLY_SHAPE_COUNT
} rf_reply_id;

typedef struct rf_operation {
    const char *name;
    rf_ask_endpoint body;
    const char *body_name; /* of the endpoint, as fields.def spells it */
    rf_reply_id reply;
    const char *help;
} rf_operation;

typedef struct rf_reply_shape {
    const char *content_type;
    bool streams;
    const char *schema; /* JSON */
} rf_reply_shape;

typedef struct rf_field_shape {
    bool required;
    const char *schema; /* JSON, or NULL: the field's kind says all */
    const char *help;   /* or NULL */
} rf_field_shape;

const rf_operation *rf_operation_at(rf_operation_id id);
const rf_reply_shape *rf_reply_shape_at(rf_reply_id id);
const rf_field_shape *rf_field_shape_at(size_t field);

#endif
