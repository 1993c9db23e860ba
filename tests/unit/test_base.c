#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu_features.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/utf8.h"

/* ---- status ---- */

static void test_status_text(void **state) {
    (void)state;
    rf_error err = {0};
    assert_int_equal(rf_fail(&err, RF_ERR_IO, "key \"%s\": %d", "a\tb\x80\xc3\xa9\x7f", 7),
                     RF_ERR_IO);
    assert_int_equal(err.code, RF_ERR_IO);
    assert_string_equal(err.text, "key \"a\\x09b\\x80\xc3\xa9\\x7f\": 7");
    assert_int_equal(rf_fail_prefix(&err, "file %d", 1), RF_ERR_IO);
    assert_string_equal(err.text, "file 1: key \"a\\x09b\\x80\xc3\xa9\\x7f\": 7");
    assert_int_equal(rf_fail(NULL, RF_ERR_LIMIT, "%s", "unseen"), RF_ERR_LIMIT);

    static char longest[3 * RF_ERROR_TEXT_BYTES];
    for (size_t pad = 0; pad < 4; pad++) { /* a cut never splits a character */
        memset(longest, 'x', pad);
        for (size_t i = pad; i + 2 < sizeof longest; i += 2)
            memcpy(longest + i, "\xc3\xa9", 3);
        (void)rf_fail(&err, RF_ERR_INVALID, "%s", longest);
        size_t n = strlen(err.text);
        assert_in_range(n, RF_ERROR_TEXT_BYTES - 10, RF_ERROR_TEXT_BYTES - 1);
        assert_int_equal(memcmp(err.text, longest, n > 8 ? n - 8 : 0), 0);
        assert_true(rf_utf8_valid_prefix(err.text, n) == n);
    }
}

static void test_status_table(void **state) {
    (void)state;
    assert_int_equal(rf_status_exit(RF_OK), 0);
    assert_int_equal(rf_status_exit(RF_ERR_USAGE), 2);
    assert_int_equal(rf_status_exit(RF_ERR_INVALID), 1);
    assert_int_equal(rf_status_exit(RF_ERR_INTERRUPTED), 130);
    assert_int_equal(rf_status_exit(RF_STATUS_COUNT), 1);
    for (int i = 0; i < RF_STATUS_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(rf_status_name((rf_status)i), rf_status_name((rf_status)j));
    assert_string_equal(rf_status_name(RF_STATUS_COUNT), "unknown");
}

/* ---- memory ---- */

static void test_alloc_faults(void **state) {
    (void)state;
    size_t live = rf_alloc_live_bytes();
    uint64_t calls = rf_alloc_count();
    rf_alloc_fail_at(2, 0);
    char *a = rf_alloc(10), *b = rf_alloc(10), *c = rf_alloc(10);
    assert_true(a && !b && c);
    rf_alloc_fail_at(1, 1);
    assert_null(rf_realloc(a, 100000));
    assert_null(rf_calloc(1, 1));
    assert_null(rf_alloc_aligned(64, 1));
    assert_null(rf_strndup("x", 1));
    rf_alloc_fail_at(0, 0);
    assert_int_equal(rf_alloc_count() - calls, 7);
    memset(a, 1, 10); /* still ours */
    rf_alloc_peak_reset();
    a = rf_realloc(a, 100000);
    assert_true(rf_alloc_peak_bytes() >= live + 100000);
    char *copy = rf_strndup("ab\0cd", 5);
    assert_memory_equal(copy, "ab\0cd", 6);
    void *wide = rf_alloc_aligned(256, 3);
    assert_int_equal((uintptr_t)wide % 256, 0);
    assert_null(rf_realloc_array(NULL, SIZE_MAX / 2, 3));
    assert_null(rf_calloc(SIZE_MAX / 2, 3));
    rf_free(a);
    rf_free(c);
    rf_free(copy);
    rf_free_aligned(wide);
    rf_free(NULL);
    assert_int_equal(rf_alloc_live_bytes(), live);
}

static void test_arena(void **state) {
    (void)state;
    enum { LIMIT = 1 << 20 };
    size_t live = rf_alloc_live_bytes(), sum = 0;
    rf_arena arena;
    rf_arena_init(&arena, LIMIT);
    rf_rng rng = rf_rng_make(1, 0);
    unsigned char *last = NULL;
    for (;;) {
        size_t n = rf_rng_below(&rng, 5000), align = (size_t)1 << rf_rng_below(&rng, 7);
        unsigned char *p = rf_arena_alloc(&arena, n, align);
        if (!p)
            break;
        assert_int_equal((uintptr_t)p % align, 0);
        if (last)
            assert_int_equal(*last, 0xa5); /* nobody else wrote there */
        memset(p, 0xa5, n);
        last = n > 0 ? p + n - 1 : last;
        sum += n;
        assert_true(arena.total_bytes <= LIMIT);
    }
    assert_true(sum > LIMIT * 3 / 4);
    assert_null(rf_arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(rf_arena_alloc(&arena, SIZE_MAX - 70, 64));
    assert_null(rf_arena_calloc(&arena, SIZE_MAX / 4, 5));
    rf_arena_deinit(&arena);
    rf_arena_deinit(&arena);
    assert_int_equal(rf_alloc_live_bytes(), live);

    unsigned char *zero = rf_arena_calloc(&arena, 100, 3);
    assert_non_null(zero);
    for (int i = 0; i < 300; i++)
        assert_int_equal(zero[i], 0);
    rf_str copy = rf_arena_str(&arena, RF_STR("a\0b"));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.ptr, "a\0b", 4);
    rf_alloc_fail_at(1, 1);
    assert_null(rf_arena_alloc(&arena, 100000, 1));
    assert_non_null(rf_arena_alloc(&arena, 8, 1)); /* what it has is still good */
    rf_alloc_fail_at(0, 0);
    rf_arena_deinit(&arena);
}

static void test_buf(void **state) {
    (void)state;
    rf_buf buf;
    rf_buf_init(&buf, 20);
    rf_buf_text(&buf, "abc");
    rf_buf_put(&buf, 0);
    rf_buf_str(&buf, RF_STR("de"));
    rf_buf_printf(&buf, "%05d", 42);
    assert_true(rf_str_eq(rf_buf_view(&buf), RF_STR("abc\0de00042")));
    assert_int_equal(buf.data[buf.len], 0);
    rf_buf_append(&buf, NULL, 0);
    rf_buf_append(&buf, "123456789", 9); /* to the ceiling exactly */
    assert_false(buf.failed);
    rf_buf_put(&buf, 'x');
    assert_true(buf.failed);
    assert_int_equal(buf.len, 20);
    rf_buf_append(&buf, "", 0);
    rf_buf_printf(&buf, "%s", "");
    assert_true(buf.failed); /* until it is cleared */
    rf_buf_clear(&buf);
    rf_buf_printf(&buf, "%s", "012345678901234567890"); /* one too many */
    assert_true(buf.failed && buf.len == 0);
    rf_buf_clear(&buf);
    assert_false(rf_buf_reserve(&buf, SIZE_MAX));
    rf_buf_deinit(&buf);

    rf_buf_init(&buf, SIZE_MAX);
    rf_buf_text(&buf, "kept");
    rf_alloc_fail_at(1, 1);
    for (int i = 0; i < 1000; i++)
        rf_buf_text(&buf, "more");
    rf_alloc_fail_at(0, 0);
    assert_true(buf.failed && buf.len >= 4 && buf.len % 4 == 0);
    assert_true(rf_str_starts(rf_buf_view(&buf), RF_STR("keptmore")));
    rf_buf_deinit(&buf);
    assert_null(buf.data);
}

static void test_map(void **state) {
    (void)state;
    enum { N = 5000, WIDTH = 24 };
    static char keys[N][WIDTH];
    rf_map map;
    uint32_t value = 77;
    bool existing = true;
    rf_map_init(&map);
    assert_false(rf_map_get(&map, RF_STR("a"), &value));
    assert_int_equal(value, 77);
    for (uint32_t i = 0; i < N; i++) { /* lengths 0 … 23; equal prefixes; NUL bytes */
        memset(keys[i], 0, WIDTH);
        memcpy(keys[i], &i, 2);
        rf_str key = {keys[i], i == 0 ? 0 : 2 + i % 22};
        assert_true(rf_map_put(&map, key, i * 3, &existing));
        assert_false(existing);
        assert_true(rf_map_put(&map, key, 9, &existing));
        assert_true(existing);
    }
    for (uint32_t i = 0; i < N; i++) {
        rf_str key = {keys[i], i == 0 ? 0 : 2 + i % 22};
        assert_true(rf_map_get(&map, key, &value));
        assert_int_equal(value, i * 3);
        if (i > 0)
            assert_false(rf_map_get(&map, rf_str_sub(key, 0, key.len - 1), &value));
    }
    rf_alloc_fail_at(1, 1);
    uint32_t added = 0;
    for (; added < N && rf_map_put(&map, (rf_str){keys[added], 1}, 0, NULL); added++)
        keys[added][0] = (char)added;
    rf_alloc_fail_at(0, 0);
    assert_true(rf_map_get(&map, (rf_str){keys[N - 1], 2 + (N - 1) % 22}, &value));
    assert_false(rf_map_reserve(&map, SIZE_MAX));
    rf_map_deinit(&map);
    assert_false(rf_map_get(&map, RF_STR(""), &value));

    /* every byte and the length count, and so does the seed */
    unsigned char bytes[48] = {0};
    for (size_t n = 0; n <= sizeof bytes; n++) {
        uint64_t plain = rf_hash(bytes, n, 1);
        assert_true(n == sizeof bytes || plain != rf_hash(bytes, n + 1, 1));
        assert_true(plain != rf_hash(bytes, n, 2));
        for (size_t i = 0; i < n; i++) {
            bytes[i] = 1;
            assert_true(plain != rf_hash(bytes, n, 1));
            bytes[i] = 0;
        }
    }
}

static void test_checked(void **state) {
    (void)state;
    uint64_t v;
    size_t s;
    assert_true(rf_add_u64(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX);
    assert_false(rf_add_u64(UINT64_MAX, 1, &v));
    assert_true(rf_mul_u64(UINT32_MAX, UINT32_MAX, &v) && v == 0xfffffffe00000001u);
    assert_false(rf_mul_u64((uint64_t)1 << 32, (uint64_t)1 << 32, &v));
    assert_false(rf_add_size(SIZE_MAX, 1, &s));
    assert_false(rf_mul_size(SIZE_MAX / 2, 3, &s));
    assert_true(rf_round_up_u64(0, 24, &v) && v == 0);
    assert_true(rf_round_up_u64(25, 24, &v) && v == 48);
    assert_true(rf_round_up_u64(UINT64_MAX, 1, &v) && v == UINT64_MAX);
    assert_false(rf_round_up_u64(UINT64_MAX, 2, &v));
    assert_int_equal(rf_round_up(65, 64), 128);
    assert_int_equal(rf_ceil_div(65, 64), 2);
}

/* ---- text ---- */

static void test_str(void **state) {
    (void)state;
    rf_str s = RF_STR("hello"), none = {0};
    assert_true(rf_str_eq(none, RF_STR("")) && rf_str_is(none, ""));
    assert_true(rf_str_starts(s, none) && rf_str_ends(s, none));
    assert_true(rf_str_starts(s, RF_STR("he")) && rf_str_ends(s, RF_STR("llo")));
    assert_false(rf_str_starts(s, RF_STR("hello!")) || rf_str_ends(s, RF_STR("hell")));
    assert_true(rf_str_is(rf_str_sub(s, 1, 3), "el"));
    assert_true(rf_str_is(rf_str_sub(s, 3, 99), "lo") && rf_str_sub(s, 9, 12).len == 0);
    assert_true(rf_str_sub(none, 0, 5).ptr == NULL && rf_str_of(NULL).len == 0);
}

/* By the encoding's definition: value, least length, no surrogate, at most 10FFFF. */
static size_t decode_plain(const unsigned char *s, size_t n, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80             ? 1
                 : (s[0] & 0xe0) == 0xc0 ? 2
                 : (s[0] & 0xf0) == 0xe0 ? 3
                 : (s[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t c = len == 1 ? s[0] : s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    *code = c;
    return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

static void test_utf8_decode(void **state) {
    (void)state;
    static const unsigned char tails[] = {0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0xa0, 0xbf, 0xc0, 0xff};
    unsigned char s[5] = {0};
    for (unsigned lead = 0; lead < 65536; lead++)
        for (size_t i = 0; i < 100; i++) {
            uint32_t want = 0, got = 0;
            s[0] = (unsigned char)(lead >> 8);
            s[1] = (unsigned char)lead;
            s[2] = tails[i / 10];
            s[3] = tails[i % 10];
            size_t n = i % 5;
            if (n == 0) {
                assert_int_equal(rf_utf8_decode((const char *)s, 0, &got), 0);
                continue;
            }
            size_t len = decode_plain(s, n, &want);
            if (rf_utf8_decode((const char *)s, n, &got) != len || (len > 0 && got != want))
                fail_msg("%02x %02x %02x %02x of %zu", s[0], s[1], s[2], s[3], n);
        }
}

static void test_utf8_round_trip(void **state) {
    (void)state;
    for (uint32_t code = 0; code < 0x110010; code++) {
        char s[5] = {'x', 0, 0, 0, 0};
        uint32_t back = ~code;
        size_t len = rf_utf8_encode(code, s + 1);
        bool scalar = code < 0x110000 && !(code >= 0xd800 && code < 0xe000);
        assert_int_equal(len > 0, scalar);
        if (!scalar)
            continue;
        assert_int_equal(rf_utf8_decode(s + 1, len, &back), len);
        assert_int_equal(back, code);
        assert_int_equal(rf_utf8_valid_prefix(s, len + 1), len + 1);
        assert_int_equal(rf_utf8_unfinished_tail(s, len + 1), 0);
        for (size_t cut = 1; cut < len; cut++) {
            assert_int_equal(rf_utf8_valid_prefix(s, cut + 1), 1);
            assert_int_equal(rf_utf8_unfinished_tail(s, cut + 1), cut);
        }
    }
    static const char *const broken[] = {
        "\xc0", "\xc1",     "\xff",     "\x80",     "\xe0\x80",
        "\xf5", "\xed\xa0", "\xf4\x90", "\xf0\x8f", "\xe1\x80\x80\x80"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_int_equal(rf_utf8_unfinished_tail(broken[i], strlen(broken[i])), 0);
    assert_int_equal(rf_utf8_unfinished_tail("", 0), 0);
}

/* ---- random numbers ---- */

/* Known answers of Random123 (kat_vectors, philox4x32 10). */
static void test_philox(void **state) {
    (void)state;
    static const struct {
        uint64_t seed, stream, counter;
        uint32_t want[4];
    } cases[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822u,
         0x0370734413198a2eu,
         0x85a308d3243f6a88u,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t got[4];
        rf_philox4x32(cases[i].seed, cases[i].stream, cases[i].counter, got);
        assert_memory_equal(got, cases[i].want, sizeof got);
    }
}

static void test_rng(void **state) {
    (void)state;
    enum { N = 100000 };
    rf_rng rng = rf_rng_make(3, 4), again = rng;
    double sum = 0, squares = 0, normal = 0, normal_squares = 0;
    int counts[7] = {0};
    for (int i = 0; i < N; i++) {
        float f = rf_rng_float(&rng);
        double d = rf_rng_double(&rng), g = (double)rf_rng_normal(&rng);
        assert_true(f >= 0 && f < 1 && d >= 0 && d < 1);
        sum += (double)f + d;
        squares += (double)f * (double)f + d * d;
        normal += g;
        normal_squares += g * g;
        counts[rf_rng_below(&rng, 7)]++;
    }
    assert_true(fabs(sum / (2 * N) - 0.5) < 0.003 && fabs(squares / (2 * N) - 1.0 / 3) < 0.003);
    assert_true(fabs(normal / N) < 0.015 && fabs(normal_squares / N - 1) < 0.02);
    for (int i = 0; i < 7; i++) /* four deviations of 111 */
        assert_in_range(counts[i], N / 7 - 444, N / 7 + 444);
    assert_int_equal(rf_rng_below(&rng, 1), 0);
    rf_rng fork = again;
    fork.counter = 2; /* the third draw, without the first two */
    (void)rf_rng_u32(&again);
    (void)rf_rng_u32(&again);
    assert_int_equal(rf_rng_u64(&again), rf_rng_u64(&fork));
}

/* ---- the rest ---- */

static int n_lines;
static char last_line[256];

static void take_line(void *user, rf_log_level level, const char *topic, const char *text) {
    assert_ptr_equal(user, &n_lines);
    n_lines++;
    (void)snprintf(last_line, sizeof last_line, "%s %s %s", rf_log_level_name(level), topic, text);
}

static void test_log(void **state) {
    (void)state;
    rf_log(RF_LOG_ERROR, "test", "nobody listens");
    rf_log_set(take_line, &n_lines, RF_LOG_INFO);
    rf_log(RF_LOG_DEBUG, "test", "too fine");
    assert_int_equal(n_lines, 0);
    rf_log(RF_LOG_INFO, "test", "x=%d", 5);
    assert_int_equal(n_lines, 1);
    assert_non_null(strstr(last_line, "test x=5"));
    rf_log_set(NULL, NULL, RF_LOG_TRACE);
    rf_log(RF_LOG_ERROR, "test", "nobody again");
    assert_int_equal(n_lines, 1);
}

static void test_machine(void **state) {
    (void)state;
    uint64_t a = rf_clock_ns(), b = rf_clock_ns();
    assert_true(b >= a && a > 0);
    assert_true(rf_cpu_count() >= 1);
    uint32_t features = rf_cpu_features();
    assert_int_equal(features >> RF_CPU_FEATURE_COUNT, 0);
    for (int i = 0; i < RF_CPU_FEATURE_COUNT; i++)
        assert_true(strlen(rf_cpu_feature_name(i)) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_text),  cmocka_unit_test(test_status_table),
        cmocka_unit_test(test_alloc_faults), cmocka_unit_test(test_arena),
        cmocka_unit_test(test_buf),          cmocka_unit_test(test_map),
        cmocka_unit_test(test_checked),      cmocka_unit_test(test_str),
        cmocka_unit_test(test_utf8_decode),  cmocka_unit_test(test_utf8_round_trip),
        cmocka_unit_test(test_philox),       cmocka_unit_test(test_rng),
        cmocka_unit_test(test_log),          cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
