#include "gguf/writer.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/checked.h"
#include "base/map.h"
#include "gguf/container.h"
#include "gguf/tensor_type.h"

enum { VERSION = 3 };
static const size_t max_bytes = (size_t)1 << 40; /* of a buffer: the heap is the bound */
static const char alignment_key[] = "general.alignment";

typedef struct writer_key {
    char *name;   /* owned */
    rf_buf value; /* type and value as they go to the file */
} writer_key;

typedef struct writer_tensor {
    char *name; /* owned */
    uint32_t type_id, n_dims;
    uint64_t ne[RF_GGUF_MAX_DIMS];
    uint64_t offset, bytes;
    const void *data; /* borrowed */
} writer_tensor;

struct rf_gguf_writer {
    uint32_t alignment;
    writer_key *keys;
    writer_tensor *tensors;
    size_t n_keys, n_tensors, cap_keys, cap_tensors;
    rf_map key_index, tensor_index;
    uint64_t data_bytes; /* of all tensors so far, padded */
    rf_gguf_produce_fn produce;
    void *produce_user;
    rf_error err; /* the first failure */
};

rf_status rf_gguf_writer_create(uint32_t alignment, rf_gguf_writer **out, rf_error *err) {
    if (alignment % 8 != 0)
        return rf_fail(err, RF_ERR_INVALID,
                       "alignment: found %" PRIu32 ", expected a multiple of 8", alignment);
    rf_gguf_writer *writer = rf_calloc(1, sizeof *writer);
    if (!writer)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for a GGUF writer");
    rf_map_init(&writer->key_index);
    rf_map_init(&writer->tensor_index);
    writer->alignment = alignment ? alignment : RF_GGUF_DEFAULT_ALIGNMENT;
    if (writer->alignment != RF_GGUF_DEFAULT_ALIGNMENT)
        rf_gguf_writer_u32(writer, alignment_key, writer->alignment);
    *out = writer;
    return RF_OK;
}

void rf_gguf_writer_destroy(rf_gguf_writer *writer) {
    if (!writer)
        return;
    for (size_t i = 0; i < writer->n_keys; i++) {
        rf_free(writer->keys[i].name);
        rf_buf_deinit(&writer->keys[i].value);
    }
    for (size_t i = 0; i < writer->n_tensors; i++)
        rf_free(writer->tensors[i].name);
    rf_map_deinit(&writer->key_index);
    rf_map_deinit(&writer->tensor_index);
    rf_free(writer->keys);
    rf_free(writer->tensors);
    rf_free(writer);
}

static bool no_memory(rf_gguf_writer *writer, rf_str name) {
    (void)rf_fail(&writer->err, RF_ERR_NO_MEMORY, "no memory to write \"%.*s\"", RF_STR_ARG(name));
    return false;
}

/* Room for one more item of an array that doubles. */
static bool grow(void **items, size_t n, size_t *cap, size_t item_bytes) {
    if (n < *cap)
        return true;
    size_t want = *cap ? 2 * *cap : 16;
    void *grown = rf_realloc_array(*items, want, item_bytes);
    if (!grown)
        return false;
    *items = grown;
    *cap = want;
    return true;
}

static bool add_key(rf_gguf_writer *writer, rf_str name) {
    void *items = writer->keys;
    if (!grow(&items, writer->n_keys, &writer->cap_keys, sizeof *writer->keys))
        return no_memory(writer, name);
    writer->keys = items;
    writer_key *key = &writer->keys[writer->n_keys];
    key->name = rf_strndup(name.ptr, name.len);
    if (!key->name || !rf_map_put(&writer->key_index, (rf_str){key->name, name.len},
                                  (uint32_t)writer->n_keys, NULL)) {
        rf_free(key->name);
        return no_memory(writer, name);
    }
    rf_buf_init(&key->value, max_bytes);
    writer->n_keys++;
    return true;
}

/* The empty value of a key, which may be new, with its type; NULL after a failure. */
static rf_buf *start_value(rf_gguf_writer *writer, rf_str name, rf_gguf_type type) {
    uint32_t i, type_id = (uint32_t)type;
    size_t i_bad;
    const char *fault = rf_gguf_key_name_fault(name, &i_bad);
    if (writer->err.code != RF_OK)
        return NULL;
    if (fault) {
        (void)rf_fail(&writer->err, RF_ERR_INVALID, "key \"%.*s\": found %s at byte %zu of it",
                      RF_STR_ARG(name), fault, i_bad);
        return NULL;
    }
    if (!rf_map_get(&writer->key_index, name, &i)) {
        if (!add_key(writer, name))
            return NULL;
        i = (uint32_t)writer->n_keys - 1;
    }
    rf_buf *value = &writer->keys[i].value;
    rf_buf_clear(value);
    rf_buf_append(value, &type_id, sizeof type_id);
    return value;
}

static void put_scalar(rf_gguf_writer *writer, const char *key, rf_gguf_type type,
                       const void *value, size_t n) {
    rf_buf *to = start_value(writer, rf_str_of(key), type);
    if (to)
        rf_buf_append(to, value, n);
}

static void put_text(rf_buf *to, rf_str text) {
    uint64_t len = text.len;
    rf_buf_append(to, &len, sizeof len);
    rf_buf_str(to, text);
}

static void put_array_header(rf_buf *to, rf_gguf_type item_type, uint64_t n_items) {
    uint32_t type_id = (uint32_t)item_type;
    rf_buf_append(to, &type_id, sizeof type_id);
    rf_buf_append(to, &n_items, sizeof n_items);
}

void rf_gguf_writer_u32(rf_gguf_writer *writer, const char *key, uint32_t value) {
    put_scalar(writer, key, RF_GGUF_U32, &value, sizeof value);
}

void rf_gguf_writer_u64(rf_gguf_writer *writer, const char *key, uint64_t value) {
    put_scalar(writer, key, RF_GGUF_U64, &value, sizeof value);
}

void rf_gguf_writer_f32(rf_gguf_writer *writer, const char *key, float value) {
    put_scalar(writer, key, RF_GGUF_F32, &value, sizeof value);
}

void rf_gguf_writer_bool(rf_gguf_writer *writer, const char *key, bool value) {
    uint8_t byte = value;
    put_scalar(writer, key, RF_GGUF_BOOL, &byte, sizeof byte);
}

void rf_gguf_writer_str(rf_gguf_writer *writer, const char *key, rf_str value) {
    rf_buf *to = start_value(writer, rf_str_of(key), RF_GGUF_STRING);
    size_t i_bad;
    const char *fault = rf_gguf_text_fault(value, &i_bad);
    if (to && fault)
        (void)rf_fail(&writer->err, RF_ERR_INVALID,
                      "key \"%s\": found %s at byte %zu of the string, expected UTF-8 text", key,
                      fault, i_bad);
    else if (to)
        put_text(to, value);
}

void rf_gguf_writer_array(rf_gguf_writer *writer, const char *key, rf_gguf_type item_type,
                          const void *items, uint64_t n_items) {
    uint64_t item_bytes = rf_gguf_type_bytes(item_type), bytes;
    rf_buf *to = start_value(writer, rf_str_of(key), RF_GGUF_ARRAY);
    if (!to)
        return;
    if (item_bytes == 0 || !rf_mul_u64(n_items, item_bytes, &bytes)) {
        (void)rf_fail(&writer->err, RF_ERR_INVALID,
                      "key \"%s\": found an array of %" PRIu64
                      " items of type %s, expected items of a fixed size",
                      key, n_items, rf_gguf_type_name(item_type));
        return;
    }
    put_array_header(to, item_type, n_items);
    rf_buf_append(to, items, (size_t)bytes);
}

void rf_gguf_writer_strings(rf_gguf_writer *writer, const char *key, const rf_str *items,
                            uint64_t n_items) {
    rf_buf *to = start_value(writer, rf_str_of(key), RF_GGUF_ARRAY);
    if (!to)
        return;
    put_array_header(to, RF_GGUF_STRING, n_items);
    for (uint64_t i = 0; i < n_items; i++)
        put_text(to, items[i]);
}

void rf_gguf_writer_copy_key(rf_gguf_writer *writer, const rf_gguf_key *key) {
    rf_buf *to = start_value(writer, key->name, key->type);
    if (to && key->type == RF_GGUF_ARRAY)
        put_array_header(to, key->item_type, key->n_items);
    if (to)
        rf_buf_append(to, key->data, (size_t)key->data_bytes);
}

/* What is wrong with a tensor; NULL if nothing. *bytes is what its shape takes. */
static const char *tensor_fault(const writer_tensor *tensor, rf_str name, uint64_t *bytes) {
    size_t i_bad;
    uint64_t n_elements;
    const char *fault = rf_gguf_tensor_name_fault(name, &i_bad);
    const rf_gguf_tensor_type *type = rf_gguf_tensor_type_of(tensor->type_id);
    *bytes = 0;
    if (fault)
        return fault;
    if (!type)
        return "a type that is not known";
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        if (tensor->ne[i] == 0)
            return "a dimension of 0";
    if (!rf_gguf_tensor_type_bytes(type, tensor->n_dims, tensor->ne, &n_elements, bytes))
        return "a shape that its type cannot have";
    return *bytes != tensor->bytes ? "another number of bytes" : NULL;
}

static bool append_tensor(rf_gguf_writer *writer, writer_tensor tensor, rf_str name) {
    void *items = writer->tensors;
    bool exists = false;
    if (!grow(&items, writer->n_tensors, &writer->cap_tensors, sizeof tensor))
        return no_memory(writer, name);
    writer->tensors = items;
    tensor.name = rf_strndup(name.ptr, name.len);
    if (!tensor.name || !rf_map_put(&writer->tensor_index, (rf_str){tensor.name, name.len},
                                    (uint32_t)writer->n_tensors, &exists)) {
        rf_free(tensor.name);
        return no_memory(writer, name);
    }
    if (exists) {
        rf_free(tensor.name);
        (void)rf_fail(&writer->err, RF_ERR_INVALID, "tensor \"%.*s\": found twice, expected once",
                      RF_STR_ARG(name));
        return false;
    }
    writer->tensors[writer->n_tensors++] = tensor;
    return true;
}

void rf_gguf_writer_tensor(rf_gguf_writer *writer, rf_str name, uint32_t type_id, uint32_t n_dims,
                           const uint64_t *ne, const void *data, uint64_t bytes) {
    writer_tensor tensor = {.type_id = type_id,
                            .n_dims = n_dims,
                            .offset = writer->data_bytes,
                            .bytes = bytes,
                            .data = data};
    uint64_t expected = 0, end;
    if (writer->err.code != RF_OK)
        return;
    const char *fault = "not 1 to 4 dimensions";
    if (n_dims >= 1 && n_dims <= RF_GGUF_MAX_DIMS) {
        memcpy(tensor.ne, ne, n_dims * sizeof *ne);
        fault = tensor_fault(&tensor, name, &expected);
    }
    if (!fault &&
        (!rf_add_u64(tensor.offset, bytes, &end) || !rf_round_up_u64(end, writer->alignment, &end)))
        fault = "more data than a file can hold";
    if (fault)
        (void)rf_fail(&writer->err, RF_ERR_INVALID,
                      "tensor \"%.*s\": found %s (type %" PRIu32 ", %" PRIu64
                      " bytes given, %" PRIu64 " expected)",
                      RF_STR_ARG(name), fault, type_id, bytes, expected);
    else if (append_tensor(writer, tensor, name))
        writer->data_bytes = end;
}

void rf_gguf_writer_produce(rf_gguf_writer *writer, rf_gguf_produce_fn produce, void *user) {
    writer->produce = produce;
    writer->produce_user = user;
}

static void build_header(const rf_gguf_writer *writer, rf_buf *out) {
    uint32_t version = VERSION;
    uint64_t counts[2] = {writer->n_tensors, writer->n_keys};
    rf_buf_text(out, "GGUF");
    rf_buf_append(out, &version, sizeof version);
    rf_buf_append(out, counts, sizeof counts);
    for (size_t i = 0; i < writer->n_keys; i++) {
        put_text(out, rf_str_of(writer->keys[i].name));
        rf_buf_str(out, rf_buf_view(&writer->keys[i].value));
        out->failed |= writer->keys[i].value.failed;
    }
    for (size_t i = 0; i < writer->n_tensors; i++) {
        const writer_tensor *tensor = &writer->tensors[i];
        put_text(out, rf_str_of(tensor->name));
        rf_buf_append(out, &tensor->n_dims, sizeof tensor->n_dims);
        rf_buf_append(out, tensor->ne, tensor->n_dims * sizeof tensor->ne[0]);
        rf_buf_append(out, &tensor->type_id, sizeof tensor->type_id);
        rf_buf_append(out, &tensor->offset, sizeof tensor->offset);
    }
}

static rf_status write_zeros(rf_outfile *file, uint64_t n, rf_error *err) {
    static const uint8_t zeros[4096];
    for (uint64_t part; n > 0; n -= part) {
        part = n < sizeof zeros ? n : sizeof zeros;
        RF_TRY(rf_outfile_write(file, zeros, (size_t)part, err));
    }
    return RF_OK;
}

static rf_status write_all(const rf_gguf_writer *writer, const rf_buf *header, rf_outfile *file,
                           rf_error *err) {
    uint64_t align = writer->alignment;
    RF_TRY(rf_outfile_write(file, header->data, header->len, err));
    if (writer->n_tensors > 0)
        RF_TRY(write_zeros(file, (align - header->len % align) % align, err));
    for (size_t i = 0; i < writer->n_tensors; i++) {
        const writer_tensor *tensor = &writer->tensors[i];
        RF_TRY(tensor->data ? rf_outfile_write(file, tensor->data, (size_t)tensor->bytes, err)
                            : writer->produce(writer->produce_user, i, file, err));
        RF_TRY(write_zeros(file, (align - tensor->bytes % align) % align, err));
    }
    return RF_OK;
}

static rf_status write_file(const rf_gguf_writer *writer, const rf_buf *header, const char *path,
                            rf_error *err) {
    rf_outfile file;
    RF_TRY(rf_outfile_open(&file, path, err));
    rf_status status = write_all(writer, header, &file, err);
    if (status != RF_OK) {
        rf_outfile_discard(&file);
        return status;
    }
    return rf_outfile_commit(&file, err);
}

/* The header as it goes to the file; the caller deinits it whatever comes back. */
static rf_status make_header(rf_gguf_writer *writer, const char *path, rf_buf *header,
                             rf_error *err) {
    uint32_t i;
    rf_buf_init(header, max_bytes);
    /* a copied key must not contradict the alignment that this file has */
    if (rf_map_get(&writer->key_index, rf_str_of(alignment_key), &i))
        rf_gguf_writer_u32(writer, alignment_key, writer->alignment);
    if (writer->err.code != RF_OK)
        return rf_fail(err, writer->err.code, "%s: %s", path, writer->err.text);
    build_header(writer, header);
    return header->failed ? rf_fail(err, RF_ERR_NO_MEMORY, "%s: no memory for its header", path)
                          : RF_OK;
}

rf_status rf_gguf_writer_finish(rf_gguf_writer *writer, const char *path, rf_error *err) {
    rf_buf header;
    rf_status status = make_header(writer, path, &header, err);
    if (status == RF_OK)
        status = write_file(writer, &header, path, err);
    rf_buf_deinit(&header);
    return status;
}

rf_status rf_gguf_writer_memory(rf_gguf_writer *writer, const char *name, bool no_data,
                                rf_gguf **out, rf_error *err) {
    rf_buf header;
    rf_outfile file = {.fd = -1, .dir_fd = -1};
    rf_gguf_open_options options = {.no_data = no_data};
    rf_status status = make_header(writer, name, &header, err);
    if (status == RF_OK)
        status = rf_outfile_memory(&file, name, err);
    if (status == RF_OK)
        status = no_data ? rf_outfile_write(&file, header.data, header.len, err)
                         : write_all(writer, &header, &file, err);
    if (status == RF_OK)
        status = rf_gguf_open_fd(file.fd, name, &options, out, err);
    rf_outfile_discard(&file);
    rf_buf_deinit(&header);
    return status;
}
