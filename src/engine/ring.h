/*
 * A ring of messages of one size, from one producer to one consumer, without locks; and a bell that
 * a thread may sleep on. Both are plain memory without pointers, so that the two sides may be
 * different processes that map it at different addresses.
 */
#ifndef RF_ENGINE_RING_H
#define RF_ENGINE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rf_ring {
    uint32_t n_slots, slot_bytes;
    _Alignas(64) atomic_uint n_pushed; /* the producer's */
    _Alignas(64) atomic_uint n_popped; /* the consumer's */
    _Alignas(64) unsigned char slots[];
} rf_ring;

/* n_slots: a power of two up to 2^20. Memory aligned to 64 bytes, of rf_ring_bytes. */
size_t rf_ring_bytes(uint32_t n_slots, uint32_t slot_bytes);
void rf_ring_init(rf_ring *ring, uint32_t n_slots, uint32_t slot_bytes);

bool rf_ring_push(rf_ring *ring, const void *message); /* the producer; false: full */
bool rf_ring_pop(rf_ring *ring, void *message);        /* the consumer; false: empty */
uint32_t rf_ring_n_free(const rf_ring *ring);          /* for the producer: at least so many */

typedef struct rf_bell {
    atomic_uint n_rung;
    atomic_uint n_asleep;
} rf_bell;

static inline uint32_t rf_bell_heard(rf_bell *bell) { return atomic_load(&bell->n_rung); }
void rf_bell_ring(rf_bell *bell);
/* Sleeps until the bell rings; not at all if it did since `heard`. timeout_ns UINT64_MAX: for ever.
 * May return early. */
void rf_bell_wait(rf_bell *bell, uint32_t heard, uint64_t timeout_ns);

#endif
