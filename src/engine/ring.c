#include "engine/ring.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

size_t rf_ring_bytes(uint32_t n_slots, uint32_t slot_bytes) {
    return sizeof(rf_ring) + (size_t)n_slots * slot_bytes;
}

void rf_ring_init(rf_ring *ring, uint32_t n_slots, uint32_t slot_bytes) {
    ring->n_slots = n_slots;
    ring->slot_bytes = slot_bytes;
    atomic_init(&ring->n_pushed, 0);
    atomic_init(&ring->n_popped, 0);
}

static unsigned char *slot(rf_ring *ring, uint32_t n) {
    return ring->slots + (size_t)(n & (ring->n_slots - 1)) * ring->slot_bytes;
}

bool rf_ring_push(rf_ring *ring, const void *message) {
    uint32_t pushed = atomic_load_explicit(&ring->n_pushed, memory_order_relaxed);
    uint32_t popped = atomic_load_explicit(&ring->n_popped, memory_order_acquire);
    if (pushed - popped == ring->n_slots)
        return false;
    memcpy(slot(ring, pushed), message, ring->slot_bytes);
    atomic_store_explicit(&ring->n_pushed, pushed + 1, memory_order_release);
    return true;
}

bool rf_ring_pop(rf_ring *ring, void *message) {
    uint32_t popped = atomic_load_explicit(&ring->n_popped, memory_order_relaxed);
    uint32_t pushed = atomic_load_explicit(&ring->n_pushed, memory_order_acquire);
    if (popped == pushed)
        return false;
    memcpy(message, slot(ring, popped), ring->slot_bytes);
    atomic_store_explicit(&ring->n_popped, popped + 1, memory_order_release);
    return true;
}

uint32_t rf_ring_n_free(const rf_ring *ring) {
    return ring->n_slots - (atomic_load_explicit(&ring->n_pushed, memory_order_relaxed) -
                            atomic_load_explicit(&ring->n_popped, memory_order_acquire));
}

void rf_bell_ring(rf_bell *bell) {
    atomic_fetch_add(&bell->n_rung, 1);
    if (atomic_load(&bell->n_asleep) != 0)
        syscall(SYS_futex, &bell->n_rung, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void rf_bell_wait(rf_bell *bell, uint32_t heard, uint64_t timeout_ns) {
    struct timespec limit = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};
    bool for_ever = timeout_ns == UINT64_MAX;
    atomic_fetch_add(&bell->n_asleep, 1);
    if (atomic_load(&bell->n_rung) == heard)
        syscall(SYS_futex, &bell->n_rung, FUTEX_WAIT, heard, for_ever ? NULL : &limit, NULL, 0);
    atomic_fetch_sub(&bell->n_asleep, 1);
}
