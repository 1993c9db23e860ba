/* Hostile headers: magic, version, counts; files cut short or of another kind. */
#include "base/rng.h"
#include "tests/lib/hostile_gguf.h"

void hostile_magic(gguf_edit *edit, uint32_t variant) {
    static const char magics[][5] = {"gguf", "FUGG", "\0\0\0\0", "GGUE"};
    memcpy(&edit->magic, magics[variant], 4);
}

void hostile_version(gguf_edit *edit, uint32_t variant) {
    static const uint32_t versions[] = {0, 1, 4, 0x03000000, 0x02000000, UINT32_MAX};
    edit->version = versions[variant];
}

static const uint64_t more[] = {
    1, 100, 1u << 20, (uint64_t)1 << 32, (uint64_t)1 << 59, (uint64_t)1 << 61, (uint64_t)1 << 63};

/* The last variant declares 2^64 - 1. */
void hostile_key_count(gguf_edit *edit, uint32_t variant) {
    edit->n_keys_more = variant < 7 ? more[variant] : UINT64_MAX - edit->n_keys;
}

void hostile_tensor_count(gguf_edit *edit, uint32_t variant) {
    edit->n_tensors_more = variant < 7 ? more[variant] : UINT64_MAX - edit->n_tensors;
}

/* The keys that are left over are read as tensors. */
void hostile_key_count_less(gguf_edit *edit, uint32_t variant) {
    edit->n_keys_more = (uint64_t)0 - (1 + 4 * variant);
}

void hostile_truncated(rf_buf *file, uint32_t variant) { file->len = file->len * variant / 64; }

void hostile_truncated_header(rf_buf *file, uint32_t variant) {
    file->len = 24 + (size_t)variant * 139;
}

void hostile_too_short(rf_buf *file, uint32_t variant) { file->len = variant; }

void hostile_noise(rf_buf *file, uint32_t variant) {
    rf_rng rng = rf_rng_make(3, variant);
    for (size_t i = variant < 4 ? 24 : 8; i < file->len; i++)
        file->data[i] = (char)rf_rng_u32(&rng);
}

void hostile_zeros(rf_buf *file, uint32_t variant) {
    static const size_t from[] = {0, 8, 24, 1000};
    memset(file->data + from[variant], 0, file->len - from[variant]);
    if (from[variant] == 8) /* otherwise a legal file without keys and tensors */
        file->data[16] = 1;
}

void hostile_other_format(rf_buf *file, uint32_t variant) {
    const rf_str heads[] = {
        RF_STR("<!DOCTYPE html>\n<html><head><title>404"),
        RF_STR("version https://git-lfs.github.com/spec/v1\noid sha256:"),
        RF_STR("PK\3\4\24\0\0\0\10\0"),
        RF_STR("tjgg\3\0\0\0"),
        RF_STR("\177ELF\2\1\1\0"),
        RF_STR("@\10\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"}"),
    };
    file->len = 0;
    rf_buf_str(file, heads[variant]);
}
