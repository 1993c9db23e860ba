#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "gguf/container.h"

/* "-00002-of-00003.gguf": five digits each, counted from 1. */
enum { SUFFIX_BYTES = 20, DIGITS = 5 };

static bool digits(const char *text, uint64_t *out) {
    *out = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return true;
}

static bool parse_suffix(const char *path, uint64_t *number, uint64_t *count) {
    rf_str name = rf_str_of(path);
    if (name.len < SUFFIX_BYTES)
        return false;
    const char *at = path + name.len - SUFFIX_BYTES;
    return at[0] == '-' && digits(at + 1, number) && memcmp(at + 6, "-of-", 4) == 0 &&
           digits(at + 10, count) && memcmp(at + 15, ".gguf", 5) == 0;
}

char *rf_split_path(const char *first_path, uint32_t i_part, uint64_t count) {
    size_t len = strlen(first_path);
    char *path = len < SUFFIX_BYTES ? NULL : rf_strndup(first_path, len);
    if (path)
        (void)snprintf(path + len - SUFFIX_BYTES, SUFFIX_BYTES + 1, "-%05u-of-%05u.gguf",
                       (i_part + 1) % 100000, (unsigned)(count % 100000));
    return path;
}

static rf_status read_count(const rf_key_table *keys, const char *path, rf_str name, uint64_t max,
                            uint64_t *out, rf_error *err) {
    const rf_gguf_key *key = rf_key_table_find(keys, name);
    return key ? rf_gguf_key_u64(path, key, max, out, err) : RF_OK;
}

rf_status rf_split_read(const rf_key_table *keys, const char *path, rf_split *out, rf_error *err) {
    *out = (rf_split){.count = 1, .n_tensors = UINT64_MAX};
    RF_TRY(read_count(keys, path, RF_STR("split.count"), UINT16_MAX, &out->count, err));
    RF_TRY(read_count(keys, path, RF_STR("split.no"), UINT16_MAX, &out->no, err));
    RF_TRY(read_count(keys, path, RF_STR("split.tensors.count"), INT32_MAX, &out->n_tensors, err));
    if (out->count == 0) /* as some writers mark a whole file */
        out->count = 1;
    if (out->no >= out->count)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: key \"split.no\" at byte %" PRIu64 ": found %" PRIu64
                       ", expected less than split.count, %" PRIu64,
                       path, rf_key_table_find(keys, RF_STR("split.no"))->offset, out->no,
                       out->count);
    if (out->count > RF_GGUF_MAX_FILES)
        return rf_fail(err, RF_ERR_LIMIT,
                       "%s: key \"split.count\" at byte %" PRIu64 ": found %" PRIu64
                       ", expected at most %d",
                       path, rf_key_table_find(keys, RF_STR("split.count"))->offset, out->count,
                       RF_GGUF_MAX_FILES);
    return RF_OK;
}

rf_status rf_split_check_first(const rf_split *split, const char *path, rf_error *err) {
    uint64_t number = 1, count = 1;
    bool named = parse_suffix(path, &number, &count);
    if (split->no != 0) {
        char *first = named ? rf_split_path(path, 0, split->count) : NULL;
        rf_status status = rf_fail(
            err, RF_ERR_INVALID, "%s: found split %" PRIu64 " of %" PRIu64 ", open the first: %s",
            path, split->no + 1, split->count, first ? first : "its name is not this one's");
        rf_free(first);
        return status;
    }
    if (!named || (split->count == 1 && count == 0))
        number = count = 1;
    if (count != split->count || (split->count > 1 && number != 1))
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: found a name of split %" PRIu64 " of %" PRIu64
                       ", expected 1 of %" PRIu64
                       " as the key \"split.count\" says (a name ends in "
                       "-00001-of-%05" PRIu64 ".gguf)",
                       path, number, count, split->count, split->count);
    return RF_OK;
}

rf_status rf_split_check_later(const rf_split *split, const rf_split *first, uint32_t i_part,
                               const char *path, rf_error *err) {
    if (split->no != i_part || split->count != first->count)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: keys \"split.no\" and \"split.count\": found %" PRIu64 " of %" PRIu64
                       ", expected %" PRIu32 " of %" PRIu64,
                       path, split->no, split->count, i_part, first->count);
    if (split->n_tensors != UINT64_MAX && first->n_tensors != UINT64_MAX &&
        split->n_tensors != first->n_tensors)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: key \"split.tensors.count\": found %" PRIu64 ", expected %" PRIu64
                       " as in the first split",
                       path, split->n_tensors, first->n_tensors);
    return RF_OK;
}
