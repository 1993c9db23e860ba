#include "tokenizer/charsmap.h"

#include <inttypes.h>

#include "tokenizer/char_class.h"

static const char map_key[] = "tokenizer.ggml.precompiled_charsmap";

rf_status rf_charsmap_load(rf_charsmap *map, const rf_gguf *gguf, rf_error *err) {
    *map = (rf_charsmap){0};
    const rf_gguf_key *key = rf_gguf_find_key(gguf, rf_str_of(map_key));
    if (!key || (key->type == RF_GGUF_ARRAY && key->n_items == 0))
        return RF_OK;
    if (key->type != RF_GGUF_ARRAY ||
        (key->item_type != RF_GGUF_U8 && key->item_type != RF_GGUF_I8))
        return rf_fail(err, RF_ERR_INVALID,
                       "key %s at byte %" PRIu64 ": found %s, expected an array of u8 or i8",
                       map_key, key->offset, rf_gguf_type_name(key->item_type));
    uint32_t trie_bytes = 0;
    if (key->n_items >= sizeof trie_bytes)
        memcpy(&trie_bytes, key->data, sizeof trie_bytes);
    if (key->n_items < sizeof trie_bytes || trie_bytes % 4 != 0 ||
        trie_bytes > key->n_items - sizeof trie_bytes)
        return rf_fail(err, RF_ERR_INVALID,
                       "key %s at byte %" PRIu64 ": found a trie of %" PRIu32 " bytes in %" PRIu64
                       ", expected a multiple of 4 that fits",
                       map_key, key->offset, trie_bytes, key->n_items);
    map->units = key->data + sizeof trie_bytes;
    map->n_units = trie_bytes / 4;
    map->replacements = (rf_str){(const char *)map->units + trie_bytes,
                                 (size_t)key->n_items - sizeof trie_bytes - trie_bytes};
    return RF_OK;
}

/* A unit outside the array has a label that no byte has. */
static uint32_t unit_at(const rf_charsmap *map, uint32_t i) {
    uint32_t unit = UINT32_MAX;
    if (i < map->n_units)
        memcpy(&unit, map->units + 4 * (size_t)i, sizeof unit);
    return unit;
}

/* The layout of a unit is darts-clone's: label and leaf flag of bits 0 to 8, offset in bits 10 to
 * 30 with bit 9 saying that it is scaled by 256, bit 31 for values. */
static uint32_t unit_offset(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }
static uint32_t unit_label(uint32_t unit) { return unit & (1u << 31 | 0xffu); }

rf_str rf_charsmap_apply(const rf_charsmap *map, rf_str text, size_t *used) {
    size_t n_matched = 0;
    uint32_t value = 0, node = unit_offset(unit_at(map, 0));
    for (size_t i = 0; map->n_units > 0 && i < text.len && text.ptr[i] != 0; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        node ^= c;
        uint32_t unit = unit_at(map, node);
        if (unit_label(unit) != c)
            break;
        node ^= unit_offset(unit);
        if (unit >> 8 & 1u) {
            n_matched = i + 1;
            value = unit_at(map, node) & 0x7fffffffu;
        }
    }
    const char *end = NULL;
    if (n_matched > 0 && value < map->replacements.len)
        end = memchr(map->replacements.ptr + value, 0, map->replacements.len - value);
    /* A map of a lying file may cut characters: such a match counts for nothing. */
    if (!end || (n_matched < text.len && ((unsigned char)text.ptr[n_matched] & 0xc0) == 0x80)) {
        *used = rf_char_length(text.ptr[0]);
        return rf_str_sub(text, 0, *used);
    }
    *used = n_matched;
    return (rf_str){map->replacements.ptr + value, (size_t)(end - map->replacements.ptr) - value};
}
