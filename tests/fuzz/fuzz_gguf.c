/* Any bytes either are refused with a message, or everything that the file says can be read. */
#include <string.h>

#include "base/alloc.h"
#include "gguf/gguf.h"
#include "gguf/tensor_type.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

static volatile uint64_t sink; /* keeps the reads */

static void read_key(const rf_gguf *gguf, const rf_gguf_key *key) {
    char name[64];
    uint32_t u32;
    uint64_t u64;
    float f32;
    bool flag;
    rf_str text;
    const rf_gguf_key *array;
    rf_error err = {0};
    MUST(rf_gguf_find_key(gguf, key->name) == key);
    if (key->item_type == RF_GGUF_STRING) {
        rf_gguf_strings walk = rf_gguf_strings_begin(key);
        while (rf_gguf_strings_next(&walk, &text))
            sink += text.len ? (uint64_t)text.ptr[text.len - 1] : 0;
        MUST(walk.at == key->data + key->data_bytes);
    } else if (key->item_type == RF_GGUF_F32 || key->item_type == RF_GGUF_F64) {
        for (uint64_t i = 0; i < key->n_items; i++)
            sink += rf_gguf_item_float(key, i) > 0;
    } else if (key->item_type != RF_GGUF_ARRAY) {
        for (uint64_t i = 0; i < key->n_items; i++)
            sink += (uint64_t)rf_gguf_item_int(key, i);
    }
    if (key->name.len >= sizeof name)
        return;
    memcpy(name, key->name.ptr, key->name.len);
    name[key->name.len] = 0;
    sink += rf_gguf_get_u32(gguf, name, &u32, &err) == RF_OK;
    sink += rf_gguf_get_u64(gguf, name, &u64, &err) == RF_OK;
    sink += rf_gguf_get_f32(gguf, name, &f32, &err) == RF_OK;
    sink += rf_gguf_get_bool(gguf, name, &flag, &err) == RF_OK;
    sink += rf_gguf_get_str(gguf, name, &text, &err) == RF_OK;
    sink += rf_gguf_get_array(gguf, name, key->item_type, &array, &err) == RF_OK;
}

static void read_tensor(const rf_gguf *gguf, const rf_gguf_tensor *tensor, size_t n) {
    MUST(rf_gguf_find_tensor(gguf, tensor->name) == tensor);
    MUST(tensor->bytes > 0 && tensor->offset <= n && tensor->bytes <= n - tensor->offset);
    MUST(rf_gguf_tensor_type_of(tensor->type_id) != NULL);
    sink += (uint64_t)tensor->data[0] + tensor->data[tensor->bytes - 1];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    rf_alloc_peak_reset();
    size_t live = rf_alloc_live_bytes();
    rf_status status = rf_gguf_open_memory(bytes, n, &gguf, &err);
    MUST(rf_alloc_peak_bytes() - live <= 4 * n + (16u << 20));
    if (status != RF_OK) {
        MUST(gguf == NULL && err.code == status && strstr(err.text, "found "));
    } else {
        for (size_t i = 0; i < rf_gguf_n_keys(gguf); i++)
            read_key(gguf, rf_gguf_key_at(gguf, i));
        for (size_t i = 0; i < rf_gguf_n_tensors(gguf); i++)
            read_tensor(gguf, rf_gguf_tensor_at(gguf, i), n);
    }
    rf_gguf_close(gguf);
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
