/*
 * Files that lie: every family takes a golden file and makes one claim in it false, in a number of
 * variants. Deterministic. Every file must be refused by the layer that the family names (or by one
 * before it) within 100 ms and 4 x file size + 16 MiB. For tests; one thread at a time.
 */
#ifndef RF_TESTS_HOSTILE_GGUF_H
#define RF_TESTS_HOSTILE_GGUF_H

#include "tests/lib/gguf_edit.h"

/* Who must refuse. All but the first load as GGUF files. */
typedef enum hostile_layer {
    HOSTILE_GGUF,      /* rf_gguf_open */
    HOSTILE_TOKENIZER, /* rf_tokenizer_create */
    HOSTILE_MODEL,     /* loading the model */
    HOSTILE_TEMPLATE,  /* compiling or rendering the chat template */
    HOSTILE_ANY,       /* the first one that meets it, generation at the latest */
    HOSTILE_LAYER_COUNT
} hostile_layer;

typedef struct hostile_family {
    const char *name;
    hostile_layer layer;
    const char *base; /* path of the golden file */
    uint32_t n_variants;
    void (*lie)(gguf_edit *edit, uint32_t variant); /* changes the parts, or */
    void (*spoil)(rf_buf *file, uint32_t variant);  /* changes the bytes */
} hostile_family;

extern const hostile_family hostile_families[];
extern const size_t hostile_n_families;

/* What refusing may cost: processor time (more where every access is checked) and memory beyond
 * four times the file. */
#if defined(__SANITIZE_ADDRESS__)
enum { HOSTILE_MAX_NS = 1000000000 };
#else
enum { HOSTILE_MAX_NS = 100000000 };
#endif
enum { HOSTILE_MEMORY_FLOOR = 16 << 20 };
/* Processor time of this thread: other tests that run beside it do not count. */
uint64_t hostile_cpu_ns(void);

/* Appends the file. False when the base cannot be read or memory ran out. */
bool hostile_make(const hostile_family *family, uint32_t variant, rf_buf *out);
const char *hostile_layer_name(hostile_layer layer);

/* The families, each in the file of its noun. */
#define LIE(name, layer, base, n_variants)   void hostile_##name(gguf_edit *edit, uint32_t variant);
#define SPOIL(name, layer, base, n_variants) void hostile_##name(rf_buf *file, uint32_t variant);
#include "tests/lib/hostile_families.def"
#undef LIE
#undef SPOIL

#endif
