#include "base/alloc.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

static atomic_uint_fast64_t n_calls;
static atomic_uint_fast64_t fail_at; /* absolute call number, 0 = never */
static atomic_int fail_on;           /* fail every call from fail_at on */
static atomic_size_t live, peak;
static atomic_uint_fast64_t n_forbidden;
static _Thread_local int forbidden;

static bool must_fail(void) {
    if (forbidden)
        atomic_fetch_add_explicit(&n_forbidden, 1, memory_order_relaxed);
    uint64_t call = atomic_fetch_add_explicit(&n_calls, 1, memory_order_relaxed) + 1;
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0)
        return false;
    return call == at || (call > at && atomic_load_explicit(&fail_on, memory_order_relaxed));
}

static void *account(void *ptr) {
    if (!ptr)
        return NULL;
    size_t bytes = malloc_usable_size(ptr);
    size_t now = atomic_fetch_add_explicit(&live, bytes, memory_order_relaxed) + bytes;
    size_t old = atomic_load_explicit(&peak, memory_order_relaxed);
    while (now > old && !atomic_compare_exchange_weak_explicit(
                            &peak, &old, now, memory_order_relaxed, memory_order_relaxed)) {
    }
    return ptr;
}

static void discount(void *ptr) {
    if (ptr)
        atomic_fetch_sub_explicit(&live, malloc_usable_size(ptr), memory_order_relaxed);
}

void *rf_alloc(size_t bytes) { return must_fail() ? NULL : account(malloc(bytes ? bytes : 1)); }

void *rf_calloc(size_t count, size_t bytes) {
    size_t total;
    if (must_fail() || !rf_mul_size(count, bytes, &total))
        return NULL;
    return account(calloc(total ? total : 1, 1));
}

void *rf_realloc(void *ptr, size_t bytes) {
    if (must_fail())
        return NULL;
    size_t before = ptr ? malloc_usable_size(ptr) : 0;
    void *grown = realloc(ptr, bytes ? bytes : 1);
    if (!grown)
        return NULL;
    atomic_fetch_sub_explicit(&live, before, memory_order_relaxed);
    return account(grown);
}

void *rf_realloc_array(void *ptr, size_t count, size_t bytes) {
    size_t total;
    return rf_mul_size(count, bytes, &total) ? rf_realloc(ptr, total) : NULL;
}

void rf_free(void *ptr) {
    discount(ptr);
    free(ptr);
}

void *rf_alloc_aligned(size_t align, size_t bytes) {
    void *ptr = NULL;
    if (must_fail() || posix_memalign(&ptr, align, bytes ? bytes : 1) != 0)
        return NULL;
    return account(ptr);
}

void rf_free_aligned(void *ptr) { rf_free(ptr); }

char *rf_strndup(const char *text, size_t len) {
    size_t bytes;
    char *copy = rf_add_size(len, 1, &bytes) ? rf_alloc(bytes) : NULL;
    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

void rf_alloc_fail_at(uint64_t n, int on) {
    atomic_store(&fail_on, on);
    atomic_store(&fail_at, n ? atomic_load(&n_calls) + n : 0);
}

void rf_alloc_forbid(int forbid) { forbidden = forbid; }
uint64_t rf_alloc_n_forbidden(void) { return atomic_load(&n_forbidden); }
uint64_t rf_alloc_count(void) { return atomic_load(&n_calls); }
size_t rf_alloc_live_bytes(void) { return atomic_load(&live); }
size_t rf_alloc_peak_bytes(void) { return atomic_load(&peak); }
void rf_alloc_peak_reset(void) { atomic_store(&peak, atomic_load(&live)); }

void rf_alloc_return_early(void) {
    enum { LARGE_BYTES = 128 << 10 }; /* glibc would raise it with each large block that is freed */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

void rf_alloc_return_unused(void) { (void)malloc_trim(0); }
