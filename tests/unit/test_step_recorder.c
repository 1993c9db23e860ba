/* What an engine did, written down: both files are JSON, times nest, requests begin and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cpu/backend_cpu.h"
#include "tests/lib/temp_path.h"
#include "tests/lib/tiny_program.h"
#include "trace/step_recorder.h"

enum { N_REQUESTS = 12, N_CANCELLED = 3, N_NEW = 20, MAX_EVENTS = 4096 };

static char trace_path[] = "/tmp/rf_test_trace_XXXXXX";

/* Requests of many lengths, some cancelled, on an engine that a recorder watches. */
static void run_requests(const rf_step_recorder_options *files) {
    tiny_program tiny;
    rf_error err = {0};
    rf_backend *backend = NULL;
    rf_step_recorder *recorder = NULL;
    rf_engine *engine = NULL;
    int32_t tokens[100];
    assert_true(tiny_program_open(&tiny, 9, RF_QTYPE_F32));
    rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX};
    assert_int_equal(rf_cpu_backend_create(&cpu, &backend, &err), RF_OK);
    assert_int_equal(rf_step_recorder_create(files, &recorder, &err), RF_OK);
    rf_engine_options options = {.n_ctx = 200,
                                 .kv_tokens = 320,
                                 .max_seqs = 4,
                                 .batch_tokens = 32,
                                 .on_step = rf_step_recorder_on_step,
                                 .on_end = rf_step_recorder_on_end,
                                 .user = recorder};
    assert_int_equal(rf_engine_create(backend, &tiny.program, &options, NULL, NULL, &engine, &err),
                     RF_OK);
    for (int i = 0; i < 100; i++)
        tokens[i] = i % TINY_VOCAB;
    uint64_t forbidden = rf_alloc_n_forbidden(), id;
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        tokens[0] = (int32_t)i;
        rf_request request = {.tokens = tokens,
                              .n_tokens = 1 + i * 8,
                              .n_new = i == 0 ? 1 : N_NEW,
                              .n_choices = 1 + i % 2};
        assert_int_equal(rf_engine_submit(engine, &request, &id, &err), RF_OK);
    }
    rf_event event;
    uint32_t n_ended = 0;
    bool cancelled = false;
    while (n_ended < N_REQUESTS && rf_engine_next(engine, &event, UINT64_MAX)) {
        n_ended += event.kind == RF_EVENT_FINISH && event.last;
        for (uint64_t i = 0; !cancelled && i < N_CANCELLED; i++)
            assert_int_equal(rf_engine_cancel(engine, N_REQUESTS - 4 * i, &err), RF_OK);
        cancelled = true;
    }
    assert_int_equal(rf_alloc_n_forbidden(), forbidden);
    rf_engine_destroy(engine);
    assert_int_equal(rf_step_recorder_close(recorder, &err), RF_OK);
    tiny_program_close(&tiny);
}

static int64_t number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static double real(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void check_log(const char *path, int64_t *n_steps) {
    char line[2048];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    double last_end = 0;
    int64_t rows = 0, generated = 0;
    *n_steps = 0;
    while (fgets(line, sizeof line, file)) {
        json_t *step = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(step);
        assert_int_equal(number(step, "step"), ++*n_steps);
        assert_true(real(step, "start_ms") >= last_end - 0.002);
        last_end = real(step, "start_ms") + real(step, "ms");
        rows += number(step, "decode") + number(step, "prefill");
        assert_in_range(number(step, "sequences"), 1, 4);
        assert_string_equal(json_string_value(json_object_get(step, "status")), "ok");
        assert_true(number(step, "generated") >= generated);
        generated = number(step, "generated");
        assert_int_equal(number(step, "dropped"), 0);
        json_decref(step);
    }
    (void)fclose(file);
    assert_true(*n_steps > 20 && rows > generated && generated > 100);
}

typedef struct span {
    int64_t tid;
    double from, to;
} span;

static bool cross(const span *a, const span *b) {
    const double slack = 0.002; /* microseconds are written with three digits */
    bool apart = a->to <= b->from + slack || b->to <= a->from + slack;
    bool inside = (a->from >= b->from - slack && a->to <= b->to + slack) ||
                  (b->from >= a->from - slack && b->to <= a->to + slack);
    return a->tid == b->tid && !apart && !inside;
}

static void check_trace(const char *path, int64_t n_steps) {
    static span spans[MAX_EVENTS];
    size_t n = 0, i;
    int64_t seen = 0, n_ended = 0, n_cancelled = 0, n_queued = 0, n_counters = 0;
    json_t *events = json_load_file(path, JSON_REJECT_DUPLICATES, NULL), *event;
    assert_true(json_is_array(events));
    json_array_foreach(events, i, event) {
        const char *kind = json_string_value(json_object_get(event, "ph"));
        const char *name = json_string_value(json_object_get(event, "name"));
        const json_t *args = json_object_get(event, "args");
        assert_non_null(kind);
        n_counters += kind[0] == 'C';
        if (kind[0] != 'X')
            continue;
        assert_true(n < MAX_EVENTS);
        double from = real(event, "ts");
        spans[n++] = (span){number(event, "tid"), from, from + real(event, "dur")};
        seen += number(event, "tid") == 0;
        n_queued += strcmp(name, "queued") == 0;
        const char *finish = json_string_value(json_object_get(args, "finish"));
        n_ended += finish != NULL;
        n_cancelled += finish && strcmp(finish, "cancelled") == 0;
        assert_true(!finish || strcmp(finish, "left") != 0);
    }
    json_decref(events);
    assert_int_equal(seen, n_steps);
    assert_int_equal(n_counters, 3 * n_steps);
    assert_int_equal(n_queued, n_ended); /* whoever began has ended */
    /* Some were cancelled before they had rows: they have no lane. */
    assert_in_range(n_ended, N_REQUESTS - N_CANCELLED, N_REQUESTS);
    assert_true(n_cancelled <= N_CANCELLED);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < a; b++)
            assert_false(cross(&spans[a], &spans[b]));
}

static void test_both_files(void **state) {
    (void)state;
    int64_t n_steps;
    run_requests(&(rf_step_recorder_options){.log_path = temp_path, .trace_path = trace_path});
    check_log(temp_path, &n_steps);
    check_trace(trace_path, n_steps);
}

/* No room for a step of several sequences: it is left out, and later ones say so. */
static void test_no_room(void **state) {
    (void)state;
    char line[2048];
    int64_t dropped = 0;
    run_requests(&(rf_step_recorder_options){
        .log_path = temp_path, .trace_path = trace_path, .n_records = 4});
    FILE *file = fopen(temp_path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        json_t *step = json_loads(line, 0, NULL);
        assert_non_null(step);
        dropped = number(step, "dropped");
        assert_in_range(number(step, "sequences"), 1, 3);
        json_decref(step);
    }
    (void)fclose(file);
    assert_true(dropped > 0);
    json_t *events = json_load_file(trace_path, 0, NULL);
    assert_true(json_is_array(events));
    json_decref(events);
}

static void test_failing_files(void **state) {
    (void)state;
    rf_step_recorder *recorder = NULL;
    rf_error err = {0};
    rf_step_recorder_options options = {.log_path = "/proc/no/log"};
    assert_int_equal(rf_step_recorder_create(&options, &recorder, &err), RF_ERR_IO);
    assert_null(recorder);
    assert_non_null(strstr(err.text, "/proc/no/log"));
    options = (rf_step_recorder_options){.log_path = temp_path, .trace_path = "/proc/no/trace"};
    assert_int_equal(rf_step_recorder_create(&options, &recorder, &err), RF_ERR_IO);
    options = (rf_step_recorder_options){.log_path = "/dev/full"};
    assert_int_equal(rf_step_recorder_create(&options, &recorder, &err), RF_OK);
    const rf_engine_counters counters = {0};
    rf_step_recorder_on_step(recorder, &(rf_step_report){.counters = &counters});
    assert_int_equal(rf_step_recorder_close(recorder, &err), RF_ERR_IO);
    assert_non_null(strstr(err.text, "/dev/full: cannot write"));
    assert_int_equal(rf_step_recorder_close(NULL, &err), RF_OK);
}

static int make(void **state) {
    int fd = mkstemp(trace_path);
    return fd < 0 || close(fd) != 0 ? -1 : temp_path_make(state);
}

static int drop(void **state) { return unlink(trace_path) | temp_path_drop(state); }

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_files),
                                       cmocka_unit_test(test_no_room),
                                       cmocka_unit_test(test_failing_files)};
    return cmocka_run_group_tests(tests, make, drop);
}
