/* Rings between two threads, and spans of a region against a plain model of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/ring.h"
#include "engine/span_arena.h"

enum { N_MESSAGES = 200000, SLOTS = 64, BYTES = 4096, MAX_SPANS = 12 };

typedef struct line {
    rf_ring *ring;
    rf_bell bell, back;
} line;

typedef struct message {
    uint64_t n, check[3];
} message;

static void *produce(void *arg) {
    line *l = arg;
    for (uint64_t n = 0; n < N_MESSAGES;) {
        message m = {n, {n * 3, n * 5, n * 7}};
        uint32_t heard = rf_bell_heard(&l->back);
        if (rf_ring_push(l->ring, &m)) {
            n++;
            rf_bell_ring(&l->bell);
        } else {
            rf_bell_wait(&l->back, heard, UINT64_MAX);
        }
    }
    return NULL;
}

static void test_two_threads(void **state) {
    (void)state;
    static line l;
    l.ring = rf_alloc_aligned(64, rf_ring_bytes(SLOTS, sizeof(message)));
    assert_non_null(l.ring);
    rf_ring_init(l.ring, SLOTS, sizeof(message));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, &l), 0);
    for (uint64_t n = 0; n < N_MESSAGES;) {
        message m;
        uint32_t heard = rf_bell_heard(&l.bell);
        if (!rf_ring_pop(l.ring, &m)) {
            rf_bell_wait(&l.bell, heard, UINT64_MAX);
            continue;
        }
        assert_true(m.n == n && m.check[0] == n * 3 && m.check[2] == n * 7);
        n++;
        rf_bell_ring(&l.back);
    }
    pthread_join(thread, NULL);
    assert_int_equal(rf_ring_n_free(l.ring), SLOTS);
    rf_free_aligned(l.ring);
}

static void test_full_and_empty(void **state) {
    (void)state;
    rf_ring *ring = rf_alloc_aligned(64, rf_ring_bytes(4, 4));
    uint32_t value = 0;
    assert_non_null(ring);
    rf_ring_init(ring, 4, 4);
    assert_false(rf_ring_pop(ring, &value));
    for (uint32_t i = 0; i < 4; i++)
        assert_true(rf_ring_push(ring, &i));
    assert_false(rf_ring_push(ring, &value));
    assert_true(rf_ring_pop(ring, &value));
    assert_int_equal(value, 0);
    assert_int_equal(rf_ring_n_free(ring), 1);
    rf_bell bell = {0};
    rf_bell_wait(&bell, rf_bell_heard(&bell), 1000000); /* nobody rings: the time runs out */
    rf_free_aligned(ring);
}

static void test_spans(void **state) {
    (void)state;
    rf_span_arena arena;
    rf_error err = {0};
    rf_rng rng = rf_rng_make(3, 0);
    uint8_t owner[BYTES] = {0};
    uint64_t at[MAX_SPANS] = {0}, size[MAX_SPANS] = {0};
    uint32_t n_refused = 0;
    assert_int_equal(rf_span_arena_init(&arena, BYTES, MAX_SPANS, &err), RF_OK);
    for (int i = 0; i < 20000; i++) {
        uint32_t k = rf_rng_below(&rng, MAX_SPANS);
        if (size[k] > 0) {
            for (uint64_t b = at[k]; b < at[k] + size[k]; b++) {
                assert_int_equal(owner[b], k + 1);
                owner[b] = 0;
            }
            rf_span_arena_give(&arena, at[k]);
            size[k] = 0;
            continue;
        }
        uint64_t want = 1 + rf_rng_below(&rng, 1500);
        if (!rf_span_arena_take(&arena, want, &at[k])) {
            n_refused++;
            continue;
        }
        size[k] = want;
        assert_true(at[k] % RF_SPAN_ALIGN == 0 && at[k] + want <= BYTES);
        for (uint64_t b = at[k]; b < at[k] + want; b++) {
            assert_int_equal(owner[b], 0);
            owner[b] = (uint8_t)(k + 1);
        }
    }
    assert_true(n_refused > 0);
    uint64_t offset;
    assert_false(rf_span_arena_take(&arena, UINT64_MAX, &offset));
    rf_span_arena_give(&arena, 7); /* nobody's */
    rf_span_arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_threads),
                                       cmocka_unit_test(test_full_and_empty),
                                       cmocka_unit_test(test_spans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
