/* Saved sequences that are damaged, cut, or of something else load nothing, and say why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/sequence_format.h"
#include "tests/lib/sequence_host.h"
#include "tests/lib/temp_path.h"

static host first, second;

static void write_at(off_t at, const void *bytes, size_t n) {
    int fd = open(temp_path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    (void)close(fd);
}

static void test_every_byte(void **state) {
    (void)state;
    tiny_program tiny;
    int32_t tokens[HOST_CONTEXT];
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    rf_engine_options options = {.type_k = RF_KV_Q8_0, .type_v = RF_KV_Q8_0};
    host_open(&first, &tiny, options);
    host_open(&second, &tiny, options);
    host_make_tokens(tokens, 40);
    (void)host_go_on(&first, tokens, 40, 1);
    rf_sequence_size size = host_save(&first, tokens, 40), ignored;
    int fd = open(temp_path, O_RDWR);
    assert_true(fd >= 0);
    /* Every byte of head, tokens and sums, and many of the contents. */
    uint64_t contents = sizeof(rf_sequence_head) + 40 * 4 + 8;
    for (uint64_t at = 0; at < size.n_bytes;
         at += at < contents || at + 16 >= size.n_bytes ? 1 : 5) {
        unsigned char byte, flipped;
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        flipped = (unsigned char)(byte ^ (1u << at % 8));
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
        if (host_load(&second, NULL, &ignored) == RF_OK)
            fail_msg("byte %llu may be wrong", (unsigned long long)at);
        assert_true(second.err.text[0] != 0);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    assert_int_equal(host_cached(&second, tokens, 40), 0);
    (void)close(fd);
    for (uint64_t n = 0; n <= size.n_bytes + 1; n += n < 200 ? 7 : 997) {
        (void)host_save(&first, tokens, 40);
        assert_int_equal(truncate(temp_path, (off_t)(n == size.n_bytes ? n + 1 : n)), 0);
        assert_true(host_refuses(&second, tokens, 40, temp_path));
    }
    (void)host_save(&first, tokens, 40);
    assert_int_equal(host_load(&second, NULL, &ignored), RF_OK);
    assert_int_equal(host_cached(&second, tokens, 40), 40);
    host_close(&first);
    host_close(&second);
    tiny_program_close(&tiny);
}

/* A head that says something else, its sum being right. */
static void with_head(const int32_t *tokens, void (*change)(rf_sequence_head *head),
                      const char *text) {
    rf_sequence_head head;
    (void)host_save(&first, tokens, 40);
    int fd = open(temp_path, O_RDONLY);
    assert_int_equal(read(fd, &head, sizeof head), sizeof head);
    (void)close(fd);
    change(&head);
    head.sum = rf_sequence_head_sum(&head);
    write_at(0, &head, sizeof head);
    assert_true(host_refuses(&second, tokens, 40, text));
}

static void other_magic(rf_sequence_head *h) { h->magic[3]++; }
static void other_order(rf_sequence_head *h) { h->byte_order = 0x04030201; }
static void other_version(rf_sequence_head *h) { h->version = 2; }
static void other_model(rf_sequence_head *h) { h->model_hash++; }
static void other_backend(rf_sequence_head *h) { memset(h->backend, 'x', sizeof h->backend); }
static void other_type(rf_sequence_head *h) { h->type_v = RF_KV_Q8_0; }
static void no_type(rf_sequence_head *h) { h->type_k = UINT32_MAX; }
static void other_blocks(rf_sequence_head *h) { h->block_tokens = 0; }
static void other_rotation(rf_sequence_head *h) { h->rotation++; }
static void more_groups(rf_sequence_head *h) { h->n_groups = UINT32_MAX; }
static void other_bytes(rf_sequence_head *h) { h->block_bytes[1] = UINT64_MAX; }
static void far_first(rf_sequence_head *h) { h->first[1] = UINT32_MAX; }
static void late_first(rf_sequence_head *h) { h->first[0] = 1; }
static void many_tokens(rf_sequence_head *h) { h->n_tokens = UINT32_MAX; }
static void no_tokens(rf_sequence_head *h) { h->n_tokens = 0; }
static void few_tokens(rf_sequence_head *h) { h->n_tokens = 33; }

static void test_heads(void **state) {
    (void)state;
    tiny_program tiny;
    int32_t tokens[HOST_CONTEXT];
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    rf_engine_options options = {.type_k = RF_KV_F16, .type_v = RF_KV_F16};
    host_open(&first, &tiny, options);
    host_open(&second, &tiny, options);
    host_make_tokens(tokens, 40);
    (void)host_go_on(&first, tokens, 40, 1);
    with_head(tokens, other_magic, "not a saved sequence");
    with_head(tokens, other_order, "byte order 04030201, expected 01020304");
    with_head(tokens, other_version, "version 2, expected 1");
    with_head(tokens, other_model, "another model: its hash is 000000000000004e");
    with_head(tokens, other_backend, "backend xxxxxxxxxxxxxxxx, this is faulty");
    with_head(tokens, other_type, "keys as f16 and values as q8_0, this one f16 and f16");
    with_head(tokens, no_type, "values as f16, this one");
    with_head(tokens, other_blocks, "blocks are of 0 tokens, this engine's of 32");
    with_head(tokens, other_rotation, "positions were encoded in another way");
    with_head(tokens, more_groups, "groups of layers");
    with_head(tokens, other_bytes, "groups of layers");
    with_head(tokens, far_first, "group 1 begins at block 4294967295 of 2");
    with_head(tokens, late_first, "group 0 begins at block 1 of 2");
    with_head(tokens, many_tokens, "4294967295 tokens, expected 1 to the context of 256");
    with_head(tokens, no_tokens, "0 tokens, expected 1 to the context of 256");
    with_head(tokens, few_tokens, "for its 33 tokens");
    host_close(&first);
    host_close(&second);
    tiny_program_close(&tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_byte),
                                       cmocka_unit_test(test_heads)};
    return cmocka_run_group_tests(tests, temp_path_make, temp_path_drop);
}
