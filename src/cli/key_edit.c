#include <float.h>
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "cli/gguf_copy.h"

/* Whole numbers that a type holds; the lowest is 0 for the types without a sign. */
static const struct {
    rf_gguf_type type;
    int64_t least, most;
} ranges[] = {{RF_GGUF_U8, 0, UINT8_MAX},   {RF_GGUF_I8, INT8_MIN, INT8_MAX},
              {RF_GGUF_U16, 0, UINT16_MAX}, {RF_GGUF_I16, INT16_MIN, INT16_MAX},
              {RF_GGUF_U32, 0, UINT32_MAX}, {RF_GGUF_I32, INT32_MIN, INT32_MAX},
              {RF_GGUF_U64, 0, INT64_MAX},  {RF_GGUF_I64, INT64_MIN, INT64_MAX}};

typedef struct scalar {
    uint8_t bytes[8]; /* little endian */
    uint32_t n;
} scalar;

static bool parse_whole(rf_gguf_type type, const char *text, scalar *out) {
    int64_t value;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].type == type && rf_number_int(text, &value) && value >= ranges[i].least &&
            value <= ranges[i].most) {
            memcpy(out->bytes, &value, sizeof value);
            return true;
        }
    return false;
}

static bool parse_scalar(rf_gguf_type type, const char *text, scalar *out) {
    double real;
    float single;
    out->n = rf_gguf_type_bytes(type);
    if (type == RF_GGUF_BOOL) {
        out->bytes[0] = strcmp(text, "true") == 0;
        return out->bytes[0] || strcmp(text, "false") == 0;
    }
    if (type != RF_GGUF_F32 && type != RF_GGUF_F64)
        return parse_whole(type, text, out);
    if (!rf_number_real(text, &real) || (type == RF_GGUF_F32 && fabs(real) > (double)FLT_MAX))
        return false;
    single = (float)real;
    if (type == RF_GGUF_F32)
        memcpy(out->bytes, &single, sizeof single);
    else
        memcpy(out->bytes, &real, sizeof real);
    return true;
}

static bool type_from_name(rf_str name, rf_gguf_type *out) {
    for (int i = 0; i < RF_GGUF_TYPE_COUNT; i++)
        if (rf_str_is(name, rf_gguf_type_name((rf_gguf_type)i))) {
            *out = (rf_gguf_type)i;
            return true;
        }
    return false;
}

static rf_status bad_edit(const char *text, const char *expected, rf_error *err) {
    return rf_fail(err, RF_ERR_USAGE, "--set: found \"%.200s\", expected %s", text, expected);
}

/* Type of the value, and where it starts. */
static rf_status find_type(const char *text, rf_str name, const rf_gguf_key *old,
                           rf_gguf_type *type, const char **value, rf_error *err) {
    const char *colon = strchr(*value, ':');
    if (old) {
        *type = old->type;
        return old->type == RF_GGUF_ARRAY
                   ? bad_edit(text, "a key that is no list: lists are copied as they are", err)
                   : RF_OK;
    }
    rf_str type_name = {*value, colon ? (size_t)(colon - *value) : 0};
    if (!colon || !type_from_name(type_name, type) || *type == RF_GGUF_ARRAY)
        return rf_fail(
            err, RF_ERR_USAGE,
            "--set: key \"%.*s\" is not in the file: expected KEY=TYPE:VALUE with a type "
            "such as u32, f32, bool or string",
            RF_STR_ARG(name));
    *value = colon + 1;
    return RF_OK;
}

rf_status rf_edit_key(const char *text, const rf_gguf *in, rf_gguf_writer *writer, rf_error *err) {
    char name[256];
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : 0;
    if (n == 0 || n >= sizeof name)
        return bad_edit(text, "KEY=VALUE, as general.name=Tiny", err);
    memcpy(name, text, n);
    name[n] = 0;
    rf_str view = {name, n};
    if (rf_str_starts(view, RF_STR("split.")) || rf_str_is(view, "general.alignment"))
        return bad_edit(text, "another key: this one describes the file itself", err);
    const char *value = equals + 1;
    rf_gguf_type type = RF_GGUF_STRING;
    scalar parsed = {0};
    RF_TRY(find_type(text, view, rf_gguf_find_key(in, view), &type, &value, err));
    if (type == RF_GGUF_STRING) {
        rf_gguf_writer_str(writer, name, rf_str_of(value));
        return RF_OK;
    }
    if (!parse_scalar(type, value, &parsed))
        return rf_fail(err, RF_ERR_USAGE,
                       "--set: key \"%s\": found \"%.80s\", expected a value of type %s", name,
                       value, rf_gguf_type_name(type));
    rf_gguf_key key = {.name = view,
                       .type = type,
                       .item_type = type,
                       .n_items = 1,
                       .data = parsed.bytes,
                       .data_bytes = parsed.n};
    rf_gguf_writer_copy_key(writer, &key);
    return RF_OK;
}
