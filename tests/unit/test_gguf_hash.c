/* Models have the same hash where they are the same, and another one where anything differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gguf/gguf_hash.h"
#include "gguf/writer.h"

enum { N = 50000 };

/* A model in memory, as each case wants it. */
typedef struct recipe {
    const char *key, *name;
    uint32_t value, n_cols, n_splits;
    bool swaps; /* the two small tensors */
} recipe;

static const recipe plain = {"a.key", "t", 7, N, 0, false};
static float large[N], small[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};

static uint64_t hash_of(recipe r) {
    rf_gguf_writer *writer = NULL;
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    assert_int_equal(rf_gguf_writer_create(0, &writer, &err), RF_OK);
    rf_gguf_writer_str(writer, "general.architecture", RF_STR("llama"));
    rf_gguf_writer_u32(writer, r.key, r.value);
    if (r.n_splits > 0) {
        rf_gguf_writer_u32(writer, "split.no", 0);
        rf_gguf_writer_u32(writer, "split.count", r.n_splits);
        rf_gguf_writer_u32(writer, "split.tensors.count", 3);
    }
    rf_gguf_writer_tensor(writer, rf_str_of(r.name), 0, 2,
                          (const uint64_t[]){r.n_cols, N / r.n_cols}, large, sizeof large);
    for (int i = 0; i < 2; i++)
        rf_gguf_writer_tensor(writer, i ? RF_STR("y") : RF_STR("x"), 0, 1, (const uint64_t[]){4},
                              small[r.swaps ? 1 - i : i], sizeof small[0]);
    if (rf_gguf_writer_memory(writer, "model", false, &gguf, &err) != RF_OK)
        fail_msg("%s", err.text);
    uint64_t hash = rf_gguf_hash(gguf);
    rf_gguf_close(gguf);
    rf_gguf_writer_destroy(writer);
    return hash;
}

static recipe changed(size_t offset, const void *value, size_t bytes) {
    recipe r = plain;
    memcpy((char *)&r + offset, value, bytes);
    return r;
}

#define WITH(field, ...) \
    changed(offsetof(recipe, field), &(__typeof__(plain.field)){__VA_ARGS__}, sizeof plain.field)

static void test_same(void **state) {
    (void)state;
    uint64_t hash = hash_of(plain);
    assert_true(hash != 0 && hash_of(plain) == hash);
    assert_true(hash_of(WITH(n_splits, 1)) == hash);
}

static void test_different(void **state) {
    (void)state;
    uint64_t hash = hash_of(plain);
    assert_true(hash_of(WITH(key, "another.key")) != hash);
    assert_true(hash_of(WITH(value, 8)) != hash);
    assert_true(hash_of(WITH(name, "u")) != hash);
    assert_true(hash_of(WITH(n_cols, N / 2)) != hash);
    assert_true(hash_of(WITH(swaps, true)) != hash);
    /* One weight at either end; or all of them by a little, as tuning does. */
    const uint32_t ends[] = {0, N - 1};
    for (int i = 0; i < 2; i++) {
        large[ends[i]] = 1;
        assert_true(hash_of(plain) != hash);
        large[ends[i]] = 0;
    }
    small[1][3] = -8;
    assert_true(hash_of(plain) != hash);
    small[1][3] = 8;
    for (uint32_t i = 64; i < N - 64; i++)
        large[i] = 1e-6f;
    assert_true(hash_of(plain) != hash);
    memset(large, 0, sizeof large);
    assert_true(hash_of(plain) == hash);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same),
                                       cmocka_unit_test(test_different)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
