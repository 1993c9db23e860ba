/* Opening what the specification allows, looking things up, files that are no GGUF or shrink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "gguf/gguf.h"
#include "gguf/tensor_type.h"
#include "tests/lib/gguf_edit.h"
#include "tests/lib/golden.h"

static const char model[] = "tests/golden/types/type-q2_k.gguf";

static rf_gguf *open_ok(const rf_buf *file) {
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    if (rf_gguf_open_memory(file->data, file->len, &gguf, &err) != RF_OK)
        fail_msg("%s", err.text);
    return gguf;
}

static void expect_refusal(const void *bytes, size_t n, const char *part) {
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    assert_int_not_equal(rf_gguf_open_memory(bytes, n, &gguf, &err), RF_OK);
    assert_null(gguf);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
}

static void start_edit(gguf_edit *edit, golden_file *base, rf_buf *out) {
    *base = golden_read(model);
    assert_non_null(base->bytes);
    assert_true(gguf_edit_init(edit, base->bytes, base->n));
    rf_buf_init(out, 1 << 24);
}

static void end_edit(gguf_edit *edit, golden_file *base, rf_buf *out) {
    gguf_edit_deinit(edit);
    golden_free(base);
    rf_buf_deinit(out);
}

static void open_folder(const char *folder) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!rf_str_ends(rf_str_of(entry->d_name), RF_STR(".gguf")))
            continue;
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        rf_gguf *gguf = NULL;
        rf_error err = {0};
        if (rf_gguf_open(path, NULL, &gguf, &err) != RF_OK)
            fail_msg("%s", err.text);
        assert_true(rf_gguf_n_keys(gguf) > 0 && rf_gguf_n_tensors(gguf) > 0);
        assert_string_equal(rf_gguf_path(gguf), path);
        assert_true(rf_gguf_unchanged(gguf));
        assert_string_equal(rf_gguf_path_at(rf_gguf_tensor_at(gguf, 0)->data), path);
        rf_gguf_close(gguf);
        n++;
    }
    (void)closedir(dir);
    assert_true(n > 0);
}

static void golden_files_open(void **state) {
    (void)state;
    open_folder("tests/golden/models");
    open_folder("tests/golden/types");
    assert_null(rf_gguf_path_at(&state));
}

static void golden_vocabularies_open(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint64_t n;
    } vocabs[] = {{"gpt-2", 50257}, {"llama-spm", 32000}, {"gemma3", 262144}};
    for (size_t i = 0; i < sizeof vocabs / sizeof vocabs[0]; i++) {
        golden_file file = golden_vocab(vocabs[i].name);
        assert_non_null(file.bytes);
        rf_gguf *gguf = NULL;
        rf_error err = {0};
        rf_alloc_peak_reset();
        size_t before = rf_alloc_live_bytes();
        uint64_t start = rf_clock_ns();
        assert_int_equal(rf_gguf_open_memory(file.bytes, file.n, &gguf, &err), RF_OK);
        print_message("%s: %.2f ms, %zu bytes\n", vocabs[i].name,
                      (double)(rf_clock_ns() - start) * 1e-6, rf_alloc_peak_bytes() - before);
        assert_true(rf_alloc_peak_bytes() - before < 64 << 10); /* arrays are not unpacked */
        const rf_gguf_key *tokens = NULL;
        assert_int_equal(
            rf_gguf_get_array(gguf, "tokenizer.ggml.tokens", RF_GGUF_STRING, &tokens, &err), RF_OK);
        assert_int_equal(tokens->n_items, vocabs[i].n);
        rf_gguf_strings walk = rf_gguf_strings_begin(tokens);
        rf_str text;
        uint64_t n = 0;
        while (rf_gguf_strings_next(&walk, &text))
            n++;
        assert_int_equal(n, vocabs[i].n);
        assert_ptr_equal(walk.at, tokens->data + tokens->data_bytes);
        rf_gguf_close(gguf);
        golden_free(&file);
    }
}

static void values_are_typed(void **state) {
    (void)state;
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    assert_int_equal(rf_gguf_open("tests/golden/models/phi3.gguf", NULL, &gguf, &err), RF_OK);
    uint32_t u32 = 7;
    uint64_t u64 = 7;
    float f32 = 0;
    bool flag = true;
    rf_str text;
    assert_int_equal(rf_gguf_get_u32(gguf, "phi3.context_length", &u32, &err), RF_OK);
    assert_int_equal(u32, 512);
    assert_int_equal(rf_gguf_get_u64(gguf, "phi3.embedding_length", &u64, &err), RF_OK);
    assert_int_equal(u64, 64);
    assert_int_equal(rf_gguf_get_f32(gguf, "phi3.rope.freq_base", &f32, &err), RF_OK);
    assert_true(f32 == 10000.0f);
    assert_int_equal(rf_gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &flag, &err), RF_OK);
    assert_false(flag);
    assert_int_equal(rf_gguf_get_str(gguf, "general.architecture", &text, &err), RF_OK);
    assert_true(rf_str_is(text, "phi3"));
    assert_int_equal(rf_gguf_get_u32(gguf, "no.such", &u32, &err), RF_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no.such"));
    assert_int_equal(u32, 512);
    assert_int_equal(rf_gguf_get_u32(gguf, "general.name", &u32, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "string"));
    assert_int_equal(rf_gguf_get_f32(gguf, "phi3.block_count", &f32, &err), RF_ERR_INVALID);
    assert_int_equal(rf_gguf_get_str(gguf, "phi3.block_count", &text, &err), RF_ERR_INVALID);
    const rf_gguf_key *key = NULL;
    assert_int_equal(rf_gguf_get_array(gguf, "tokenizer.ggml.token_type", RF_GGUF_U32, &key, &err),
                     RF_OK);
    assert_int_equal(rf_gguf_item_int(key, 0), 1);
    assert_int_equal(rf_gguf_get_array(gguf, "tokenizer.ggml.tokens", RF_GGUF_I32, &key, &err),
                     RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "array of string"));
    const rf_gguf_tensor *tensor = rf_gguf_find_tensor(gguf, RF_STR("blk.1.ffn_up.weight"));
    assert_non_null(tensor);
    assert_int_equal(tensor->ne[0], 64);
    assert_int_equal(tensor->ne[1], 256);
    assert_int_equal(tensor->ne[2], 1);
    assert_int_equal(tensor->bytes, 64 * 256 * 4);
    assert_null(rf_gguf_find_tensor(gguf, RF_STR("blk.1")));
    rf_gguf_close(gguf);
}

static void integers_of_every_type(void **state) {
    (void)state;
    gguf_edit edit;
    golden_file base;
    rf_buf out;
    rf_error err = {0};
    start_edit(&edit, &base, &out);
    int8_t i8 = -3;
    int16_t i16 = 300;
    uint8_t u8 = 200;
    uint16_t u16 = 60000;
    int64_t i64 = -5;
    uint64_t u64 = UINT64_MAX;
    double f64 = 0.5, huge = 1e300;
    (void)edit_set_key(&edit, "t.i8", RF_GGUF_I8, &i8, 1);
    (void)edit_set_key(&edit, "t.i16", RF_GGUF_I16, &i16, 2);
    (void)edit_set_key(&edit, "t.u8", RF_GGUF_U8, &u8, 1);
    (void)edit_set_key(&edit, "t.u16", RF_GGUF_U16, &u16, 2);
    (void)edit_set_key(&edit, "t.i64", RF_GGUF_I64, &i64, 8);
    (void)edit_set_key(&edit, "t.u64", RF_GGUF_U64, &u64, 8);
    (void)edit_set_key(&edit, "t.f64", RF_GGUF_F64, &f64, 8);
    (void)edit_set_key(&edit, "t.huge", RF_GGUF_F64, &huge, 8);
    gguf_edit_write(&edit, &out);
    rf_gguf *gguf = open_ok(&out);
    uint32_t value = 0;
    float f32 = 0;
    assert_int_equal(rf_gguf_get_u32(gguf, "t.i16", &value, &err), RF_OK);
    assert_int_equal(value, 300);
    assert_int_equal(rf_gguf_get_u32(gguf, "t.u8", &value, &err), RF_OK);
    assert_int_equal(value, 200);
    assert_int_equal(rf_gguf_get_u32(gguf, "t.u16", &value, &err), RF_OK);
    assert_int_equal(value, 60000);
    assert_int_equal(rf_gguf_get_u32(gguf, "t.i8", &value, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "found -3"));
    assert_int_equal(rf_gguf_get_u32(gguf, "t.i64", &value, &err), RF_ERR_INVALID);
    assert_int_equal(rf_gguf_get_u32(gguf, "t.u64", &value, &err), RF_ERR_INVALID);
    assert_int_equal(rf_gguf_get_u64(gguf, "t.u64", &u64, &err), RF_OK);
    assert_true(u64 == UINT64_MAX);
    assert_int_equal(rf_gguf_item_int(rf_gguf_find_key(gguf, RF_STR("t.u64")), 0), INT64_MAX);
    assert_int_equal(rf_gguf_item_int(rf_gguf_find_key(gguf, RF_STR("t.i8")), 0), -3);
    assert_int_equal(rf_gguf_item_int(rf_gguf_find_key(gguf, RF_STR("t.i64")), 0), -5);
    assert_int_equal(rf_gguf_get_f32(gguf, "t.f64", &f32, &err), RF_OK);
    assert_true(f32 == 0.5f);
    assert_int_equal(rf_gguf_get_f32(gguf, "t.huge", &f32, &err), RF_ERR_INVALID);
    rf_gguf_close(gguf);
    end_edit(&edit, &base, &out);
}

/* Empty arrays, arrays of arrays, unknown keys; version 2; no keys and no tensors at all. */
static void unusual_but_legal(void **state) {
    (void)state;
    gguf_edit edit;
    golden_file base;
    rf_buf out;
    start_edit(&edit, &base, &out);
    const uint32_t empty[] = {RF_GGUF_F32, 0, 0};
    const uint32_t nested[] = {RF_GGUF_ARRAY,  3, 0, RF_GGUF_U32, 2, 0, 5, 6,
                               RF_GGUF_ARRAY,  1, 0, RF_GGUF_U32, 0, 0, /* and the third */
                               RF_GGUF_STRING, 0, 0};
    (void)edit_set_key(&edit, "x.empty", RF_GGUF_ARRAY, empty, sizeof empty);
    (void)edit_set_key(&edit, "x.nested", RF_GGUF_ARRAY, nested, sizeof nested);
    (void)edit_set_u32(&edit, "some.unknown-thing.of.3", 1);
    (void)edit_set_str(&edit, "x.text", RF_STR(""));
    edit.version = 2;
    gguf_edit_write(&edit, &out);
    rf_gguf *gguf = open_ok(&out);
    assert_int_equal(rf_gguf_version(gguf), 2);
    const rf_gguf_key *key = rf_gguf_find_key(gguf, RF_STR("x.nested"));
    assert_int_equal(key->item_type, RF_GGUF_ARRAY);
    assert_int_equal(key->n_items, 3);
    assert_int_equal(key->data_bytes, sizeof nested - 12);
    assert_int_equal(rf_gguf_find_key(gguf, RF_STR("x.empty"))->n_items, 0);
    rf_gguf_close(gguf);
    static const uint8_t bare[24] = {'G', 'G', 'U', 'F', 3};
    assert_int_equal(rf_gguf_open_memory(bare, sizeof bare, &gguf, NULL), RF_OK);
    assert_int_equal(rf_gguf_n_keys(gguf) + rf_gguf_n_tensors(gguf), 0);
    assert_null(rf_gguf_find_key(gguf, RF_STR("a")));
    rf_gguf_close(gguf);
    end_edit(&edit, &base, &out);
}

/* Every multiple of 8 aligns, powers of two or not; data in any order, with gaps. */
static void alignments_gaps_and_order(void **state) {
    (void)state;
    static const uint32_t alignments[] = {8, 16, 24, 32, 40, 64, 4096, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        uint32_t align = alignments[i];
        gguf_edit edit;
        golden_file base;
        rf_buf out;
        start_edit(&edit, &base, &out);
        char *data = rf_calloc(8, align);
        assert_non_null(data);
        edit.n_tensors = 0;
        edit.alignment = align;
        (void)edit_set_u32(&edit, "general.alignment", align);
        edit.data = (rf_str){data, (size_t)align * 8};
        (void)edit_add_tensor(&edit, "last", 26, 1, 7 * (uint64_t)align);
        (void)edit_add_tensor(&edit, "first", 24, 3, 0);
        (void)edit_add_tensor(&edit, "middle", 28, 1, 3 * (uint64_t)align);
        memcpy(data + (size_t)align * 7, &(int32_t){-9}, 4);
        gguf_edit_write(&edit, &out);
        rf_gguf *gguf = open_ok(&out);
        assert_int_equal(rf_gguf_alignment(gguf), align);
        const rf_gguf_tensor *last = rf_gguf_find_tensor(gguf, RF_STR("last"));
        int32_t value;
        memcpy(&value, last->data, sizeof value);
        assert_int_equal(value, -9);
        assert_string_equal(rf_gguf_tensor_type_name(last->type_id), "i32");
        rf_gguf_close(gguf);
        rf_free(data);
        end_edit(&edit, &base, &out);
    }
}

/* A file cut anywhere before the end of its last tensor is refused, and says where. */
static void truncation_everywhere(void **state) {
    (void)state;
    gguf_edit edit;
    golden_file base;
    rf_buf out;
    start_edit(&edit, &base, &out);
    edit_resize_strings(&edit, "tokenizer.ggml.tokens", 20);
    edit_resize_strings(&edit, "tokenizer.ggml.merges", 5);
    edit_drop_key(&edit, "tokenizer.ggml.token_type");
    edit.n_tensors = 0;
    (void)edit_add_tensor(&edit, "a", 0, 9, 0);
    (void)edit_add_tensor(&edit, "b", 1, 7, 64);
    edit.data.len = 64 + 14;
    gguf_edit_write(&edit, &out);
    rf_gguf_close(open_ok(&out));
    for (size_t n = 0; n < out.len; n++) {
        uint8_t *cut = rf_alloc(n); /* exact, so that a sanitizer sees a byte too many */
        assert_non_null(cut);
        memcpy(cut, out.data, n);
        expect_refusal(cut, n, "at byte");
        rf_free(cut);
    }
    end_edit(&edit, &base, &out);
}

static void foreign_files_are_named(void **state) {
    (void)state;
    static const uint8_t big[24] = {'G', 'G', 'U', 'F', 0, 0, 0, 3};
    static const uint8_t one[24] = {'G', 'G', 'U', 'F', 1};
    static const uint8_t four[24] = {'G', 'G', 'U', 'F', 4};
    expect_refusal(big, sizeof big, "big-endian");
    expect_refusal(one, sizeof one, "version 1");
    expect_refusal(four, sizeof four, "version 4");
    expect_refusal("lmgg and more", 13, "\"lmgg\"");
    expect_refusal("", 0, "magic");
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    assert_int_equal(rf_gguf_open("tests", NULL, &gguf, &err), RF_ERR_IO);
    assert_non_null(strstr(err.text, "a directory"));
    assert_int_equal(rf_gguf_open("/dev/zero", NULL, &gguf, &err), RF_ERR_IO);
    assert_int_equal(rf_gguf_open("tests/none.gguf", NULL, &gguf, &err), RF_ERR_NOT_FOUND);
    char fifo[64];
    (void)snprintf(fifo, sizeof fifo, "build/fifo-%d.gguf", getpid());
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(rf_gguf_open(fifo, NULL, &gguf, &err), RF_ERR_IO);
    assert_int_equal(unlink(fifo), 0);
}

static void metadata_without_data(void **state) {
    (void)state;
    golden_file base = golden_read(model);
    char path[64];
    (void)snprintf(path, sizeof path, "build/head-%d.gguf", getpid());
    FILE *to = fopen(path, "wb");
    assert_non_null(to);
    assert_int_equal(fwrite(base.bytes, 1, base.n / 2, to), base.n / 2);
    assert_int_equal(fclose(to), 0);
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    assert_int_equal(rf_gguf_open(path, NULL, &gguf, &err), RF_ERR_INVALID);
    const rf_gguf_open_options options = {.no_data = true};
    assert_int_equal(rf_gguf_open(path, &options, &gguf, &err), RF_OK);
    assert_null(rf_gguf_tensor_at(gguf, 0)->data);
    assert_int_equal(truncate(path, 100), 0);
    assert_false(rf_gguf_unchanged(gguf));
    rf_gguf_close(gguf);
    assert_int_equal(unlink(path), 0);
    golden_free(&base);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    size_t live = rf_alloc_live_bytes();
    rf_status status = RF_ERR_NO_MEMORY;
    for (uint64_t n = 1; status != RF_OK; n++) {
        rf_gguf *gguf = NULL;
        rf_error err = {0};
        rf_alloc_fail_at(n, n & 1);
        status = rf_gguf_open(model, NULL, &gguf, &err);
        rf_alloc_fail_at(0, 0);
        assert_true(status == RF_OK || status == RF_ERR_NO_MEMORY);
        rf_gguf_close(gguf);
        assert_int_equal(rf_alloc_live_bytes(), live);
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_open),     cmocka_unit_test(golden_vocabularies_open),
        cmocka_unit_test(values_are_typed),      cmocka_unit_test(integers_of_every_type),
        cmocka_unit_test(unusual_but_legal),     cmocka_unit_test(alignments_gaps_and_order),
        cmocka_unit_test(truncation_everywhere), cmocka_unit_test(foreign_files_are_named),
        cmocka_unit_test(metadata_without_data), cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
