#include "base/map.h"

#include <pthread.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"

struct rf_map_slot {
    rf_str key;
    uint32_t hash;
    uint32_t value;
    bool used;
};

static uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load(const unsigned char *p, size_t n) {
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* Multiply-and-fold over 16-byte steps, in the manner of wyhash: two secrets xor the input. */
uint64_t rf_hash(const void *bytes, size_t n, uint64_t seed) {
    const uint64_t k0 = 0xa0761d6478bd642fu, k1 = 0xe7037ed1a0b428dbu;
    const unsigned char *p = bytes;
    uint64_t h = seed ^ k0;
    size_t left = n;
    for (; left > 16; left -= 16, p += 16)
        h = mix(load(p, 8) ^ k1, load(p + 8, 8) ^ h);
    uint64_t a = load(p, left > 8 ? 8 : left);
    uint64_t b = left > 8 ? load(p + 8, left - 8) : 0;
    return mix(k1 ^ n, mix(a ^ k1, b ^ h));
}

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t process_seed;

static void make_seed(void) {
    if (getrandom(&process_seed, sizeof process_seed, GRND_NONBLOCK) != sizeof process_seed)
        process_seed = rf_clock_ns() * 0x9e3779b97f4a7c15u;
}

uint64_t rf_hash_random_seed(void) {
    (void)pthread_once(&seed_once, make_seed);
    return process_seed;
}

void rf_map_init(rf_map *map) { *map = (rf_map){.seed = rf_hash_random_seed()}; }

void rf_map_deinit(rf_map *map) {
    rf_free(map->slots);
    rf_map_init(map);
}

static struct rf_map_slot *find(const rf_map *map, rf_str key, uint32_t hash) {
    size_t mask = map->n_slots - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct rf_map_slot *slot = &map->slots[i];
        if (!slot->used || (slot->hash == hash && rf_str_eq(slot->key, key)))
            return slot;
    }
}

bool rf_map_reserve(rf_map *map, size_t n_keys) {
    size_t want = 16;
    while (want / 2 < n_keys) {
        if (want > SIZE_MAX / 2)
            return false;
        want *= 2;
    }
    if (want <= map->n_slots)
        return true;
    struct rf_map_slot *slots = rf_calloc(want, sizeof *slots);
    if (!slots)
        return false;
    rf_map grown = {.slots = slots, .n_slots = want, .n_used = map->n_used, .seed = map->seed};
    for (size_t i = 0; i < map->n_slots; i++)
        if (map->slots[i].used)
            *find(&grown, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    rf_free(map->slots);
    *map = grown;
    return true;
}

bool rf_map_put(rf_map *map, rf_str key, uint32_t value, bool *existing) {
    if (!rf_map_reserve(map, map->n_used + 1))
        return false;
    uint32_t hash = (uint32_t)rf_hash(key.ptr, key.len, map->seed);
    struct rf_map_slot *slot = find(map, key, hash);
    if (existing)
        *existing = slot->used;
    if (!slot->used) {
        *slot = (struct rf_map_slot){key, hash, value, true};
        map->n_used++;
    }
    return true;
}

bool rf_map_get(const rf_map *map, rf_str key, uint32_t *value) {
    if (map->n_used == 0)
        return false;
    uint32_t hash = (uint32_t)rf_hash(key.ptr, key.len, map->seed);
    const struct rf_map_slot *slot = find(map, key, hash);
    if (slot->used)
        *value = slot->value;
    return slot->used;
}
