/*
 * Hash map from byte strings to uint32_t, open addressing, keyed hash so that a hostile file
 * cannot choose collisions. Keys are borrowed: they must outlive the map. One writer at a time;
 * any number of readers when nobody writes.
 */
#ifndef RF_BASE_MAP_H
#define RF_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef struct rf_map {
    struct rf_map_slot *slots; /* owned; n_slots is a power of two or 0 */
    size_t n_slots, n_used;
    uint64_t seed;
} rf_map;

void rf_map_init(rf_map *map);
void rf_map_deinit(rf_map *map);
bool rf_map_reserve(rf_map *map, size_t n_keys); /* false: out of memory */

/* Inserts if absent. Returns false when out of memory. *existing (optional) tells whether the key
 * was there; its value is then left as it was. */
bool rf_map_put(rf_map *map, rf_str key, uint32_t value, bool *existing);
/* False when the key is absent; *value is then untouched. */
bool rf_map_get(const rf_map *map, rf_str key, uint32_t *value);

/* 64-bit keyed hash of bytes (for tables, not for secrets). */
uint64_t rf_hash(const void *bytes, size_t n, uint64_t seed);
uint64_t rf_hash_random_seed(void); /* one value a process, from the kernel */

#endif
