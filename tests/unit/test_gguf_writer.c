/* What is written reads back; a failed write leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "gguf/tensor_type.h"
#include "gguf/writer.h"
#include "tests/lib/golden.h"

static char folder[64], path[96];

static int n_entries(void) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n = 0;
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n - 2;
}

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "build/writer-%d", getpid());
    (void)snprintf(path, sizeof path, "%s/out.gguf", folder);
    return mkdir(folder, 0700);
}

static int remove_folder(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static const float floats[] = {1, 2, 3, 4, 5, 6};
static const uint8_t bytes[] = {9, 8, 7};

static rf_gguf_writer *sample(uint32_t alignment) {
    rf_gguf_writer *writer = NULL;
    rf_error err = {0};
    if (rf_gguf_writer_create(alignment, &writer, &err) != RF_OK)
        return NULL;
    const int32_t ids[] = {-1, 70000, 3};
    const rf_str words[] = {RF_STR("a"), RF_STR(""), {"\xff\0z", 3}};
    rf_gguf_writer_str(writer, "general.architecture", RF_STR("first"));
    rf_gguf_writer_u32(writer, "t.u32", 4000000000u);
    rf_gguf_writer_u64(writer, "t.u64", UINT64_MAX);
    rf_gguf_writer_f32(writer, "t.f32", -0.5f);
    rf_gguf_writer_bool(writer, "t.bool", true);
    rf_gguf_writer_array(writer, "t.ids", RF_GGUF_I32, ids, 3);
    rf_gguf_writer_strings(writer, "t.words", words, 3);
    rf_gguf_writer_str(writer, "general.architecture", RF_STR("golden"));
    rf_gguf_writer_tensor(writer, RF_STR("bytes"), 24, 1, (const uint64_t[]){3}, bytes, 3);
    rf_gguf_writer_tensor(writer, RF_STR("floats"), 0, 2, (const uint64_t[]){3, 2}, floats,
                          sizeof floats);
    return writer;
}

static void check_sample(uint64_t alignment) {
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    if (rf_gguf_open(path, NULL, &gguf, &err) != RF_OK)
        fail_msg("%s", err.text);
    rf_str text;
    const rf_gguf_key *key = NULL;
    assert_int_equal(rf_gguf_alignment(gguf), alignment);
    assert_int_equal(rf_gguf_n_keys(gguf), alignment == 32 ? 7 : 8);
    assert_int_equal(rf_gguf_get_str(gguf, "general.architecture", &text, &err), RF_OK);
    assert_true(rf_str_is(text, "golden"));
    assert_int_equal(rf_gguf_get_array(gguf, "t.ids", RF_GGUF_I32, &key, &err), RF_OK);
    assert_int_equal(rf_gguf_item_int(key, 0), -1);
    assert_int_equal(rf_gguf_item_int(key, 1), 70000);
    assert_int_equal(rf_gguf_get_array(gguf, "t.words", RF_GGUF_STRING, &key, &err), RF_OK);
    rf_gguf_strings walk = rf_gguf_strings_begin(key);
    assert_true(rf_gguf_strings_next(&walk, &text) && rf_str_is(text, "a"));
    assert_true(rf_gguf_strings_next(&walk, &text) && text.len == 0);
    assert_true(rf_gguf_strings_next(&walk, &text) && text.len == 3);
    assert_false(rf_gguf_strings_next(&walk, &text));
    const rf_gguf_tensor *tensor = rf_gguf_find_tensor(gguf, RF_STR("floats"));
    assert_int_equal(tensor->n_dims, 2);
    assert_memory_equal(tensor->data, floats, sizeof floats);
    assert_memory_equal(rf_gguf_tensor_at(gguf, 0)->data, bytes, sizeof bytes);
    rf_gguf_close(gguf);
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    static const uint32_t alignments[] = {0, 8, 32, 40, 4096};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        rf_gguf_writer *writer = sample(alignments[i]);
        rf_error err = {0};
        if (rf_gguf_writer_finish(writer, path, &err) != RF_OK)
            fail_msg("%s", err.text);
        rf_gguf_writer_destroy(writer);
        check_sample(alignments[i] ? alignments[i] : 32);
        assert_int_equal(n_entries(), 1);
    }
    rf_gguf_writer *writer = NULL;
    assert_int_equal(rf_gguf_writer_create(12, &writer, NULL), RF_ERR_INVALID);
}

/* A golden file copied key by key and tensor by tensor holds the same. */
static void golden_file_copies(void **state) {
    (void)state;
    rf_gguf *from = NULL, *to = NULL;
    rf_gguf_writer *writer = NULL;
    rf_error err = {0};
    assert_int_equal(rf_gguf_open("tests/golden/models/gemma2.gguf", NULL, &from, &err), RF_OK);
    assert_int_equal(rf_gguf_writer_create(64, &writer, &err), RF_OK);
    for (size_t i = 0; i < rf_gguf_n_keys(from); i++)
        rf_gguf_writer_copy_key(writer, rf_gguf_key_at(from, i));
    for (size_t i = 0; i < rf_gguf_n_tensors(from); i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(from, i);
        rf_gguf_writer_tensor(writer, tensor->name, tensor->type_id, tensor->n_dims, tensor->ne,
                              tensor->data, tensor->bytes);
    }
    assert_int_equal(rf_gguf_writer_finish(writer, path, &err), RF_OK);
    rf_gguf_writer_destroy(writer);
    assert_int_equal(rf_gguf_open(path, NULL, &to, &err), RF_OK);
    assert_int_equal(rf_gguf_n_tensors(to), rf_gguf_n_tensors(from));
    for (size_t i = 0; i < rf_gguf_n_keys(from); i++) {
        const rf_gguf_key *a = rf_gguf_key_at(from, i), *b = rf_gguf_find_key(to, a->name);
        assert_non_null(b);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->item_type, b->item_type);
        assert_int_equal(a->data_bytes, b->data_bytes);
        assert_memory_equal(a->data, b->data, a->data_bytes);
    }
    for (size_t i = 0; i < rf_gguf_n_tensors(from); i++) {
        const rf_gguf_tensor *a = rf_gguf_tensor_at(from, i), *b = rf_gguf_tensor_at(to, i);
        assert_true(rf_str_eq(a->name, b->name));
        assert_memory_equal(a->ne, b->ne, sizeof a->ne);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
    rf_gguf_close(from);
    rf_gguf_close(to);
}

static void finish_fails(rf_gguf_writer *writer, const char *to, rf_status status,
                         const char *part) {
    rf_error err = {0};
    int before = n_entries();
    assert_int_equal(rf_gguf_writer_finish(writer, to, &err), status);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
    rf_gguf_writer_destroy(writer);
    assert_int_equal(n_entries(), before);
}

static void failures_leave_nothing(void **state) {
    (void)state;
    char inner[128];
    (void)snprintf(inner, sizeof inner, "%s/no/out.gguf", folder);
    finish_fails(sample(0), inner, RF_ERR_IO, "No such file");
    finish_fails(sample(0), folder, RF_ERR_IO, "directory");
    finish_fails(sample(0), "/proc/out.gguf", RF_ERR_IO, "/proc/out.gguf");
    finish_fails(sample(0), "/dev/full", RF_ERR_IO, "No space left");
    rf_gguf_writer *writer = sample(0);
    rf_error err = {0};
    assert_int_equal(rf_gguf_writer_finish(writer, "/dev/null", &err), RF_OK);
    rf_gguf_writer_destroy(writer);
    struct stat info;
    assert_true(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
}

/* A limit on the size of files stands for a disk that runs full in the middle: the old file stays.
 */
static void full_disk_keeps_the_old_file(void **state) {
    (void)state;
    rf_gguf_writer *writer = sample(0);
    rf_error err = {0};
    assert_int_equal(rf_gguf_writer_finish(writer, path, &err), RF_OK);
    rf_gguf_writer_destroy(writer);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 256;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    writer = sample(4096);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rf_status status = rf_gguf_writer_finish(writer, path, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, handler);
    rf_gguf_writer_destroy(writer);
    assert_int_equal(status, RF_ERR_IO);
    assert_int_equal(n_entries(), 1);
    check_sample(32);
}

static void faults_are_remembered(void **state) {
    (void)state;
    const uint64_t ne[] = {32, 2};
    static const uint8_t data[36];
    rf_gguf_writer *writer = sample(0);
    rf_gguf_writer_u32(writer, "bad\nkey", 1);
    finish_fails(writer, path, RF_ERR_INVALID, "bad\\x0akey");
    writer = sample(0);
    rf_gguf_writer_str(writer, "t.text", (rf_str){"a\0b", 3});
    finish_fails(writer, path, RF_ERR_INVALID, "a NUL");
    writer = sample(0);
    rf_gguf_writer_tensor(writer, RF_STR("bytes"), 2, 2, ne, data, 36);
    finish_fails(writer, path, RF_ERR_INVALID, "found twice");
    writer = sample(0);
    rf_gguf_writer_tensor(writer, RF_STR("w"), 2, 2, ne, data, 35);
    finish_fails(writer, path, RF_ERR_INVALID, "36 expected");
    writer = sample(0);
    rf_gguf_writer_tensor(writer, RF_STR("w"), 10, 2, ne, data, 36);
    finish_fails(writer, path, RF_ERR_INVALID, "a shape");
    writer = sample(0);
    rf_gguf_writer_tensor(writer, RF_STR("w"), 999, 2, ne, data, 36);
    finish_fails(writer, path, RF_ERR_INVALID, "type 999");
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    size_t live = rf_alloc_live_bytes();
    rf_status status = RF_ERR_NO_MEMORY;
    (void)unlink(path);
    for (uint64_t n = 1; status != RF_OK; n++) {
        rf_error err = {0};
        rf_alloc_fail_at(n, n & 1);
        rf_gguf_writer *writer = sample(64);
        status = writer ? rf_gguf_writer_finish(writer, path, &err) : RF_ERR_NO_MEMORY;
        rf_alloc_fail_at(0, 0);
        rf_gguf_writer_destroy(writer);
        assert_true(status == RF_OK || status == RF_ERR_NO_MEMORY);
        assert_int_equal(n_entries(), status == RF_OK);
        assert_int_equal(rf_alloc_live_bytes(), live);
        assert_true(n < 200);
    }
    check_sample(64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(golden_file_copies),
        cmocka_unit_test(failures_leave_nothing),
        cmocka_unit_test(full_disk_keeps_the_old_file),
        cmocka_unit_test(faults_are_remembered),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
