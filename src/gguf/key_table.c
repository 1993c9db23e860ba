#include "gguf/key_table.h"

#include <inttypes.h>

#include "base/alloc.h"

enum { ARRAY_HEADER_BYTES = 12, STRING_HEADER_BYTES = 8 };

static rf_status read_type(rf_scan *scan, const char *what, rf_gguf_type *out) {
    uint64_t start = scan->at;
    uint32_t type = 0;
    RF_TRY(rf_scan_u32(scan, what, &type));
    if (type >= RF_GGUF_TYPE_COUNT)
        return rf_scan_fail(scan, RF_ERR_INVALID, start,
                            "found %s %" PRIu32 ", expected 0 (u8) to %d (f64)", what, type,
                            RF_GGUF_TYPE_COUNT - 1);
    *out = (rf_gguf_type)type;
    return RF_OK;
}

/* Arrays of counts that the rest of the file cannot hold are refused before they are walked. */
static rf_status check_count(const rf_scan *scan, uint64_t n, uint64_t item_bytes) {
    if (n <= rf_scan_left(scan) / item_bytes)
        return RF_OK;
    return rf_scan_fail(scan, RF_ERR_INVALID, scan->at - sizeof n,
                        "found an array of %" PRIu64 " items, expected at most %" PRIu64
                        " in the %" PRIu64 " bytes before the end of the file",
                        n, rf_scan_left(scan) / item_bytes, rf_scan_left(scan));
}

static rf_status check_bools(const rf_scan *scan, uint64_t start, uint64_t n) {
    for (uint64_t i = 0; i < n; i++)
        if (scan->bytes[start + i] > 1)
            return rf_scan_fail(scan, RF_ERR_INVALID, start + i,
                                "found %d as a bool, expected 0 or 1", scan->bytes[start + i]);
    return RF_OK;
}

static rf_status skip_strings(rf_scan *scan, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        uint64_t len, left = rf_scan_left(scan);
        if (left < sizeof len)
            return rf_scan_skip(scan, "length of an item", sizeof len);
        memcpy(&len, scan->bytes + scan->at, sizeof len);
        if (len > left - sizeof len)
            return rf_scan_fail(scan, RF_ERR_INVALID, scan->at,
                                "found %" PRIu64 " as the length of item %" PRIu64
                                ", expected at most the %" PRIu64
                                " bytes before the end of the file",
                                len, i, left - (uint64_t)sizeof len);
        scan->at += sizeof len + len;
    }
    return RF_OK;
}

/* Items of any type but array; scan stands behind the count. */
static rf_status skip_items(rf_scan *scan, rf_gguf_type type, uint64_t n) {
    uint64_t bytes = rf_gguf_type_bytes(type), start = scan->at;
    RF_TRY(check_count(scan, n, bytes ? bytes : STRING_HEADER_BYTES));
    if (type == RF_GGUF_STRING)
        return skip_strings(scan, n);
    scan->at += n * bytes;
    return type == RF_GGUF_BOOL ? check_bools(scan, start, n) : RF_OK;
}

/* n arrays, each of which may hold arrays. */
static rf_status skip_arrays(rf_scan *scan, uint64_t n) {
    uint64_t left[RF_GGUF_MAX_ARRAY_DEPTH] = {n};
    int depth = 0;
    RF_TRY(check_count(scan, n, ARRAY_HEADER_BYTES));
    while (depth >= 0) {
        if (left[depth] == 0) {
            depth--;
            continue;
        }
        left[depth]--;
        rf_gguf_type type = RF_GGUF_U8;
        uint64_t start = scan->at, count = 0;
        RF_TRY(read_type(scan, "item type", &type));
        RF_TRY(rf_scan_u64(scan, "number of items", &count));
        if (type != RF_GGUF_ARRAY) {
            RF_TRY(skip_items(scan, type, count));
            continue;
        }
        if (++depth == RF_GGUF_MAX_ARRAY_DEPTH)
            return rf_scan_fail(scan, RF_ERR_LIMIT, start,
                                "found arrays nested deeper, expected at most %d levels",
                                RF_GGUF_MAX_ARRAY_DEPTH);
        RF_TRY(check_count(scan, count, ARRAY_HEADER_BYTES));
        left[depth] = count;
    }
    return RF_OK;
}

static rf_status read_array(rf_scan *scan, rf_gguf_key *key) {
    RF_TRY(read_type(scan, "item type", &key->item_type));
    RF_TRY(rf_scan_u64(scan, "number of items", &key->n_items));
    key->data = scan->bytes + scan->at;
    uint64_t start = scan->at;
    RF_TRY(key->item_type == RF_GGUF_ARRAY ? skip_arrays(scan, key->n_items)
                                           : skip_items(scan, key->item_type, key->n_items));
    key->data_bytes = scan->at - start;
    return RF_OK;
}

static rf_status check_text(const rf_scan *scan, uint64_t start, rf_str text) {
    size_t i_bad;
    const char *fault = rf_gguf_text_fault(text, &i_bad);
    if (!fault)
        return RF_OK;
    return rf_scan_fail(scan, RF_ERR_INVALID, start + STRING_HEADER_BYTES + i_bad,
                        "found %s (0x%02x) in the string, expected UTF-8 text", fault,
                        (unsigned char)text.ptr[i_bad]);
}

static rf_status read_scalar(rf_scan *scan, rf_gguf_key *key) {
    uint64_t start = scan->at;
    key->data = scan->bytes + start;
    key->item_type = key->type;
    key->n_items = 1;
    if (key->type == RF_GGUF_STRING) {
        rf_str text = {0};
        RF_TRY(rf_scan_str(scan, "string", UINT64_MAX, &text));
        RF_TRY(check_text(scan, start, text));
    } else {
        RF_TRY(rf_scan_skip(scan, "value", rf_gguf_type_bytes(key->type)));
        if (key->type == RF_GGUF_BOOL)
            RF_TRY(check_bools(scan, start, 1));
    }
    key->data_bytes = scan->at - start;
    return RF_OK;
}

static rf_status read_key(rf_scan *scan, rf_gguf_key *key) {
    uint64_t start = scan->at;
    scan->name = (rf_str){0};
    RF_TRY(rf_scan_str(scan, "name", UINT64_MAX, &key->name));
    scan->name = key->name;
    size_t i_bad;
    const char *fault = rf_gguf_key_name_fault(key->name, &i_bad);
    if (fault)
        return rf_scan_fail(scan, RF_ERR_INVALID, start + STRING_HEADER_BYTES + i_bad,
                            "found %s, expected 1 to 65535 bytes of printable ASCII", fault);
    RF_TRY(read_type(scan, "value type", &key->type));
    key->offset = scan->at;
    return key->type == RF_GGUF_ARRAY ? read_array(scan, key) : read_scalar(scan, key);
}

static rf_status read_all(rf_key_table *table, rf_scan *scan, uint64_t n_keys) {
    if (n_keys == 0)
        return RF_OK;
    table->items = rf_calloc((size_t)n_keys, sizeof *table->items);
    if (!table->items || !rf_map_reserve(&table->index, (size_t)n_keys))
        return rf_scan_fail(scan, RF_ERR_NO_MEMORY, scan->at,
                            "no memory for a table of %" PRIu64 " keys", n_keys);
    for (; table->n < n_keys; table->n++) {
        rf_gguf_key *key = &table->items[table->n];
        uint64_t start = scan->at;
        bool exists = false;
        RF_TRY(read_key(scan, key));
        if (!rf_map_put(&table->index, key->name, (uint32_t)table->n, &exists))
            return rf_scan_fail(scan, RF_ERR_NO_MEMORY, start, "no memory for its index");
        if (exists)
            return rf_scan_fail(scan, RF_ERR_INVALID, start,
                                "found the name twice, expected it once (its first value is at "
                                "byte %" PRIu64 ")",
                                rf_key_table_find(table, key->name)->offset);
    }
    return RF_OK;
}

rf_status rf_key_table_read(rf_key_table *table, rf_scan *scan, uint64_t n_keys) {
    *table = (rf_key_table){0};
    rf_map_init(&table->index);
    scan->noun = "key";
    rf_status status = read_all(table, scan, n_keys);
    scan->name = (rf_str){0};
    if (status != RF_OK)
        rf_key_table_deinit(table);
    return status;
}

void rf_key_table_deinit(rf_key_table *table) {
    rf_free(table->items);
    rf_map_deinit(&table->index);
    table->items = NULL;
    table->n = 0;
}

const rf_gguf_key *rf_key_table_find(const rf_key_table *table, rf_str name) {
    uint32_t i;
    return rf_map_get(&table->index, name, &i) ? &table->items[i] : NULL;
}
