#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "gguf/container.h"

static const struct {
    const char *name;
    uint8_t bytes;
} types[RF_GGUF_TYPE_COUNT] = {
#define X(id, number, name, bytes) [RF_GGUF_##id] = {name, bytes},
#include "gguf/value_types.def"
#undef X
};

const char *rf_gguf_type_name(rf_gguf_type type) {
    return (unsigned)type < RF_GGUF_TYPE_COUNT ? types[type].name : "unknown";
}

uint32_t rf_gguf_type_bytes(rf_gguf_type type) {
    return (unsigned)type < RF_GGUF_TYPE_COUNT ? types[type].bytes : 0;
}

static bool is_integer(rf_gguf_type type) {
    return type <= RF_GGUF_I32 || type == RF_GGUF_U64 || type == RF_GGUF_I64;
}

static bool is_signed(rf_gguf_type type) {
    return type == RF_GGUF_I8 || type == RF_GGUF_I16 || type == RF_GGUF_I32 || type == RF_GGUF_I64;
}

static bool is_float(rf_gguf_type type) { return type == RF_GGUF_F32 || type == RF_GGUF_F64; }

/* The bits of item i, signed integers extended to 64. */
static uint64_t item_bits(const rf_gguf_key *key, uint64_t i) {
    uint64_t bits = 0, bytes = types[key->item_type].bytes;
    memcpy(&bits, key->data + i * bytes, bytes);
    if (is_signed(key->item_type) && bits >> (8 * bytes - 1) != 0 && bytes < sizeof bits)
        bits |= UINT64_MAX << (8 * bytes);
    return bits;
}

int64_t rf_gguf_item_int(const rf_gguf_key *key, uint64_t i) {
    uint64_t bits = item_bits(key, i);
    return key->item_type == RF_GGUF_U64 && bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
}

double rf_gguf_item_float(const rf_gguf_key *key, uint64_t i) {
    if (key->item_type == RF_GGUF_F32) {
        float value;
        memcpy(&value, key->data + i * sizeof value, sizeof value);
        return value;
    }
    double value;
    memcpy(&value, key->data + i * sizeof value, sizeof value);
    return value;
}

static rf_status wrong_type(const char *path, const rf_gguf_key *key, const char *expected,
                            rf_error *err) {
    if (key->type == RF_GGUF_ARRAY)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: key \"%.*s\" at byte %" PRIu64 ": found an array of %s, expected %s",
                       path, RF_STR_ARG(key->name), key->offset, types[key->item_type].name,
                       expected);
    return rf_fail(err, RF_ERR_INVALID,
                   "%s: key \"%.*s\" at byte %" PRIu64 ": found a value of type %s, expected %s",
                   path, RF_STR_ARG(key->name), key->offset, types[key->type].name, expected);
}

rf_status rf_gguf_key_u64(const char *path, const rf_gguf_key *key, uint64_t max, uint64_t *out,
                          rf_error *err) {
    if (!is_integer(key->type))
        return wrong_type(path, key, "an integer", err);
    uint64_t bits = item_bits(key, 0);
    bool negative = is_signed(key->type) && (int64_t)bits < 0;
    if (negative)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: key \"%.*s\" at byte %" PRIu64 ": found %" PRId64
                       ", expected 0 to %" PRIu64,
                       path, RF_STR_ARG(key->name), key->offset, (int64_t)bits, max);
    if (bits > max)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: key \"%.*s\" at byte %" PRIu64 ": found %" PRIu64
                       ", expected at most %" PRIu64,
                       path, RF_STR_ARG(key->name), key->offset, bits, max);
    *out = bits;
    return RF_OK;
}

static rf_status find(const rf_gguf *gguf, const char *name, const rf_gguf_key **out,
                      rf_error *err) {
    *out = rf_gguf_find_key(gguf, rf_str_of(name));
    if (!*out)
        return rf_fail(err, RF_ERR_NOT_FOUND, "%s: key \"%s\" is missing", rf_gguf_path(gguf),
                       name);
    return RF_OK;
}

rf_status rf_gguf_get_u64(const rf_gguf *gguf, const char *key, uint64_t *out, rf_error *err) {
    const rf_gguf_key *found;
    RF_TRY(find(gguf, key, &found, err));
    return rf_gguf_key_u64(rf_gguf_path(gguf), found, UINT64_MAX, out, err);
}

rf_status rf_gguf_get_u32(const rf_gguf *gguf, const char *key, uint32_t *out, rf_error *err) {
    const rf_gguf_key *found;
    uint64_t value;
    RF_TRY(find(gguf, key, &found, err));
    RF_TRY(rf_gguf_key_u64(rf_gguf_path(gguf), found, UINT32_MAX, &value, err));
    *out = (uint32_t)value;
    return RF_OK;
}

rf_status rf_gguf_get_f32(const rf_gguf *gguf, const char *key, float *out, rf_error *err) {
    const rf_gguf_key *found;
    RF_TRY(find(gguf, key, &found, err));
    if (!is_float(found->type))
        return wrong_type(rf_gguf_path(gguf), found, "f32 or f64", err);
    double value = rf_gguf_item_float(found, 0);
    if (isfinite(value) && fabs(value) > (double)FLT_MAX)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: key \"%s\" at byte %" PRIu64 ": found %g, expected at most %g",
                       rf_gguf_path(gguf), key, found->offset, value, (double)FLT_MAX);
    *out = (float)value;
    return RF_OK;
}

rf_status rf_gguf_get_bool(const rf_gguf *gguf, const char *key, bool *out, rf_error *err) {
    const rf_gguf_key *found;
    RF_TRY(find(gguf, key, &found, err));
    if (found->type != RF_GGUF_BOOL)
        return wrong_type(rf_gguf_path(gguf), found, "bool", err);
    *out = rf_gguf_item_int(found, 0) != 0;
    return RF_OK;
}

rf_status rf_gguf_get_str(const rf_gguf *gguf, const char *key, rf_str *out, rf_error *err) {
    const rf_gguf_key *found;
    RF_TRY(find(gguf, key, &found, err));
    if (found->type != RF_GGUF_STRING)
        return wrong_type(rf_gguf_path(gguf), found, "string", err);
    rf_gguf_strings walk = rf_gguf_strings_begin(found);
    (void)rf_gguf_strings_next(&walk, out);
    return RF_OK;
}

rf_status rf_gguf_get_array(const rf_gguf *gguf, const char *key, rf_gguf_type item_type,
                            const rf_gguf_key **out, rf_error *err) {
    const rf_gguf_key *found;
    RF_TRY(find(gguf, key, &found, err));
    bool words = (item_type == RF_GGUF_I32 || item_type == RF_GGUF_U32) &&
                 (found->item_type == RF_GGUF_I32 || found->item_type == RF_GGUF_U32);
    if (found->type != RF_GGUF_ARRAY || (found->item_type != item_type && !words)) {
        char expected[32];
        (void)snprintf(expected, sizeof expected, "an array of %s", rf_gguf_type_name(item_type));
        return wrong_type(rf_gguf_path(gguf), found, expected, err);
    }
    *out = found;
    return RF_OK;
}

rf_gguf_strings rf_gguf_strings_begin(const rf_gguf_key *key) {
    return (rf_gguf_strings){key->data, key->n_items};
}

/* The lengths were checked when the file was opened. */
bool rf_gguf_strings_next(rf_gguf_strings *walk, rf_str *out) {
    if (walk->left == 0)
        return false;
    uint64_t len;
    memcpy(&len, walk->at, sizeof len);
    *out = (rf_str){(const char *)walk->at + sizeof len, (size_t)len};
    walk->at += sizeof len + len;
    walk->left--;
    return true;
}
