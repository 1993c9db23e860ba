#include "gguf/gguf.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "gguf/container.h"

static const uint32_t magic = 0x46554747; /* "GGUF" */

static rf_status read_version(rf_scan *scan, uint32_t *out) {
    uint32_t found = 0;
    RF_TRY(rf_scan_u32(scan, "magic", &found));
    if (found != magic)
        return rf_scan_fail(scan, RF_ERR_INVALID, 0,
                            "found \"%.4s\" (0x%08" PRIx32 "), expected \"GGUF\"",
                            (const char *)scan->bytes, found);
    RF_TRY(rf_scan_u32(scan, "version", out));
    if (*out != 0 && (*out & 0xffff) == 0)
        return rf_scan_fail(
            scan, RF_ERR_UNSUPPORTED, 4,
            "found version 0x%08" PRIx32 ", a big-endian file, expected a little-endian one", *out);
    if (*out < 2 || *out > 3)
        return rf_scan_fail(scan, RF_ERR_UNSUPPORTED, 4,
                            "found version %" PRIu32 ", expected 2 or 3", *out);
    return RF_OK;
}

static rf_status read_counts(rf_scan *scan, uint64_t *n_tensors, uint64_t *n_keys) {
    RF_TRY(rf_scan_u64(scan, "number of tensors", n_tensors));
    RF_TRY(rf_scan_u64(scan, "number of keys", n_keys));
    uint64_t left = rf_scan_left(scan);
    if (*n_keys > left / RF_GGUF_MIN_KEY_BYTES)
        return rf_scan_fail(scan, RF_ERR_INVALID, 16,
                            "found %" PRIu64 " keys, expected at most %" PRIu64 " in the %" PRIu64
                            " bytes that follow",
                            *n_keys, left / RF_GGUF_MIN_KEY_BYTES, left);
    left -= *n_keys * RF_GGUF_MIN_KEY_BYTES;
    if (*n_tensors > left / RF_GGUF_MIN_TENSOR_BYTES)
        return rf_scan_fail(scan, RF_ERR_INVALID, 8,
                            "found %" PRIu64 " tensors, expected at most %" PRIu64
                            " in the %" PRIu64 " bytes that the keys leave",
                            *n_tensors, left / RF_GGUF_MIN_TENSOR_BYTES, left);
    if (*n_keys > RF_GGUF_MAX_KEYS)
        return rf_scan_fail(scan, RF_ERR_LIMIT, 16, "found %" PRIu64 " keys, expected at most %d",
                            *n_keys, RF_GGUF_MAX_KEYS);
    return RF_OK;
}

static rf_status find_alignment(const rf_key_table *keys, rf_scan *scan, uint64_t *out) {
    *out = RF_GGUF_DEFAULT_ALIGNMENT;
    const rf_gguf_key *key = rf_key_table_find(keys, RF_STR("general.alignment"));
    if (!key)
        return RF_OK;
    scan->noun = "key";
    scan->name = key->name;
    if (key->type != RF_GGUF_U32)
        return rf_scan_fail(scan, RF_ERR_INVALID, key->offset, "found a %s, expected a u32",
                            rf_gguf_type_name(key->type));
    *out = (uint64_t)rf_gguf_item_int(key, 0);
    if (*out == 0 || *out % 8 != 0)
        return rf_scan_fail(scan, RF_ERR_INVALID, key->offset,
                            "found %" PRIu64 ", expected a multiple of 8", *out);
    scan->name = (rf_str){0};
    return RF_OK;
}

/* Reads a part whose mapping is there. Its keys go to *keys, which the caller frees. */
static rf_status read_part(rf_gguf *gguf, uint32_t i_part, rf_key_table *keys, rf_split *split,
                           rf_error *err) {
    rf_gguf_part *part = &gguf->parts[i_part];
    rf_scan scan = {.bytes = part->mapping.bytes,
                    .n = part->mapping.n,
                    .path = part->path,
                    .noun = "header",
                    .err = err};
    uint64_t n_tensors = 0, n_keys = 0;
    RF_TRY(read_version(&scan, &part->version));
    RF_TRY(read_counts(&scan, &n_tensors, &n_keys));
    RF_TRY(rf_key_table_read(keys, &scan, n_keys));
    RF_TRY(rf_split_read(keys, part->path, split, err));
    RF_TRY(find_alignment(keys, &scan, &part->alignment));
    return rf_tensor_infos_read(gguf, i_part, &scan, n_tensors);
}

static rf_status read_later_part(rf_gguf *gguf, uint32_t i_part, const rf_split *first,
                                 rf_error *err) {
    rf_gguf_part *part = &gguf->parts[i_part];
    part->path = rf_split_path(gguf->parts[0].path, i_part, first->count);
    if (!part->path)
        return rf_fail(err, RF_ERR_NO_MEMORY, "%s: no memory to name its splits",
                       gguf->parts[0].path);
    RF_TRY(rf_mapping_open(&part->mapping, part->path, err));
    rf_key_table keys = {0};
    rf_split split;
    rf_status status = read_part(gguf, i_part, &keys, &split, err);
    rf_key_table_deinit(&keys);
    return status == RF_OK ? rf_split_check_later(&split, first, i_part, part->path, err) : status;
}

static rf_status read_later_parts(rf_gguf *gguf, const rf_split *first, rf_error *err) {
    uint32_t n = (uint32_t)first->count;
    rf_gguf_part *parts = rf_realloc_array(gguf->parts, n, sizeof *parts);
    if (!parts)
        return rf_fail(err, RF_ERR_NO_MEMORY, "%s: no memory for %" PRIu32 " splits",
                       gguf->parts[0].path, n);
    gguf->parts = parts;
    for (; gguf->n_parts < n; gguf->n_parts++)
        parts[gguf->n_parts] = (rf_gguf_part){.mapping = {.fd = -1, .i_live = -1}};
    for (uint32_t i = 1; i < n; i++)
        RF_TRY(read_later_part(gguf, i, first, err));
    if (first->n_tensors != UINT64_MAX && first->n_tensors != gguf->n_tensors)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: key \"split.tensors.count\": found %" PRIu64
                       ", expected %zu as its splits hold together",
                       parts[0].path, first->n_tensors, gguf->n_tensors);
    return RF_OK;
}

static rf_gguf *create(const char *path) {
    rf_gguf *gguf = rf_calloc(1, sizeof *gguf);
    if (!gguf)
        return NULL;
    rf_map_init(&gguf->tensor_index);
    gguf->parts = rf_calloc(1, sizeof *gguf->parts);
    if (gguf->parts) {
        gguf->n_parts = 1;
        gguf->parts[0] = (rf_gguf_part){.mapping = {.fd = -1, .i_live = -1},
                                        .path = rf_strndup(path, strlen(path))};
    }
    if (gguf->parts && gguf->parts[0].path)
        return gguf;
    rf_gguf_close(gguf);
    return NULL;
}

static rf_status open_path(rf_gguf *gguf, rf_error *err) {
    rf_gguf_part *part = &gguf->parts[0];
    rf_split split;
    RF_TRY(rf_mapping_open(&part->mapping, part->path, err));
    RF_TRY(read_part(gguf, 0, &gguf->keys, &split, err));
    RF_TRY(rf_split_check_first(&split, part->path, err));
    return split.count > 1 ? read_later_parts(gguf, &split, err) : RF_OK;
}

rf_status rf_gguf_open(const char *path, const rf_gguf_open_options *options, rf_gguf **out,
                       rf_error *err) {
    rf_gguf *gguf = create(path);
    if (!gguf)
        return rf_fail(err, RF_ERR_NO_MEMORY, "%s: no memory to open it", path);
    gguf->no_data = options && options->no_data;
    rf_status status = open_path(gguf, err);
    if (status != RF_OK)
        rf_gguf_close(gguf);
    else
        *out = gguf;
    return status;
}

static rf_status open_memory(rf_gguf *gguf, rf_error *err) {
    rf_split split;
    RF_TRY(read_part(gguf, 0, &gguf->keys, &split, err));
    if (split.count > 1)
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "%s: found split %" PRIu64 " of %" PRIu64 ", expected a whole file",
                       gguf->parts[0].path, split.no + 1, split.count);
    return RF_OK;
}

rf_status rf_gguf_open_fd(int fd, const char *path, const rf_gguf_open_options *options,
                          rf_gguf **out, rf_error *err) {
    rf_gguf *gguf = create(path);
    if (!gguf)
        return rf_fail(err, RF_ERR_NO_MEMORY, "%s: no memory to open it", path);
    gguf->no_data = options && options->no_data;
    rf_gguf_part *part = &gguf->parts[0];
    rf_status status = rf_mapping_open_fd(&part->mapping, fd, part->path, err);
    if (status == RF_OK)
        status = open_memory(gguf, err);
    if (status != RF_OK)
        rf_gguf_close(gguf);
    else
        *out = gguf;
    return status;
}

rf_status rf_gguf_open_memory(const void *bytes, size_t n, rf_gguf **out, rf_error *err) {
    rf_gguf *gguf = create("memory");
    if (!gguf)
        return rf_fail(err, RF_ERR_NO_MEMORY, "memory: no memory to open it");
    rf_mapping_borrow(&gguf->parts[0].mapping, bytes, n);
    rf_status status = open_memory(gguf, err);
    if (status != RF_OK)
        rf_gguf_close(gguf);
    else
        *out = gguf;
    return status;
}

void rf_gguf_close(rf_gguf *gguf) {
    if (!gguf)
        return;
    for (uint32_t i = 0; i < gguf->n_parts; i++) {
        rf_mapping_close(&gguf->parts[i].mapping);
        rf_free(gguf->parts[i].path);
    }
    rf_key_table_deinit(&gguf->keys);
    rf_map_deinit(&gguf->tensor_index);
    rf_free(gguf->tensors);
    rf_free(gguf->parts);
    rf_free(gguf);
}

const char *rf_gguf_path(const rf_gguf *gguf) { return gguf->parts[0].path; }
uint32_t rf_gguf_version(const rf_gguf *gguf) { return gguf->parts[0].version; }
uint64_t rf_gguf_alignment(const rf_gguf *gguf) { return gguf->parts[0].alignment; }
uint32_t rf_gguf_n_files(const rf_gguf *gguf) { return gguf->n_parts; }

uint64_t rf_gguf_file_bytes(const rf_gguf *gguf) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < gguf->n_parts; i++)
        n += gguf->parts[i].mapping.n;
    return n;
}

bool rf_gguf_unchanged(const rf_gguf *gguf) {
    for (uint32_t i = 0; i < gguf->n_parts; i++)
        if (!rf_mapping_unchanged(&gguf->parts[i].mapping))
            return false;
    return true;
}

const char *rf_gguf_path_at(const void *address) { return rf_mapping_path_at(address); }

size_t rf_gguf_n_keys(const rf_gguf *gguf) { return gguf->keys.n; }
const rf_gguf_key *rf_gguf_key_at(const rf_gguf *gguf, size_t i) { return &gguf->keys.items[i]; }
const rf_gguf_key *rf_gguf_find_key(const rf_gguf *gguf, rf_str name) {
    return rf_key_table_find(&gguf->keys, name);
}

size_t rf_gguf_n_tensors(const rf_gguf *gguf) { return gguf->n_tensors; }
const rf_gguf_tensor *rf_gguf_tensor_at(const rf_gguf *gguf, size_t i) { return &gguf->tensors[i]; }
const rf_gguf_tensor *rf_gguf_find_tensor(const rf_gguf *gguf, rf_str name) {
    uint32_t i;
    return rf_map_get(&gguf->tensor_index, name, &i) ? &gguf->tensors[i] : NULL;
}
