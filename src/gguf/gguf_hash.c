#include "gguf/gguf_hash.h"

#include <string.h>

#include "base/siphash.h"

enum { N_PLACES = 16, PLACE_BYTES = 256 };

/* Each part's own hash goes into the whole as a word: no part runs into the next one. */
static void add_bytes(rf_sip *whole, const void *bytes, uint64_t n) {
    rf_sip_word(whole, n);
    rf_sip_word(whole, rf_siphash((rf_hash_key){0, 0}, bytes, (size_t)n));
}

static void add_key(rf_sip *whole, const rf_gguf_key *key) {
    static const char split[] = "split."; /* split.no, split.count, split.tensors.count */
    if (key->name.len >= sizeof split - 1 && memcmp(key->name.ptr, split, sizeof split - 1) == 0)
        return;
    add_bytes(whole, key->name.ptr, key->name.len);
    rf_sip_word(whole, (uint64_t)key->type << 32 | (uint64_t)key->item_type);
    rf_sip_word(whole, key->n_items);
    add_bytes(whole, key->data, key->data_bytes);
}

static void add_tensor(rf_sip *whole, const rf_gguf_tensor *tensor) {
    add_bytes(whole, tensor->name.ptr, tensor->name.len);
    rf_sip_word(whole, tensor->type_id);
    for (int i = 0; i < RF_GGUF_MAX_DIMS; i++)
        rf_sip_word(whole, tensor->ne[i]);
    rf_sip_word(whole, tensor->bytes);
    if (!tensor->data)
        return;
    if (tensor->bytes <= N_PLACES * PLACE_BYTES) {
        add_bytes(whole, tensor->data, tensor->bytes);
        return;
    }
    uint64_t room = tensor->bytes - PLACE_BYTES;
    for (uint64_t i = 0; i + 1 < N_PLACES; i++)
        add_bytes(whole, tensor->data + room / (N_PLACES - 1) * i, PLACE_BYTES);
    add_bytes(whole, tensor->data + room, PLACE_BYTES);
}

uint64_t rf_gguf_hash(const rf_gguf *gguf) {
    rf_sip whole = rf_sip_begin((rf_hash_key){0, 0});
    for (size_t i = 0; i < rf_gguf_n_keys(gguf); i++)
        add_key(&whole, rf_gguf_key_at(gguf, i));
    for (size_t i = 0; i < rf_gguf_n_tensors(gguf); i++)
        add_tensor(&whole, rf_gguf_tensor_at(gguf, i));
    return rf_sip_end(&whole, 0);
}
