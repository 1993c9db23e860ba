/* Hostile keys: names, types, strings, arrays, alignment. */
#include "tests/lib/hostile_gguf.h"

static const uint64_t lengths[] = {
    1000000,   (uint64_t)1 << 31,       (uint64_t)1 << 32, ((uint64_t)1 << 32) + 8,
    INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 7,    UINT64_MAX};

void hostile_key_name_length(gguf_edit *edit, uint32_t variant) {
    edit->keys[variant].name_bytes = lengths[variant];
}

void hostile_key_name_empty(gguf_edit *edit, uint32_t variant) {
    (void)variant;
    (void)edit_add_key(edit, RF_STR(""), RF_GGUF_U32, &(uint32_t){1}, 4);
}

void hostile_key_name_nul(gguf_edit *edit, uint32_t variant) {
    const rf_str names[] = {RF_STR("\0"), RF_STR("general.file_type\0"), RF_STR("general\0.name")};
    (void)edit_add_key(edit, names[variant], RF_GGUF_U32, &(uint32_t){1}, 4);
}

void hostile_key_name_bytes(gguf_edit *edit, uint32_t variant) {
    const rf_str names[] = {
        RF_STR("x.\n"),  RF_STR("x.\33[2J"),   RF_STR("x.\177"),         RF_STR("x.\xff"),
        RF_STR("\xc3("), RF_STR("x.\xc3\xa9"), RF_STR("x.\xed\xa0\x80"), RF_STR("\xe2\x80\xae"),
    };
    (void)edit_add_key(edit, names[variant], RF_GGUF_U32, &(uint32_t){1}, 4);
}

void hostile_key_name_long(gguf_edit *edit, uint32_t variant) {
    static char name[100000];
    memset(name, 'x', sizeof name);
    (void)edit_add_key(edit, (rf_str){name, variant ? sizeof name : 65536}, RF_GGUF_U8, "", 1);
}

void hostile_key_duplicate(gguf_edit *edit, uint32_t variant) {
    const rf_str names[] = {RF_STR("general.architecture"), RF_STR("llama.block_count"),
                            RF_STR("tokenizer.ggml.tokens"), RF_STR("general.file_type")};
    (void)edit_add_key(edit, names[variant], RF_GGUF_U32, &(uint32_t){1}, 4);
}

void hostile_key_type_unknown(gguf_edit *edit, uint32_t variant) {
    static const uint32_t types[] = {RF_GGUF_TYPE_COUNT, 255, (uint32_t)1 << 31, UINT32_MAX};
    edit->keys[5].type = types[variant];
}

void hostile_string_length(gguf_edit *edit, uint32_t variant) {
    edit_poke(edit, "general.name", 0, &lengths[variant], 8);
}

void hostile_string_nul(gguf_edit *edit, uint32_t variant) {
    static const char *const names[] = {"general.name", "general.architecture", "x.unknown",
                                        "tokenizer.ggml.pre"};
    (void)edit_set_str(edit, names[variant], variant & 1 ? RF_STR("llama\0") : RF_STR("a\0b"));
}

void hostile_string_utf8(gguf_edit *edit, uint32_t variant) {
    const rf_str texts[] = {
        RF_STR("\xff"),         RF_STR("good\x80"),
        RF_STR("\xc0\xaf"),     RF_STR("\xe0\x80\xaf"),
        RF_STR("\xed\xa0\x80"), RF_STR("\xf4\x90\x80\x80"),
        RF_STR("cut\xe2\x82"),  RF_STR("\xf8\x88\x80\x80\x80"),
    };
    (void)edit_set_str(edit, variant & 1 ? "general.name" : "x.unknown", texts[variant]);
}

void hostile_bool_value(gguf_edit *edit, uint32_t variant) {
    static const uint8_t values[] = {2, 128, 255};
    edit_poke(edit, "tokenizer.ggml.add_bos_token", 0, &values[variant], 1);
}

/* type, number of items, and n_bytes of what follows. */
static void set_array(gguf_edit *edit, uint32_t type, uint64_t n_items, const void *items,
                      size_t n_bytes) {
    rf_buf value;
    rf_buf_init(&value, 1 << 24);
    rf_buf_append(&value, &type, sizeof type);
    rf_buf_append(&value, &n_items, sizeof n_items);
    rf_buf_append(&value, items, n_bytes);
    (void)edit_set_key(edit, "x.array", RF_GGUF_ARRAY, value.data, value.len);
    rf_buf_deinit(&value);
}

void hostile_bool_array(gguf_edit *edit, uint32_t variant) {
    uint8_t items[3] = {0, 1, 1};
    items[variant] = (uint8_t)(2 + variant);
    set_array(edit, RF_GGUF_BOOL, sizeof items, items, sizeof items);
}

void hostile_array_type_unknown(gguf_edit *edit, uint32_t variant) {
    static const uint32_t types[] = {RF_GGUF_TYPE_COUNT, 99, (uint32_t)1 << 31, UINT32_MAX};
    set_array(edit, types[variant], variant & 1 ? 0 : 4, "0123456789abcdef", 16);
}

/* For every item type, a count whose bytes wrap to few, and one just beyond the file. */
void hostile_array_count(gguf_edit *edit, uint32_t variant) {
    static const uint8_t sizes[RF_GGUF_TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
    uint32_t type = variant / 2;
    uint64_t wraps = UINT64_MAX / sizes[type] + 1 + (sizes[type] == 1 ? UINT64_MAX : 0);
    set_array(edit, type, variant & 1 ? wraps : (uint64_t)1000000, "0123456789abcdef", 16);
}

void hostile_array_item_length(gguf_edit *edit, uint32_t variant) {
    const char *name = variant < 3 ? "tokenizer.ggml.tokens" : "tokenizer.ggml.merges";
    edit_poke(edit, name, 12, &lengths[2 + variant], 8);
}

void hostile_array_nested_deep(gguf_edit *edit, uint32_t variant) {
    static const uint32_t depths[] = {9, 100, 10000, 100000};
    static const uint32_t level[] = {RF_GGUF_ARRAY, 1, 0}, last[] = {RF_GGUF_U8, 0, 0};
    rf_buf items;
    rf_buf_init(&items, 1 << 24);
    for (uint32_t i = 0; i < depths[variant]; i++)
        rf_buf_append(&items, level, sizeof level);
    rf_buf_append(&items, last, sizeof last);
    set_array(edit, RF_GGUF_ARRAY, 1, items.data, items.len);
    rf_buf_deinit(&items);
}

void hostile_array_nested_count(gguf_edit *edit, uint32_t variant) {
    static const uint32_t items[][3] = {{RF_GGUF_ARRAY, UINT32_MAX, 0},
                                        {RF_GGUF_U32, 0, 1u << 30},
                                        {RF_GGUF_STRING, 0, 1u << 29},
                                        {RF_GGUF_ARRAY, 0, UINT32_MAX}};
    set_array(edit, RF_GGUF_ARRAY, 1, items[variant], sizeof items[variant]);
}

void hostile_alignment_value(gguf_edit *edit, uint32_t variant) {
    static const uint32_t values[] = {0, 1, 4, 12, 31, UINT32_MAX};
    (void)edit_set_u32(edit, "general.alignment", values[variant]);
}

void hostile_alignment_type(gguf_edit *edit, uint32_t variant) {
    static const uint32_t types[] = {RF_GGUF_I32, RF_GGUF_U64, RF_GGUF_F32, RF_GGUF_U8,
                                     RF_GGUF_STRING};
    static const uint8_t value[8] = {32};
    if (types[variant] == RF_GGUF_STRING)
        (void)edit_set_str(edit, "general.alignment", RF_STR("32"));
    else
        (void)edit_set_key(edit, "general.alignment", types[variant], value,
                           rf_gguf_type_bytes((rf_gguf_type)types[variant]));
}

/* Legal alignments that put the data behind the end of the file. */
void hostile_alignment_far(gguf_edit *edit, uint32_t variant) {
    static const uint32_t values[] = {1u << 20, 1u << 31, UINT32_MAX - 7};
    (void)edit_set_u32(edit, "general.alignment", values[variant]);
}

void hostile_split(gguf_edit *edit, uint32_t variant) {
    static const uint32_t pairs[][2] = {{0, 3}, {2, 3}, {3, 3}, {1, 0}, {0, 65536}};
    if (variant == 5) {
        (void)edit_set_str(edit, "split.count", RF_STR("3"));
        return;
    }
    (void)edit_set_u32(edit, "split.no", pairs[variant][0]);
    (void)edit_set_u32(edit, "split.count", pairs[variant][1]);
}
