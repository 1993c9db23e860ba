/* The cache and attention: stored bytes, softmax over blocks, queries alone and together. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu_features.h"
#include "cpu/kernel_list.h"
#include "cpu/peak.h"
#include "tests/kcheck/kcheck.h"

/* Positions cross two spans. */
enum {
    POSITIONS = 2 * RF_ATTENTION_SPAN + 70,
    MAX_BLOCKS = 37,
    MAX_QUERIES = RF_ATTENTION_QUERIES
};
enum { MAX_DIMS = 256 };

/* A cache of POSITIONS positions and queries against it. Blocks hold NaN where nothing is stored.
 */
typedef struct bed {
    rf_kv_layout layout;
    uint8_t *slab;
    int32_t table[MAX_BLOCKS];
    uint32_t n_queries, first[MAX_QUERIES], last[MAX_QUERIES];
    float *q, *k, *v;
    float *max, *sum, *acc, *scratch;
    float soft_cap;
} bed;

static rf_kv_layout random_layout(kcheck *k) {
    static const uint32_t dims[] = {16, 40, 64, 80, 128, 32, 96, 8, 192, MAX_DIMS};
    rf_kv_layer layer = {1, dims[kcheck_below(k, 10)], dims[kcheck_below(k, 10)], 0};
    rf_limits limits = {.block_tokens = 16u << kcheck_below(k, 5),
                        .type_k = (rf_kv_type)kcheck_below(k, RF_KV_TYPE_COUNT),
                        .type_v = (rf_kv_type)kcheck_below(k, RF_KV_TYPE_COUNT)};
    if (layer.head_dim % RF_KV_Q8_GROUP != 0 && limits.type_k == RF_KV_Q8_0)
        limits.type_k = RF_KV_F16;
    if (layer.head_dim_v % RF_KV_Q8_GROUP != 0 && limits.type_v == RF_KV_Q8_0)
        limits.type_v = RF_KV_F32;
    rf_kv_layout layout;
    rf_error err = {0};
    kcheck_expect(k, rf_kv_layout_init(&layout, &layer, &limits, &err) == RF_OK, "%s", err.text);
    return layout;
}

static void bed_open(kcheck *k, bed *b, kcheck_mix mix) {
    uint32_t dims = b->layout.head_dim, dims_v = b->layout.head_dim_v;
    b->slab = kcheck_alloc(MAX_BLOCKS * b->layout.block_bytes);
    b->q = kcheck_alloc((size_t)MAX_QUERIES * dims * sizeof(float));
    b->k = kcheck_alloc((size_t)POSITIONS * dims * sizeof(float));
    b->v = kcheck_alloc((size_t)POSITIONS * dims_v * sizeof(float));
    b->max = kcheck_alloc(MAX_QUERIES * sizeof(float));
    b->sum = kcheck_alloc(MAX_QUERIES * sizeof(float));
    b->acc = kcheck_alloc((size_t)MAX_QUERIES * rf_kv_padded(dims_v) * sizeof(float));
    b->scratch = kcheck_alloc(rf_attention_scratch(&b->layout) * sizeof(float));
    kcheck_fill(k, mix, b->q, (size_t)MAX_QUERIES * dims);
    kcheck_fill(k, mix, b->k, (size_t)POSITIONS * dims);
    kcheck_fill(k, KMIX_NORMAL, b->v, (size_t)POSITIONS * dims_v);
    for (size_t i = 0; i < (size_t)MAX_QUERIES * dims; i++)
        b->q[i] /= sqrtf((float)dims);
    for (int32_t i = 0; i < MAX_BLOCKS; i++)
        b->table[i] = i * 7 % MAX_BLOCKS;
}

static void bed_close(kcheck *k, bed *b, const char *what) {
    void *all[] = {b->slab, b->q, b->k, b->v, b->max, b->sum, b->acc, b->scratch};
    for (int i = 0; i < 8; i++)
        kcheck_free(k, all[i], what);
}

static void bed_store(bed *b, rf_kv_store_fn store) {
    uint32_t tokens = b->layout.block_tokens;
    for (uint32_t p = 0; p < POSITIONS; p++)
        store(&b->layout, b->k + (size_t)p * b->layout.head_dim,
              b->v + (size_t)p * b->layout.head_dim_v, p % tokens,
              b->slab + (size_t)b->table[p / tokens] * b->layout.block_bytes);
}

/* Consecutive rows of a few heads, with or without a window. */
static void bed_queries(kcheck *k, bed *b) {
    uint32_t heads = 1 + kcheck_below(k, 5), rows = 1 + kcheck_below(k, MAX_QUERIES / heads);
    uint32_t window = kcheck_below(k, 2) ? 1 + kcheck_below(k, 300) : 0;
    uint32_t position = kcheck_below(k, POSITIONS - rows + 1);
    b->n_queries = heads * rows;
    b->soft_cap = kcheck_below(k, 3) ? 0.0f : 20.0f;
    for (uint32_t i = 0; i < b->n_queries; i++) {
        uint32_t p = position + i / heads;
        b->first[i] = window && p + 1 > window ? p + 1 - window : 0;
        b->last[i] = p + 1;
    }
}

static rf_attention_tile bed_tile(bed *b, uint32_t i, uint32_t n) {
    return (rf_attention_tile){.layout = &b->layout,
                               .slab = b->slab,
                               .table = b->table,
                               .begin = b->first[i],
                               .end = b->last[i + n - 1],
                               .ahead = b->last[i + n - 1],
                               .n_queries = n,
                               .q = b->q + (size_t)i * b->layout.head_dim,
                               .first = b->first + i,
                               .last = b->last + i,
                               .soft_cap = b->soft_cap,
                               .scratch = b->scratch,
                               .max = b->max,
                               .sum = b->sum,
                               .acc = b->acc};
}

/* Runs queries i … i+n-1 over all that they see. */
static void bed_run(bed *b, rf_attention_fn fn, uint32_t i, uint32_t n) {
    rf_attention_tile tile = bed_tile(b, i, n);
    fn(&tile);
}

/* What a run of several queries wrote. */
typedef struct result {
    float max[MAX_QUERIES], sum[MAX_QUERIES], acc[MAX_QUERIES * MAX_DIMS];
} result;

static void bed_keep(const bed *b, result *out) {
    memcpy(out->max, b->max, b->n_queries * sizeof(float));
    memcpy(out->sum, b->sum, b->n_queries * sizeof(float));
    memcpy(out->acc, b->acc,
           (size_t)b->n_queries * rf_kv_padded(b->layout.head_dim_v) * sizeof(float));
}

/* As bed_run of all queries, but each span in a run of its own, added up here. */
static void bed_run_spans(bed *b, rf_attention_fn fn, result *out) {
    uint32_t padded = rf_kv_padded(b->layout.head_dim_v), last = b->last[b->n_queries - 1];
    for (uint32_t i = 0; i < b->n_queries; i++) {
        out->max[i] = -INFINITY;
        out->sum[i] = 0.0f;
    }
    memset(out->acc, 0, sizeof out->acc);
    for (uint32_t at = b->first[0], to; at < last; at = to) {
        to = (at / RF_ATTENTION_SPAN + 1) * RF_ATTENTION_SPAN;
        rf_attention_tile tile = bed_tile(b, 0, b->n_queries);
        tile.begin = at;
        tile.end = to < last ? to : last;
        fn(&tile);
        for (uint32_t i = 0; i < b->n_queries; i++) {
            rf_attention_factors f =
                rf_attention_add(&out->max[i], &out->sum[i], b->max[i], b->sum[i]);
            for (size_t d = (size_t)i * padded; d < (size_t)(i + 1) * padded; d++)
                out->acc[d] = out->acc[d] * f.keep + b->acc[d] * f.take;
        }
    }
}

/* The largest sum of |q k| and value: what errors are relative to. */
static double logit_scale(const bed *b, uint32_t i) {
    double most = 0;
    for (uint32_t p = b->first[i]; p < b->last[i]; p++) {
        double sum = 0;
        for (uint32_t d = 0; d < b->layout.head_dim; d++)
            sum += fabs((double)b->q[(size_t)i * b->layout.head_dim + d] *
                        (double)b->k[(size_t)p * b->layout.head_dim + d]);
        most = fmax(most, sum);
    }
    return most;
}

/* Queries together against the reference. */
static void compare(kcheck *k, bed *b, const rf_kernel_row *kernel) {
    static float want[MAX_QUERIES * MAX_DIMS];
    uint32_t dims = b->layout.head_dim_v, padded = rf_kv_padded(dims);
    bed_run(b, rf_attention_ref, 0, b->n_queries);
    for (uint32_t i = 0; i < b->n_queries; i++)
        for (uint32_t d = 0; d < dims; d++)
            want[i * padded + d] = b->acc[i * padded + d] / b->sum[i];
    bed_run(b, (rf_attention_fn)kernel->fn, 0, b->n_queries);
    for (uint32_t i = 0; i < b->n_queries; i++) {
        double bound = (double)kernel->tolerance * 5 * (1 + logit_scale(b, i));
        for (uint32_t d = 0; d < dims; d++)
            kcheck_close(k, kernel->name, i * padded + d, b->acc[i * padded + d] / b->sum[i],
                         want[i * padded + d], bound);
    }
}

/* The same bits from spans added up outside, and from each query alone. */
static void compare_bits(kcheck *k, bed *b, rf_attention_fn fn, const char *name) {
    static result together, spans;
    uint32_t n = b->n_queries, dims = b->layout.head_dim_v, padded = rf_kv_padded(dims);
    bed_run(b, fn, 0, n);
    bed_keep(b, &together);
    bed_run_spans(b, fn, &spans);
    bool same = memcmp(spans.max, together.max, n * sizeof(float)) == 0 &&
                memcmp(spans.sum, together.sum, n * sizeof(float)) == 0;
    for (uint32_t i = 0; i < n; i++)
        same = same && memcmp(spans.acc + (size_t)i * padded, together.acc + (size_t)i * padded,
                              dims * sizeof(float)) == 0;
    kcheck_expect(k, same, "%s: spans added up differ from one run", name);
    for (uint32_t i = 0; i < n; i++) {
        bed_run(b, fn, i, 1);
        same = memcmp(b->max, together.max + i, sizeof(float)) == 0 &&
               memcmp(b->sum, together.sum + i, sizeof(float)) == 0 &&
               memcmp(b->acc, together.acc + (size_t)i * padded, dims * sizeof(float)) == 0;
        kcheck_expect(k, same, "%s: query %u of %u differs from itself alone", name, i, n);
    }
}

static void check_store(kcheck *k, const rf_kernel_row *kernel, kcheck_mix mix) {
    bed want = {.layout = random_layout(k)}, got;
    bed_open(k, &want, mix);
    got = want;
    got.slab = kcheck_alloc(MAX_BLOCKS * want.layout.block_bytes);
    if (kcheck_below(k, 4) == 0)
        want.k[kcheck_below(k, want.layout.head_dim)] = kcheck_below(k, 2) ? NAN : INFINITY;
    bed_store(&want, rf_kv_store_ref);
    bed_store(&got, (rf_kv_store_fn)kernel->fn);
    kcheck_expect(k, memcmp(want.slab, got.slab, MAX_BLOCKS * want.layout.block_bytes) == 0,
                  "%s: stored bytes differ (%s, %s, %u, %u dimensions)", kernel->name,
                  rf_kv_type_name(want.layout.type_k), rf_kv_type_name(want.layout.type_v),
                  want.layout.head_dim, want.layout.head_dim_v);
    kcheck_free(k, got.slab, kernel->name);
    bed_close(k, &want, kernel->name);
}

static void check_tile(kcheck *k, const rf_kernel_row *kernel, kcheck_mix mix) {
    bed b = {.layout = random_layout(k)};
    bed_open(k, &b, mix);
    bed_store(&b, rf_kv_store_ref);
    bed_queries(k, &b);
    compare(k, &b, kernel);
    compare_bits(k, &b, (rf_attention_fn)kernel->fn, kernel->name);
    bed_close(k, &b, kernel->name);
}

void kcheck_attention(kcheck *k) {
    for (size_t i = 0; i < rf_kernels_count(); i++) {
        const rf_kernel_row *kernel = rf_kernels_at(i);
        if ((kernel->needs & ~rf_cpu_features()) != 0)
            continue;
        for (int j = 0; j < 45; j++) {
            kcheck_mix mix = (kcheck_mix)(j % KMIX_COUNT);
            if (kernel->slot == offsetof(rf_kernels, kv_store))
                check_store(k, kernel, mix);
            else if (kernel->slot == offsetof(rf_kernels, attention) && mix != KMIX_LARGE)
                check_tile(k, kernel, mix);
        }
    }
}

/* Timing: heads of 64 in an F16 cache of DEPTH positions. A decode meets each cache once, so it
 * reads memory: COLD caches, larger together than any cache of the processor. */
enum { BENCH_HEADS = 3, BENCH_DIMS = 64, BENCH_DEPTH = 4096, BENCH_COLD = 24, BENCH_GROUP = 3 };

typedef struct timing {
    rf_attention_tile tile;
    rf_attention_fn fn;
    const int32_t *table; /* blocks of BENCH_COLD caches of BENCH_HEADS heads */
    const uint8_t *slab;
    uint32_t n_caches; /* read in a call: heads of caches */
} timing;

static void run_timing(void *user) {
    timing *t = user;
    uint32_t n_blocks = BENCH_DEPTH / t->tile.layout->block_tokens;
    for (uint32_t i = 0; i < t->n_caches; i++) {
        t->tile.table = t->table + (size_t)(i / BENCH_HEADS) * n_blocks;
        t->tile.slab = t->slab + i % BENCH_HEADS * t->tile.layout->head_bytes;
        t->fn(&t->tile);
    }
}

/* peaks: operations and bytes a second of one thread, 0 = unknown. */
static void bench_one(kcheck *k, const rf_kernel_row *kernel, timing *t, const double peaks[2]) {
    const rf_kv_layout *layout = t->tile.layout;
    uint32_t first[MAX_QUERIES] = {0}, last[MAX_QUERIES];
    for (uint32_t i = 0; i < t->tile.n_queries; i++)
        last[i] = BENCH_DEPTH;
    t->tile.first = first;
    t->tile.last = last;
    t->tile.q = kcheck_alloc((size_t)MAX_QUERIES * BENCH_DIMS * sizeof(float));
    t->tile.scratch = kcheck_alloc(rf_attention_scratch(layout) * sizeof(float));
    t->tile.max = kcheck_alloc(MAX_QUERIES * sizeof(float));
    t->tile.sum = kcheck_alloc(MAX_QUERIES * sizeof(float));
    t->tile.acc = kcheck_alloc((size_t)MAX_QUERIES * BENCH_DIMS * sizeof(float));
    kcheck_fill(k, KMIX_NORMAL, (float *)(uintptr_t)t->tile.q, (size_t)MAX_QUERIES * BENCH_DIMS);
    double seconds = kcheck_time(run_timing, t) / t->n_caches;
    double work = 2.0 * t->tile.n_queries * BENCH_DEPTH * 2 * BENCH_DIMS;
    double bytes = (double)BENCH_DEPTH / layout->block_tokens * (double)layout->head_bytes;
    char name[64], unit[64];
    snprintf(name, sizeof name, "%s, %u queries%s", kernel->name, t->tile.n_queries,
             t->n_caches > 1 ? ", from memory" : "");
    snprintf(unit, sizeof unit, "GFLOP/s, %.0f %% of peak; %.1f GB/s, %.0f %%",
             peaks[0] > 0 ? 100 * work / seconds / peaks[0] : 0, bytes / seconds * 1e-9,
             peaks[1] > 0 ? 100 * bytes / seconds / peaks[1] : 0);
    kcheck_report(name, seconds, work, unit);
    void *all[] = {(void *)(uintptr_t)t->tile.q, t->tile.scratch, t->tile.max, t->tile.sum,
                   t->tile.acc};
    for (int i = 0; i < 5; i++)
        kcheck_free(k, all[i], kernel->name);
}

void kbench_attention(kcheck *k) {
    rf_kv_layer layer = {BENCH_HEADS, BENCH_DIMS, BENCH_DIMS, 0};
    rf_limits limits = {.block_tokens = 32, .type_k = RF_KV_F16, .type_v = RF_KV_F16};
    uint32_t n_blocks = BENCH_DEPTH / 32 * BENCH_COLD;
    rf_kv_layout layout;
    rf_error err = {0};
    rf_cpu_peak peak = {0};
    if (!kcheck_expect(k,
                       rf_kv_layout_init(&layout, &layer, &limits, &err) == RF_OK &&
                           rf_cpu_peak_measure(1, rf_cpu_features(), &peak, &err) == RF_OK,
                       "%s", err.text))
        return;
    /* an FMA makes a quarter of the products of a VNNI instruction, at the same rate */
    const double peaks[2] = {peak.int8_ops / 4, peak.read_bytes};
    size_t bytes = n_blocks * layout.block_bytes;
    int32_t *table = kcheck_alloc(n_blocks * sizeof *table);
    uint8_t *slab = kcheck_alloc(bytes);
    memset(slab, 0, bytes);
    for (uint32_t i = 0; i < n_blocks; i++)
        table[i] = (int32_t)i;
    for (size_t i = 0; i < rf_kernels_count(); i++) {
        const rf_kernel_row *kernel = rf_kernels_at(i);
        if (kernel->slot != offsetof(rf_kernels, attention) ||
            (kernel->needs & ~rf_cpu_features()) != 0)
            continue;
        timing t = {.tile = {.layout = &layout, .end = BENCH_DEPTH, .ahead = BENCH_DEPTH},
                    .fn = (rf_attention_fn)kernel->fn,
                    .table = table,
                    .slab = slab};
        const uint32_t queries[][2] = {
            {1, 1}, {BENCH_GROUP, 1}, {BENCH_GROUP, BENCH_COLD * BENCH_HEADS}, {63, 1}};
        for (size_t j = 0; j < sizeof queries / sizeof queries[0]; j++) {
            t.tile.n_queries = queries[j][0];
            t.n_caches = queries[j][1];
            bench_one(k, kernel, &t, peaks);
        }
    }
    kcheck_free(k, table, "attention");
    kcheck_free(k, slab, "attention");
}
