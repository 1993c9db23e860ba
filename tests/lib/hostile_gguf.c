#include "tests/lib/hostile_gguf.h"

#include <time.h>

#include "tests/lib/golden.h"

#define TINY "tests/golden/types/type-q2_k.gguf" /* llama, one layer of 256 */
#define MOE  "tests/golden/models/qwen3moe.gguf" /* 3 of 8 experts */
#define ROPE "tests/golden/models/llama3-rope.gguf"

const hostile_family hostile_families[] = {
#define LIE(name, layer, base, n)   {#name, HOSTILE_##layer, base, n, hostile_##name, NULL},
#define SPOIL(name, layer, base, n) {#name, HOSTILE_##layer, base, n, NULL, hostile_##name},
#include "tests/lib/hostile_families.def"
#undef LIE
#undef SPOIL
};
const size_t hostile_n_families = sizeof hostile_families / sizeof hostile_families[0];

bool hostile_make(const hostile_family *family, uint32_t variant, rf_buf *out) {
    gguf_edit edit;
    golden_file base = golden_read(family->base);
    bool ok = base.bytes && gguf_edit_init(&edit, base.bytes, base.n);
    if (ok) {
        if (family->lie)
            family->lie(&edit, variant);
        gguf_edit_write(&edit, out);
        if (family->spoil)
            family->spoil(out, variant);
        gguf_edit_deinit(&edit);
    }
    golden_free(&base);
    return ok && !out->failed;
}

const char *hostile_layer_name(hostile_layer layer) {
    static const char *const names[HOSTILE_LAYER_COUNT] = {"gguf", "tokenizer", "model", "template",
                                                           "any"};
    return names[layer];
}

uint64_t hostile_cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
