/* Sequences that were saved and loaded go on bit for bit as if they had not been, on engines that
 * have the room, beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tests/lib/sequence_host.h"
#include "tests/lib/temp_path.h"

enum { N_NEW = 5, N_AFTER = 8 };

static host first, second;
static rf_error err;

/* Both groups of layers with a window. */
static void all_windowed(tiny_program *tiny) {
    tiny->program.kv_groups[0].window = 40;
    for (uint32_t i = 0; i < tiny->program.n_ops; i++) {
        rf_op *op = &tiny->ops[i];
        if (op->kind == RF_OP_ATTENTION && op->u.attention.window == 0)
            op->u.attention.window = 40;
    }
}

/* ---- as if never saved --------------------------------------------------------------------- */

static void check_one(const tiny_program *tiny, rf_kv_type type, uint32_t n) {
    int32_t tokens[HOST_CONTEXT], again[HOST_CONTEXT], *loaded = NULL;
    rf_engine_options options = {.type_k = type, .type_v = type, .batch_tokens = 13};
    host_open(&first, tiny, options);
    host_open(&second, tiny, options);
    host_make_tokens(tokens, n);
    (void)host_go_on(&first, tokens, n, N_NEW);
    uint32_t had = n + N_NEW;
    rf_sequence_size saved = host_save(&first, tokens, had), size;
    assert_in_range(saved.n_tokens, had - 4, had - 1); /* the last is never computed */
    if (host_load(&second, &loaded, &size) != RF_OK)
        fail_msg("type %d, %u tokens: %s", (int)type, n, err.text);
    assert_int_equal(size.n_tokens, saved.n_tokens);
    assert_int_equal(size.n_bytes, saved.n_bytes);
    assert_memory_equal(loaded, tokens, size.n_tokens * sizeof *loaded);
    rf_free(loaded);
    for (uint32_t i = 0; i < 3; i++)
        tokens[had++] = (int32_t)(i + 1);
    memcpy(again, tokens, sizeof again);
    uint32_t cached = host_go_on(&first, tokens, had, N_AFTER);
    assert_int_equal(host_go_on(&second, again, had, N_AFTER), cached);
    assert_int_equal(cached, saved.n_tokens);
    assert_memory_equal(again, tokens, (had + N_AFTER) * sizeof *tokens);
    assert_int_equal(second.n_rows, first.n_rows);
    for (uint32_t i = had - 1; i < had + N_AFTER - 1; i++)
        assert_memory_equal(second.rows[i], first.rows[i], sizeof first.rows[i]);
    host_close(&first);
    host_close(&second);
}

static void test_goes_on(void **state) {
    (void)state;
    static const uint32_t lengths[] = {1, 7, 33, 60, 100, 200};
    for (int windows = 0; windows < 2; windows++) {
        tiny_program tiny;
        assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
        if (windows)
            all_windowed(&tiny);
        for (int type = 0; type < RF_KV_TYPE_COUNT; type++)
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
                check_one(&tiny, (rf_kv_type)type, lengths[i]);
        tiny_program_close(&tiny);
    }
}

/* A prompt that ends within what was saved finds it as well as where it was computed. */
static void test_shorter_prompts(void **state) {
    (void)state;
    tiny_program tiny;
    int32_t tokens[HOST_CONTEXT], again[HOST_CONTEXT];
    rf_sequence_size size;
    assert_true(tiny_program_open(&tiny, 4, RF_QTYPE_F32));
    host_open(&first, &tiny, (rf_engine_options){.type_k = RF_KV_F16, .type_v = RF_KV_F16});
    host_make_tokens(tokens, 129);
    (void)host_go_on(&first, tokens, 128, 1);
    (void)host_save(&first, tokens, 128);
    for (uint32_t n = 100; n <= 128; n += 28) { /* the last one: all but its last token */
        host_open(&second, &tiny, (rf_engine_options){.type_k = RF_KV_F16, .type_v = RF_KV_F16});
        assert_int_equal(host_load(&second, NULL, &size), RF_OK);
        memcpy(again, tokens, sizeof again);
        uint32_t cached = host_go_on(&second, again, n, 4);
        if (n == 128)
            assert_int_equal(cached, 127);
        assert_int_equal(host_go_on(&first, tokens, n, 4) >= cached, 1);
        assert_memory_equal(again, tokens, (n + 4) * sizeof *tokens);
        assert_memory_equal(second.rows[n - 1], first.rows[n - 1], sizeof first.rows[0]);
        host_close(&second);
        host_make_tokens(tokens, 129);
    }
    host_close(&first);
    tiny_program_close(&tiny);
}

/* What others have left in the rest of a block does not go into the file. */
static void test_same_bytes(void **state) {
    (void)state;
    tiny_program tiny;
    int32_t tokens[HOST_CONTEXT];
    static unsigned char bytes[2][1 << 18];
    ssize_t n[2];
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    for (int type = 0; type < RF_KV_TYPE_COUNT; type++) {
        for (int i = 0; i < 2; i++) {
            rf_engine_options options = {.type_k = (rf_kv_type)type, .type_v = (rf_kv_type)type};
            host_open(&first, &tiny, options);
            host_make_tokens(tokens, 60);
            (void)host_go_on(&first, tokens, i == 0 ? 60 : 41, 1);
            (void)host_save(&first, tokens, 40);
            host_close(&first);
            int fd = open(temp_path, O_RDONLY);
            n[i] = read(fd, bytes[i], sizeof bytes[i]);
            (void)close(fd);
        }
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(bytes[0], bytes[1], (size_t)n[0]);
    }
    tiny_program_close(&tiny);
}

/* ---- engines that cannot take it ----------------------------------------------------------- */

static void test_small_pools(void **state) {
    (void)state;
    tiny_program tiny;
    int32_t tokens[HOST_CONTEXT];
    rf_sequence_size size;
    rf_sequence_port port;
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    host_open(&first, &tiny, (rf_engine_options){0});
    host_make_tokens(tokens, 200);
    port = host_port(&first);
    assert_int_equal(rf_sequence_save(&port, temp_path, tokens, 200, &size, &err),
                     RF_ERR_NOT_FOUND);
    (void)host_go_on(&first, tokens, 200, 1);
    (void)host_save(&first, tokens, 200);
    host_open(&second, &tiny, (rf_engine_options){.n_ctx = 128});
    assert_true(host_refuses(&second, tokens, 100, "200 tokens, expected 1 to the context of 128"));
    host_close(&second);
    host_open(&second, &tiny, (rf_engine_options){.kv_tokens = 128});
    assert_true(host_refuses(&second, tokens, 100, "no room in the cache for tokens 0 to 199"));
    host_make_tokens(tokens, 20); /* and it works on */
    (void)host_go_on(&second, tokens, 20, 8);
    host_close(&second);
    host_close(&first);
    tiny_program_close(&tiny);
}

/* The n-th call to the device fails while it saves and while it loads. */
static void test_failing_device(void **state) {
    (void)state;
    tiny_program tiny;
    int32_t tokens[HOST_CONTEXT];
    rf_sequence_size size;
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    host_open(&first, &tiny, (rf_engine_options){0});
    host_open(&second, &tiny, (rf_engine_options){0});
    host_make_tokens(tokens, 100);
    (void)host_go_on(&first, tokens, 100, 1);
    (void)host_save(&first, tokens, 100);
    rf_sequence_port port = host_port(&first);
    uint32_t n_failed = 0;
    for (uint64_t n = 1; n < 5; n++) { /* fail_at is read by the sleeping engine's thread later */
        second.backend.fail_at = second.backend.n_calls + n;
        assert_int_equal(host_load(&second, NULL, &size), RF_ERR_INTERNAL);
        assert_int_equal(host_cached(&second, tokens, 100), 0);
        first.backend.fail_at = first.backend.n_calls + n;
        n_failed += rf_sequence_save(&port, "build/never", tokens, 100, &size, &err) != RF_OK;
        assert_int_not_equal(access("build/never", F_OK), 0);
    }
    assert_int_equal(n_failed, 4);
    second.backend.fail_at = 0;
    assert_int_equal(host_load(&second, NULL, &size), RF_OK);
    assert_int_equal(host_cached(&second, tokens, 100), 100);
    host_close(&first);
    host_close(&second);
    tiny_program_close(&tiny);
}

/* A client whose stream runs while it saves and loads. */
typedef struct stream {
    host *h;
    uint64_t id;
    int32_t *tokens;
    uint32_t n;
    bool ended;
} stream;

static void take_stream(stream *s, const rf_event *event) {
    if (event->id != s->id)
        return;
    if (event->kind == RF_EVENT_TOKEN)
        s->tokens[s->n++] = event->token;
    s->ended |= event->kind == RF_EVENT_FINISH;
}

static rf_status run_beside(void *user, const rf_request *request, rf_sequence_take_fn take,
                            void *take_user, rf_error *e) {
    stream *s = user;
    rf_event event;
    uint64_t id;
    RF_TRY(rf_engine_submit(s->h->engine, request, &id, e));
    while (rf_engine_next(s->h->engine, &event, UINT64_MAX) && event.id != id)
        take_stream(s, &event);
    return event.status == RF_OK ? take(take_user, &event, e) : event.status;
}

static void test_beside_others(void **state) {
    (void)state;
    tiny_program tiny;
    static int32_t tokens[HOST_CONTEXT], own[HOST_CONTEXT], alone[HOST_CONTEXT];
    rf_sequence_size size;
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    rf_engine_options options = {.kv_tokens = 448};
    host_open(&first, &tiny, options);
    host_make_tokens(tokens, 150);
    (void)host_go_on(&first, tokens, 150, 1);
    memcpy(own, (const int32_t[]){1, 8, 3, 3, 9}, 5 * sizeof *own);
    memcpy(alone, own, sizeof own);
    (void)host_go_on(&first, alone, 5, 200);
    (void)host_save(&first, tokens, 150);
    host_open(&second, &tiny, options);
    stream s = {.h = &second, .tokens = own, .n = 5};
    s.id = host_submit(&second, own, 5, 200);
    rf_sequence_port port = host_port(&second);
    port.run = run_beside;
    port.user = &s;
    uint32_t n_beside = 0;
    for (int i = 0; i < 3; i++) {
        n_beside += !s.ended;
        assert_int_equal(rf_sequence_load(&port, temp_path, NULL, &size, &err), RF_OK);
        assert_int_equal(rf_sequence_save(&port, temp_path, tokens, 150, &size, &err), RF_OK);
        assert_int_equal(size.n_tokens, 150);
    }
    assert_true(n_beside > 0);
    rf_event event;
    while (!s.ended && rf_engine_next(second.engine, &event, UINT64_MAX))
        take_stream(&s, &event);
    assert_int_equal(s.n, 205);
    assert_memory_equal(own, alone, s.n * sizeof *own);
    host_close(&first);
    host_close(&second);
    tiny_program_close(&tiny);
}

static void test_wrong_requests(void **state) {
    (void)state;
    tiny_program tiny;
    int32_t tokens[64];
    uint64_t id;
    char data[8] = {0};
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    host_open(&first, &tiny, (rf_engine_options){0});
    host_make_tokens(tokens, 64);
    rf_request request = {
        .kind = RF_REQUEST_EXPORT, .tokens = tokens, .n_tokens = 64, .kv.from = 5};
    assert_int_equal(rf_engine_submit(first.engine, &request, &id, &err), RF_ERR_INVALID);
    request.kv.from = 64;
    assert_int_equal(rf_engine_submit(first.engine, &request, &id, &err), RF_ERR_INVALID);
    request = (rf_request){.kind = RF_REQUEST_IMPORT,
                           .tokens = tokens,
                           .n_tokens = 64,
                           .kv = {.to = 64},
                           .kv_data = data,
                           .kv_bytes = sizeof data};
    assert_int_equal(rf_engine_submit(first.engine, &request, &id, &err), RF_ERR_INVALID);
    request.kv.first[0] = 1; /* a group without a window has all its blocks */
    assert_int_equal(rf_engine_submit(first.engine, &request, &id, &err), RF_ERR_INVALID);
    host_close(&first);
    tiny_program_close(&tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),       cmocka_unit_test(test_shorter_prompts),
        cmocka_unit_test(test_same_bytes),

        cmocka_unit_test(test_small_pools),   cmocka_unit_test(test_failing_device),
        cmocka_unit_test(test_beside_others), cmocka_unit_test(test_wrong_requests)};
    return cmocka_run_group_tests(tests, temp_path_make, temp_path_drop);
}
