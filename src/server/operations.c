#include "server/operations.h"

/* In two steps, so that macros within a schema are read first. */
#define S(...)       TEXT_OF(__VA_ARGS__)
#define TEXT_OF(...) #__VA_ARGS__
#define NONE         NULL

static const rf_operation operations[] = {
#define X(handler, body, reply, help) \
    {#handler, RF_ASK_##body, #body, RF_REPLY_SHAPE_##reply, help},
#include "server/operations.def"
#undef X
};

static const rf_reply_shape replies[] = {
#define X(id, content_type, streams, schema) {content_type, streams, schema},
#include "server/replies.def"
#undef X
};

static const rf_field_shape shapes[RF_FIELD_COUNT] = {
#define X(id, required, schema, help) [RF_FIELD_##id] = {required, schema, help},
#include "server/field_shapes.def"
#undef X
};

const rf_operation *rf_operation_at(rf_operation_id id) { return &operations[id]; }

const rf_reply_shape *rf_reply_shape_at(rf_reply_id id) { return &replies[id]; }

const rf_field_shape *rf_field_shape_at(size_t field) { return &shapes[field]; }
