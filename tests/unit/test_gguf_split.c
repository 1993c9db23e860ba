/* Models in several files: keys of the first, tensors of all, and every way in which they can
 * disagree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "gguf/writer.h"

enum { N_FILES = 3 };
static char folder[64];
static const float values[4][2] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};

static const char *name_of(int i_file, int n_files) {
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/m-%05d-of-%05d.gguf", folder, i_file + 1, n_files);
    return path;
}

typedef struct claims {
    int no, count, n_tensors;
    const char *tensor;
} claims;

static void write_split(int i_file, claims is) {
    rf_gguf_writer *writer = NULL;
    rf_error err = {0};
    char name[16];
    assert_int_equal(rf_gguf_writer_create(i_file == 1 ? 64 : 0, &writer, &err), RF_OK);
    rf_gguf_writer_str(writer, "general.architecture", i_file ? RF_STR("other") : RF_STR("first"));
    if (is.no >= 0)
        rf_gguf_writer_u32(writer, "split.no", (uint32_t)is.no);
    if (is.count >= 0)
        rf_gguf_writer_u32(writer, "split.count", (uint32_t)is.count);
    if (is.n_tensors >= 0)
        rf_gguf_writer_u32(writer, "split.tensors.count", (uint32_t)is.n_tensors);
    (void)snprintf(name, sizeof name, "t%d", i_file);
    rf_gguf_writer_tensor(writer, rf_str_of(is.tensor ? is.tensor : name), 0, 1,
                          (const uint64_t[]){2}, values[i_file], sizeof values[0]);
    if (i_file == 2)
        rf_gguf_writer_tensor(writer, RF_STR("t3"), 0, 1, (const uint64_t[]){2}, values[3],
                              sizeof values[0]);
    if (rf_gguf_writer_finish(writer, name_of(i_file, N_FILES), &err) != RF_OK)
        fail_msg("%s", err.text);
    rf_gguf_writer_destroy(writer);
}

static int write_splits(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "build/split-%d", getpid());
    (void)mkdir(folder, 0700);
    for (int i = 0; i < N_FILES; i++)
        write_split(i, (claims){i, N_FILES, 4, NULL});
    return 0;
}

static int remove_splits(void **state) {
    (void)state;
    for (int i = 0; i < N_FILES; i++)
        (void)unlink(name_of(i, N_FILES));
    return rmdir(folder);
}

static void expect(const char *path, const char *part) {
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    size_t live = rf_alloc_live_bytes();
    rf_status status = rf_gguf_open(path, NULL, &gguf, &err);
    rf_gguf_close(gguf);
    assert_int_equal(rf_alloc_live_bytes(), live);
    if (!part && status != RF_OK)
        fail_msg("%s", err.text);
    if (part && (status == RF_OK || !strstr(err.text, part)))
        fail_msg("\"%s\" is not in \"%s\"", part, status ? err.text : "(it opened)");
}

static void all_splits_open(void **state) {
    (void)state;
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    if (rf_gguf_open(name_of(0, N_FILES), NULL, &gguf, &err) != RF_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rf_gguf_n_files(gguf), N_FILES);
    assert_int_equal(rf_gguf_n_tensors(gguf), 4);
    rf_str text;
    assert_int_equal(rf_gguf_get_str(gguf, "general.architecture", &text, &err), RF_OK);
    assert_true(rf_str_is(text, "first"));
    uint64_t bytes = 0;
    for (int i = 0; i < N_FILES; i++) {
        struct stat info;
        assert_int_equal(stat(name_of(i, N_FILES), &info), 0);
        bytes += (uint64_t)info.st_size;
    }
    assert_int_equal(rf_gguf_file_bytes(gguf), bytes);
    for (int i = 0; i < 4; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        const rf_gguf_tensor *tensor = rf_gguf_find_tensor(gguf, rf_str_of(name));
        assert_non_null(tensor);
        assert_int_equal(tensor->i_file, i < 2 ? i : 2);
        assert_memory_equal(tensor->data, values[i], sizeof values[i]);
        assert_string_equal(rf_gguf_path_at(tensor->data), name_of(i < 2 ? i : 2, N_FILES));
    }
    assert_true(rf_gguf_unchanged(gguf));
    assert_int_equal(truncate(name_of(2, N_FILES), 10), 0);
    assert_false(rf_gguf_unchanged(gguf));
    rf_gguf_close(gguf);
}

static void a_later_split_names_the_first(void **state) {
    (void)state;
    char first[256];
    (void)snprintf(first, sizeof first, "open the first: %s", name_of(0, N_FILES));
    expect(name_of(1, N_FILES), first);
}

static void splits_that_disagree(void **state) {
    (void)state;
    static const struct {
        int i_file;
        claims is;
        const char *part;
    } cases[] = {
        {1, {2, 3, 4, NULL}, "split.no"},
        {1, {1, 2, 4, NULL}, "split.count"},
        {2, {-1, -1, -1, NULL}, "split.no"},
        {1, {1, 3, 5, NULL}, "split.tensors.count"},
        {1, {1, 3, 4, "t0"}, "twice"},
        {1, {3, 3, 4, NULL}, "split.no"},
        {0, {0, 3, 3, NULL}, "split.tensors.count"},
        {0, {0, 2, 4, NULL}, "name of split 1 of 3"},
        {0, {-1, -1, -1, NULL}, "split.count"},
        {0, {0, 2000, 4, NULL}, "at most 1024"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)write_splits(NULL);
        write_split(cases[i].i_file, cases[i].is);
        expect(name_of(0, N_FILES), cases[i].part);
    }
}

/* Some writers say how many tensors there are in the first file alone, or nowhere. */
static void the_number_of_tensors_may_be_absent(void **state) {
    (void)state;
    (void)write_splits(NULL);
    write_split(1, (claims){1, 3, -1, NULL});
    expect(name_of(0, N_FILES), NULL);
    for (int i = 0; i < N_FILES; i++)
        write_split(i, (claims){i, 3, -1, NULL});
    expect(name_of(0, N_FILES), NULL);
}

static void a_missing_split_is_named(void **state) {
    (void)state;
    (void)write_splits(NULL);
    assert_int_equal(unlink(name_of(2, N_FILES)), 0);
    expect(name_of(0, N_FILES), "-00003-of-00003.gguf: cannot open");
    assert_int_equal(truncate(name_of(1, N_FILES), 60), 0);
    expect(name_of(0, N_FILES), "-00002-of-00003.gguf: header");
}

static void a_renamed_split_is_refused(void **state) {
    (void)state;
    char plain[128];
    (void)write_splits(NULL);
    (void)snprintf(plain, sizeof plain, "%s/plain.gguf", folder);
    assert_int_equal(rename(name_of(0, N_FILES), plain), 0);
    expect(plain, "-00001-of-00003.gguf");
    assert_int_equal(unlink(plain), 0);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    (void)write_splits(NULL);
    size_t live = rf_alloc_live_bytes();
    rf_status status = RF_ERR_NO_MEMORY;
    for (uint64_t n = 1; status != RF_OK; n++) {
        rf_gguf *gguf = NULL;
        rf_error err = {0};
        rf_alloc_fail_at(n, n & 1);
        status = rf_gguf_open(name_of(0, N_FILES), NULL, &gguf, &err);
        rf_alloc_fail_at(0, 0);
        assert_true(status == RF_OK || status == RF_ERR_NO_MEMORY);
        rf_gguf_close(gguf);
        assert_int_equal(rf_alloc_live_bytes(), live);
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_splits_open),
        cmocka_unit_test(a_later_split_names_the_first),
        cmocka_unit_test(splits_that_disagree),
        cmocka_unit_test(the_number_of_tensors_may_be_absent),
        cmocka_unit_test(a_missing_split_is_named),
        cmocka_unit_test(a_renamed_split_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, write_splits, remove_splits);
}
