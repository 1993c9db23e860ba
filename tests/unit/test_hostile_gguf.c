/* Every hostile file is refused here or, where its family belongs to a later layer, loads as the
 * sound container that it is: quickly, in bounded memory, with a message that says where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "tests/lib/hostile_gguf.h"

static void check_message(const hostile_family *family, uint32_t variant, const char *text) {
    bool split = strcmp(family->name, "split") == 0; /* about a file, not a place in it */
    if (strncmp(text, "memory: ", 8) != 0 || (!split && !strstr(text, "at byte ")) ||
        !strstr(text, "found ") || !strstr(text, "expected "))
        fail_msg("%s %u: %s", family->name, variant, text);
}

static void check_file(const hostile_family *family, uint32_t variant, const uint8_t *bytes,
                       size_t n) {
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    rf_alloc_peak_reset();
    size_t live = rf_alloc_live_bytes();
    uint64_t start = hostile_cpu_ns();
    rf_status status = rf_gguf_open_memory(bytes, n, &gguf, &err);
    uint64_t took = hostile_cpu_ns() - start;
    size_t peak = rf_alloc_peak_bytes() - live;
    rf_gguf_close(gguf);
    if (took > HOSTILE_MAX_NS || peak > 4 * n + HOSTILE_MEMORY_FLOOR)
        fail_msg("%s %u: %.1f ms, %zu bytes", family->name, variant, (double)took * 1e-6, peak);
    if ((status != RF_OK) != (family->layer == HOSTILE_GGUF))
        fail_msg("%s %u: %s", family->name, variant, status ? err.text : "was opened");
    if (status != RF_OK)
        check_message(family, variant, err.text);
    assert_int_equal(rf_alloc_live_bytes(), live);
}

static void families_are_refused(void **state) {
    (void)state;
    size_t n_files = 0;
    for (size_t i = 0; i < hostile_n_families; i++) {
        const hostile_family *family = &hostile_families[i];
        for (uint32_t variant = 0; variant < family->n_variants; variant++) {
            rf_buf file;
            rf_buf_init(&file, 64 << 20);
            assert_true(hostile_make(family, variant, &file));
            uint8_t *exact = rf_alloc(file.len); /* so that a sanitizer sees a byte too many */
            assert_non_null(exact);
            memcpy(exact, file.data, file.len);
            check_file(family, variant, exact, file.len);
            rf_free(exact);
            rf_buf_deinit(&file);
            n_files++;
        }
    }
    print_message("%zu families, %zu files\n", hostile_n_families, n_files);
    assert_true(hostile_n_families >= 60);
}

static void the_generator_is_deterministic(void **state) {
    (void)state;
    for (size_t i = 0; i < hostile_n_families; i++) {
        rf_buf a, b;
        uint32_t variant = hostile_families[i].n_variants - 1;
        rf_buf_init(&a, 64 << 20);
        rf_buf_init(&b, 64 << 20);
        assert_true(hostile_make(&hostile_families[i], variant, &a));
        assert_true(hostile_make(&hostile_families[i], variant, &b));
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.data, b.data, a.len);
        rf_buf_deinit(&a);
        rf_buf_deinit(&b);
    }
}

/* Four characters that number an item; len says how long a name is. */
static void put_name(rf_buf *file, uint32_t i) {
    const uint64_t len = 4;
    rf_buf_append(file, &len, sizeof len);
    for (uint32_t j = 0; j < len; j++)
        rf_buf_put(file, (char)('0' + (i >> (5 * j)) % 32));
}

static void check_most(const rf_buf *file, rf_status expected) {
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    rf_alloc_peak_reset();
    size_t live = rf_alloc_live_bytes();
    rf_status status = rf_gguf_open_memory(file->data, file->len, &gguf, &err);
    assert_true(rf_alloc_peak_bytes() - live <= 4 * file->len + HOSTILE_MEMORY_FLOOR);
    if (status != expected)
        fail_msg("%s", status ? err.text : "was opened");
    rf_gguf_close(gguf);
}

enum { MOST = 1 << 17 };

/* As many keys and tensors as the room takes, of the smallest size, stay within the memory rule;
 * one more of either is refused by number. */
static void most_that_loads(void **state) {
    (void)state;
    static const uint64_t cases[][2] = {
        {0, MOST}, {MOST, 0}, {MOST, MOST}, {0, MOST + 1}, {MOST + 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint32_t dims[] = {1, 1, 0, 24}; /* one dimension of 1, i8 */
        rf_buf file;
        rf_buf_init(&file, 64 << 20);
        rf_buf_append(&file, "GGUF\3\0\0", 8);
        rf_buf_append(&file, cases[i], sizeof cases[i]);
        for (uint32_t j = 0; j < cases[i][1]; j++) {
            put_name(&file, j);
            rf_buf_append(&file, "\0\0\0\0", 5); /* a u8 */
        }
        for (uint32_t j = 0; j < cases[i][0]; j++) {
            uint64_t offset = 32 * (uint64_t)(cases[i][0] - 1 - j); /* from the last */
            put_name(&file, j);
            rf_buf_append(&file, dims, sizeof dims);
            rf_buf_append(&file, &offset, sizeof offset);
        }
        size_t n = file.len;
        assert_true(rf_buf_reserve(&file, 32 * (MOST + 2)));
        memset(file.data + n, 0, 32 * (MOST + 2));
        file.len = n + 32 * (MOST + 2);
        check_most(&file, i < 3 ? RF_OK : RF_ERR_LIMIT);
        rf_buf_deinit(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_are_refused),
        cmocka_unit_test(the_generator_is_deterministic),
        cmocka_unit_test(most_that_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
