#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "gguf/container.h"
#include "gguf/tensor_type.h"

static rf_status read_name(rf_scan *scan, rf_gguf_tensor *tensor) {
    uint64_t start = scan->at;
    scan->name = (rf_str){0};
    RF_TRY(rf_scan_str(scan, "name", UINT64_MAX, &tensor->name));
    scan->name = tensor->name;
    size_t i_bad;
    const char *fault = rf_gguf_tensor_name_fault(tensor->name, &i_bad);
    if (fault)
        return rf_scan_fail(scan, RF_ERR_INVALID, start + sizeof(uint64_t) + i_bad,
                            "found %s, expected 1 to %d bytes of UTF-8 text", fault,
                            RF_GGUF_MAX_TENSOR_NAME_BYTES);
    return RF_OK;
}

static rf_status read_dims(rf_scan *scan, rf_gguf_tensor *tensor) {
    uint64_t start = scan->at;
    RF_TRY(rf_scan_u32(scan, "number of dimensions", &tensor->n_dims));
    if (tensor->n_dims < 1 || tensor->n_dims > RF_GGUF_MAX_DIMS)
        return rf_scan_fail(scan, RF_ERR_INVALID, start,
                            "found %" PRIu32 " dimensions, expected 1 to %d", tensor->n_dims,
                            RF_GGUF_MAX_DIMS);
    for (uint32_t i = 0; i < RF_GGUF_MAX_DIMS; i++) {
        tensor->ne[i] = 1;
        if (i >= tensor->n_dims)
            continue;
        RF_TRY(rf_scan_u64(scan, "dimension", &tensor->ne[i]));
        if (tensor->ne[i] < 1 || tensor->ne[i] > INT64_MAX)
            return rf_scan_fail(scan, RF_ERR_INVALID, scan->at - sizeof(uint64_t),
                                "found %" PRIu64 " as dimension %" PRIu32
                                ", expected 1 to %" PRId64,
                                tensor->ne[i], i, INT64_MAX);
    }
    return RF_OK;
}

static rf_status read_type(rf_scan *scan, rf_gguf_tensor *tensor) {
    uint64_t start = scan->at;
    RF_TRY(rf_scan_u32(scan, "type", &tensor->type_id));
    const rf_gguf_tensor_type *type = rf_gguf_tensor_type_of(tensor->type_id);
    if (!type)
        return rf_scan_fail(scan, RF_ERR_UNSUPPORTED, start,
                            "found type %" PRIu32 ", expected a type that this build knows",
                            tensor->type_id);
    if (tensor->ne[0] % type->block_elements != 0)
        return rf_scan_fail(scan, RF_ERR_INVALID, start,
                            "found rows of %" PRIu64 " elements, expected a multiple of %" PRIu32
                            " for type %s",
                            tensor->ne[0], type->block_elements, type->name);
    if (!rf_gguf_tensor_type_bytes(type, tensor->n_dims, tensor->ne, &tensor->n_elements,
                                   &tensor->bytes) ||
        tensor->bytes > INT64_MAX)
        return rf_scan_fail(scan, RF_ERR_INVALID, start,
                            "found %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                            " elements of type %s, expected a size below 2^63 bytes",
                            tensor->ne[0], tensor->ne[1], tensor->ne[2], tensor->ne[3], type->name);
    return RF_OK;
}

/* Until the data section is known, offset counts from it and data points at the offset's field in
 * the file, for messages. */
static rf_status read_info(rf_scan *scan, rf_gguf_tensor *tensor) {
    RF_TRY(read_name(scan, tensor));
    RF_TRY(read_dims(scan, tensor));
    RF_TRY(read_type(scan, tensor));
    tensor->data = scan->bytes + scan->at;
    return rf_scan_u64(scan, "offset", &tensor->offset);
}

static rf_status place(const rf_gguf *gguf, const rf_gguf_part *part, rf_scan *scan,
                       rf_gguf_tensor *tensor) {
    uint64_t field = (uint64_t)(tensor->data - scan->bytes), end;
    scan->name = tensor->name;
    if (tensor->offset % part->alignment != 0)
        return rf_scan_fail(scan, RF_ERR_INVALID, field,
                            "found its data at offset %" PRIu64 ", expected a multiple of %" PRIu64,
                            tensor->offset, part->alignment);
    if (!rf_add_u64(tensor->offset, part->data_offset, &tensor->offset) ||
        !rf_add_u64(tensor->offset, tensor->bytes, &end) || (!gguf->no_data && end > scan->n))
        return rf_scan_fail(scan, RF_ERR_INVALID, field,
                            "found its %" PRIu64 " bytes of data at byte %" PRIu64
                            ", expected them before the end of the file at %" PRIu64,
                            tensor->bytes, tensor->offset, scan->n);
    tensor->data = gguf->no_data ? NULL : scan->bytes + tensor->offset;
    return RF_OK;
}

static int by_offset(const void *a, const void *b, void *tensors) {
    const rf_gguf_tensor *of = tensors;
    uint64_t x = of[*(const uint32_t *)a].offset, y = of[*(const uint32_t *)b].offset;
    return (x > y) - (x < y);
}

static rf_status check_overlap(const rf_gguf *gguf, const rf_gguf_part *part, rf_scan *scan) {
    rf_gguf_tensor *tensors = gguf->tensors + part->i_tensor;
    uint32_t *order = rf_alloc(part->n_tensors * sizeof *order);
    if (!order)
        return rf_scan_fail(scan, RF_ERR_NO_MEMORY, scan->at, "no memory to order %zu tensors",
                            part->n_tensors);
    for (size_t i = 0; i < part->n_tensors; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, part->n_tensors, sizeof *order, by_offset, tensors);
    rf_status status = RF_OK;
    for (size_t i = 1; i < part->n_tensors && status == RF_OK; i++) {
        const rf_gguf_tensor *low = &tensors[order[i - 1]], *high = &tensors[order[i]];
        if (low->bytes <= high->offset - low->offset)
            continue;
        scan->name = high->name;
        status = rf_scan_fail(scan, RF_ERR_INVALID, high->offset,
                              "found its data inside that of tensor \"%.*s\", expected it at byte "
                              "%" PRIu64 " or later",
                              RF_STR_ARG(low->name), low->offset + low->bytes);
    }
    rf_free(order);
    return status;
}

static rf_status grow(rf_gguf *gguf, const rf_scan *scan, uint64_t n_tensors) {
    uint64_t n = gguf->n_tensors + n_tensors;
    if (n > RF_GGUF_MAX_TENSORS)
        return rf_scan_fail(scan, RF_ERR_LIMIT, scan->at,
                            "found %" PRIu64 " tensors, expected at most %d", n,
                            RF_GGUF_MAX_TENSORS);
    rf_gguf_tensor *grown = rf_realloc_array(gguf->tensors, (size_t)n, sizeof *grown);
    if (grown)
        gguf->tensors = grown;
    if (!grown || !rf_map_reserve(&gguf->tensor_index, (size_t)n))
        return rf_scan_fail(scan, RF_ERR_NO_MEMORY, scan->at,
                            "no memory for a table of %" PRIu64 " tensors", n);
    memset(gguf->tensors + gguf->n_tensors, 0, (size_t)n_tensors * sizeof *grown);
    return RF_OK;
}

static rf_status append_infos(rf_gguf *gguf, uint32_t i_part, rf_scan *scan, uint64_t n_tensors) {
    for (uint64_t i = 0; i < n_tensors; i++) {
        rf_gguf_tensor *tensor = &gguf->tensors[gguf->n_tensors];
        uint64_t start = scan->at;
        bool exists = false;
        tensor->i_file = i_part;
        RF_TRY(read_info(scan, tensor));
        if (!rf_map_put(&gguf->tensor_index, tensor->name, (uint32_t)gguf->n_tensors, &exists))
            return rf_scan_fail(scan, RF_ERR_NO_MEMORY, start, "no memory for its index");
        if (exists)
            return rf_scan_fail(scan, RF_ERR_INVALID, start,
                                "found the name twice, expected it once");
        gguf->n_tensors++;
    }
    return RF_OK;
}

rf_status rf_tensor_infos_read(rf_gguf *gguf, uint32_t i_part, rf_scan *scan, uint64_t n_tensors) {
    rf_gguf_part *part = &gguf->parts[i_part];
    scan->noun = "tensor";
    part->i_tensor = gguf->n_tensors;
    part->data_offset = scan->at;
    if (n_tensors == 0)
        return RF_OK;
    RF_TRY(grow(gguf, scan, n_tensors));
    RF_TRY(append_infos(gguf, i_part, scan, n_tensors));
    part->n_tensors = (size_t)n_tensors;
    if (!rf_round_up_u64(scan->at, part->alignment, &part->data_offset))
        return rf_scan_fail(scan, RF_ERR_INVALID, scan->at,
                            "found no room to align its data to %" PRIu64, part->alignment);
    for (size_t i = 0; i < part->n_tensors; i++)
        RF_TRY(place(gguf, part, scan, &gguf->tensors[part->i_tensor + i]));
    return check_overlap(gguf, part, scan);
}
