/* Matmul variants: each against a dot product in double over the decoded weights and the same
 * activations. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/cpu_features.h"
#include "cpu/matmul.h"
#include "cpu/peak.h"
#include "tests/kcheck/weights.h"

typedef struct shape {
    uint32_t n_rows, n_cols_blocks, n_acts; /* columns in units of 32 or of the type's block */
} shape;

/* One product: everything in buffers of its own. */
typedef struct product {
    const rf_matmul_variant *variant;
    rf_matrix matrix;
    uint32_t n_acts, padding; /* padding: unused floats at the end of an output row */
    size_t row_bytes;
    uint8_t *file, *packed;
    float *acts_f32;
    uint8_t *acts_q8;
    float *out;
    rf_acts acts;
    char what[96];
} product;

static bool product_alloc(product *p, shape s, const rf_matmul_variant *v) {
    const rf_qtype_info *info = rf_qtype_get(v->qtype);
    uint32_t n_cols = s.n_cols_blocks * (info->block_weights > 32 ? info->block_weights : 32);
    uint64_t row_bytes = 0;
    if (info->block_weights == 1)
        n_cols -= 1; /* odd */
    if (!rf_qtype_row_bytes(v->qtype, n_cols, &row_bytes))
        return false;
    *p = (product){.variant = v, .n_acts = s.n_acts, .padding = 5, .row_bytes = row_bytes};
    p->matrix = (rf_matrix){v,      s.n_rows,
                            n_cols, (uint32_t)rf_ceil_div(s.n_rows, v->tile_rows),
                            NULL,   v->tile_bytes(n_cols)};
    p->file = kcheck_alloc(row_bytes * s.n_rows);
    p->packed = kcheck_alloc(p->matrix.n_tiles * p->matrix.tile_bytes);
    p->acts_f32 = kcheck_alloc((size_t)s.n_acts * n_cols * sizeof(float));
    p->acts_q8 = kcheck_alloc(rf_acts_bytes(v->acts, s.n_acts, n_cols));
    p->out = kcheck_alloc((size_t)s.n_acts * (s.n_rows + p->padding) * sizeof(float));
    return p->file && p->packed && p->acts_f32 && p->acts_q8 && p->out;
}

static void product_free(kcheck *k, product *p) {
    kcheck_free(k, p->file, p->what);
    kcheck_free(k, p->packed, p->what);
    kcheck_free(k, p->acts_f32, p->what);
    kcheck_free(k, p->acts_q8, p->what);
    kcheck_free(k, p->out, p->what);
}

static void acts_make(const product *p, rf_acts *acts, uint32_t first, uint32_t n, void *memory) {
    const float *src = p->acts_f32 + (size_t)first * p->matrix.n_cols;
    rf_acts_place(acts, p->variant->acts, n, p->matrix.n_cols, memory);
    acts->f32 = src;
    acts->f32_stride = p->matrix.n_cols;
    rf_acts_fill(acts, src, p->matrix.n_cols, 0, n, rf_cpu_features());
}

static void product_fill(kcheck *k, product *p, kweights weights, kcheck_mix mix) {
    const rf_matmul_variant *v = p->variant;
    const rf_qtype_info *info = rf_qtype_get(v->qtype);
    rf_matrix *m = &p->matrix;
    kweights_fill(k, v->qtype, weights, p->file, p->row_bytes * m->n_rows / info->block_bytes);
    m->data = v->packs ? p->packed : p->file;
    for (uint32_t t = 0; t < m->n_tiles && v->packs; t++) {
        uint32_t row = t * v->tile_rows, rest = m->n_rows - row;
        v->pack(p->file + row * p->row_bytes, p->row_bytes,
                rest < v->tile_rows ? rest : v->tile_rows, m->n_cols,
                p->packed + t * m->tile_bytes);
    }
    kcheck_fill(k, mix, p->acts_f32, (size_t)p->n_acts * m->n_cols);
    acts_make(p, &p->acts, 0, p->n_acts, p->acts_q8);
}

static void product_run(const product *p) {
    uint32_t stride = p->matrix.n_rows + p->padding;
    p->variant->run(&p->matrix, 0, p->matrix.n_tiles, &p->acts, 0, p->n_acts, p->out, stride);
}

/* Activation as the kernel sees it. */
static double act_value(const product *p, uint32_t row, uint32_t col) {
    if (p->variant->acts != RF_ACTS_Q8)
        return (double)p->acts_f32[(size_t)row * p->matrix.n_cols + col];
    uint32_t width, i = row % RF_ACTS_PANEL;
    const uint8_t *block = rf_acts_panel(&p->acts, row, &width);
    block += (size_t)(col / RF_ACTS_BLOCK) * width * RF_ACTS_BLOCK_BYTES;
    float scale;
    memcpy(&scale, block + (size_t)width * RF_ACTS_BLOCK + 4 * i, sizeof scale);
    return (double)scale * (int8_t)block[i * RF_ACTS_BLOCK + col % RF_ACTS_BLOCK];
}

/* The bound takes the largest weight of 256 for each: minima that cancel still round. */
static void compare(kcheck *k, const product *p, float *weights) {
    const rf_matrix *m = &p->matrix;
    const rf_qtype_info *info = rf_qtype_get(p->variant->qtype);
    for (uint32_t i = 0; i < m->n_rows; i++) {
        info->dequant(p->file + i * p->row_bytes, weights, m->n_cols);
        for (uint32_t r = 0; r < p->n_acts; r++) {
            double sum = 0, size = 0, largest = 0;
            for (uint32_t col = 0; col < m->n_cols; col++) {
                if (col % 256 == 0) {
                    largest = 0;
                    for (uint32_t j = col; j < m->n_cols && j < col + 256; j++)
                        largest = fmax(largest, fabs((double)weights[j]));
                }
                double a = act_value(p, r, col);
                sum += a * (double)weights[col];
                size += fabs(a) * largest;
            }
            float got = p->out[(size_t)r * (m->n_rows + p->padding) + i];
            kcheck_close(k, p->what, (size_t)r * m->n_rows + i, got, (float)sum,
                         size * (double)p->variant->tolerance + 1e-37);
        }
    }
    for (uint32_t r = 0; r < p->n_acts; r++)
        for (uint32_t i = 0; i < p->padding; i++) {
            const float *beyond = p->out + (size_t)r * (m->n_rows + p->padding) + m->n_rows;
            kcheck_expect(k, isnan(beyond[i]), "%s: row %u was written past its end", p->what, r);
        }
}

static bool same_bits(const float *a, const float *b, size_t n) {
    return memcmp(a, b, n * sizeof *a) == 0;
}

/* A row alone, rows begin … end of a batch, and tiles one by one give the same bits. */
static void compare_splits(kcheck *k, const product *p) {
    const rf_matrix *m = &p->matrix;
    const size_t stride = m->n_rows + p->padding;
    void *memory = kcheck_alloc(rf_acts_bytes(p->variant->acts, 1, m->n_cols));
    float *out = kcheck_alloc((size_t)p->n_acts * stride * sizeof(float));
    if (kcheck_expect(k, memory && out, "out of memory")) {
        uint32_t r = kcheck_below(k, p->n_acts);
        rf_acts alone;
        acts_make(p, &alone, r, 1, memory);
        p->variant->run(m, 0, m->n_tiles, &alone, 0, 1, out, stride);
        kcheck_expect(k, same_bits(out, p->out + r * stride, m->n_rows), "%s: row %u alone differs",
                      p->what, r);
        uint32_t begin = kcheck_below(k, p->n_acts);
        uint32_t end = begin + 1 + kcheck_below(k, p->n_acts - begin);
        for (uint32_t t = 0; t < m->n_tiles; t++)
            p->variant->run(m, t, t + 1, &p->acts, begin, end, out, stride);
        for (uint32_t i = begin; i < end; i++)
            kcheck_expect(k, same_bits(out + i * stride, p->out + i * stride, m->n_rows),
                          "%s: row %u differs in rows %u to %u", p->what, i, begin, end);
    }
    kcheck_free(k, memory, p->what);
    kcheck_free(k, out, p->what);
}

/* Instruction sets differ in nothing: the other variants of the type give the same bits. */
static void compare_variants(kcheck *k, const product *p) {
    const rf_matrix *m = &p->matrix;
    const size_t stride = m->n_rows + p->padding;
    float *out = kcheck_alloc((size_t)p->n_acts * stride * sizeof(float));
    for (size_t i = 0; out && i < rf_matmul_n_variants(); i++) {
        const rf_matmul_variant *v = rf_matmul_variant_at(i);
        if (!v->packs || v->qtype != p->variant->qtype || (v->needs & ~rf_cpu_features()) != 0)
            continue;
        v->run(m, 0, m->n_tiles, &p->acts, 0, p->n_acts, out, stride);
        for (uint32_t r = 0; r < p->n_acts; r++)
            kcheck_expect(k, same_bits(out + r * stride, p->out + r * stride, m->n_rows),
                          "%s: row %u of %s differs", p->what, r, v->name);
    }
    kcheck_expect(k, out != NULL, "out of memory");
    kcheck_free(k, out, p->what);
}

static void check_product(kcheck *k, const rf_matmul_variant *v, shape s, kweights weights,
                          kcheck_mix mix) {
    product p;
    if (!kcheck_expect(k, product_alloc(&p, s, v), "%s: no memory", v->name))
        return;
    snprintf(p.what, sizeof p.what, "%s %ux%u.%u %s %s", v->name, s.n_rows, p.matrix.n_cols,
             s.n_acts, kweights_name(weights), kcheck_mix_name(mix));
    product_fill(k, &p, weights, mix);
    product_run(&p);
    float *decoded = rf_alloc(p.matrix.n_cols * sizeof(float));
    if (kcheck_expect(k, decoded != NULL, "out of memory"))
        compare(k, &p, decoded);
    rf_free(decoded);
    compare_splits(k, &p);
    compare_variants(k, &p);
    product_free(k, &p);
}

/* A row with an activation that is no number gives no numbers, and only that row does. */
static void check_not_finite(kcheck *k, const rf_matmul_variant *v) {
    product p;
    if (!kcheck_expect(k, product_alloc(&p, (shape){17, 2, 11}, v), "%s: no memory", v->name))
        return;
    snprintf(p.what, sizeof p.what, "%s not finite", v->name);
    product_fill(k, &p, KWEIGHTS_NORMAL, KMIX_NORMAL);
    p.acts_f32[5 * p.matrix.n_cols + 3] = NAN;
    p.acts_f32[9 * p.matrix.n_cols + 40] = INFINITY;
    acts_make(&p, &p.acts, 0, p.n_acts, p.acts_q8);
    product_run(&p);
    for (uint32_t r = 0; r < p.n_acts; r++)
        for (uint32_t i = 0; i < p.matrix.n_rows; i++) {
            float got = p.out[r * (p.matrix.n_rows + p.padding) + i];
            kcheck_expect(k, (isfinite(got) != 0) == (r != 5 && r != 9), "%s: row %u gives %g",
                          p.what, r, (double)got);
        }
    product_free(k, &p);
}

/* Element i of row r as kernels see it. */
static float acts_at(const rf_acts *acts, uint32_t r, uint32_t i) {
    uint32_t width, i_row = r % RF_ACTS_PANEL;
    const uint8_t *block = rf_acts_panel(acts, r, &width);
    block += (size_t)(i / RF_ACTS_BLOCK) * width * RF_ACTS_BLOCK_BYTES;
    float scale;
    memcpy(&scale, block + (size_t)width * RF_ACTS_BLOCK + 4 * (size_t)i_row, sizeof scale);
    return scale * (float)(int8_t)block[i_row * RF_ACTS_BLOCK + i % RF_ACTS_BLOCK];
}

/* Two times 8 bits hold a number to half a step of the second: 1 / (2 * 254 * 127) of the block's
 * largest. */
static void check_twice(kcheck *k, const rf_acts *acts, const float *src, uint32_t n_rows) {
    for (uint32_t r = 0; r < n_rows; r++)
        for (uint32_t i = 0; i < acts->n_cols; i++) {
            const float *block = src + r * acts->n_cols + i / RF_ACTS_BLOCK * RF_ACTS_BLOCK;
            double most = 0, x = (double)src[r * acts->n_cols + i];
            for (int j = 0; j < RF_ACTS_BLOCK; j++)
                most = fmax(most, fabs((double)block[j]));
            double got = (double)acts_at(acts, 2 * r, i) + (double)acts_at(acts, 2 * r + 1, i);
            kcheck_expect(k, fabs(got - x) <= most / (2 * 254 * 127) * 1.02 + 1e-30,
                          "activation %g is held as %g", x, got);
        }
}

/* Every instruction set quantises activations to the same bits. */
static void check_acts(kcheck *k, rf_acts_kind kind, kcheck_mix mix) {
    enum { ROWS = 11, COLS = 96 };
    size_t bytes = rf_acts_bytes(kind, ROWS, COLS);
    float *src = kcheck_alloc(ROWS * COLS * sizeof(float));
    void *first = kcheck_alloc(bytes), *other = kcheck_alloc(bytes);
    if (kcheck_expect(k, src && first && other, "out of memory")) {
        rf_acts a, b;
        kcheck_fill(k, mix, src, ROWS * COLS);
        rf_acts_place(&a, kind, ROWS, COLS, first);
        rf_acts_place(&b, kind, ROWS, COLS, other);
        rf_acts_fill(&a, src, COLS, 0, ROWS, 0);
        rf_acts_fill(&b, src, COLS, 5, ROWS, rf_cpu_features());
        rf_acts_fill(&b, src, COLS, 0, 5, rf_cpu_features());
        kcheck_expect(k,
                      memcmp(a.panels, b.panels, a.n_rows * COLS / 32 * RF_ACTS_BLOCK_BYTES) == 0,
                      "activations of mix %s differ", kcheck_mix_name(mix));
        if (kind == RF_ACTS_Q8_TWICE)
            check_twice(k, &a, src, ROWS);
    }
    kcheck_free(k, src, "acts");
    kcheck_free(k, first, "acts");
    kcheck_free(k, other, "acts");
}

void kcheck_matmul(kcheck *k) {
    static const shape shapes[] = {{1, 1, 1},  {16, 2, 1},  {17, 3, 2},   {5, 9, 7},
                                   {33, 2, 8}, {48, 5, 13}, {20, 40, 37}, {70, 1, 70}};
    for (int mix = 0; mix < KMIX_COUNT; mix++)
        for (int kind = RF_ACTS_Q8; kind < RF_ACTS_KIND_COUNT; kind++)
            check_acts(k, (rf_acts_kind)kind, (kcheck_mix)mix);
    for (size_t i = 0; i < rf_matmul_n_variants(); i++) {
        const rf_matmul_variant *v = rf_matmul_variant_at(i);
        if (!v->packs || (v->needs & ~rf_cpu_features()) != 0)
            continue;
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
            check_product(k, v, shapes[s], (kweights)kcheck_below(k, KWEIGHTS_COUNT),
                          (kcheck_mix)kcheck_below(k, KMIX_COUNT));
        for (int w = 0; w < KWEIGHTS_COUNT; w++)
            check_product(k, v, (shape){18, 3, 9}, (kweights)w, KMIX_NORMAL);
        for (int mix = 0; mix < KMIX_COUNT; mix++)
            check_product(k, v, (shape){18, 3, 9}, KWEIGHTS_NORMAL, (kcheck_mix)mix);
        check_not_finite(k, v);
    }
}

/* Bytes of weights for the decode figure: well beyond the last-level cache. */
enum { BENCH_BYTES = 100000000, BENCH_COLS = 2048 };

static void run_product(void *user) { product_run(user); }

/* n_acts 1 and 8: bytes of weights against the read bandwidth; 512: operations against VNNI's. */
static void bench_variant(kcheck *k, const rf_matmul_variant *v, uint32_t n_acts,
                          const double peak[2]) {
    const rf_qtype_info *info = rf_qtype_get(v->qtype);
    const bool reads = n_acts <= 8;
    uint32_t n_rows = reads ? (uint32_t)(BENCH_BYTES / v->tile_bytes(BENCH_COLS)) * 16 : 1024;
    uint32_t unit = info->block_weights > 32 ? info->block_weights : 32;
    product p;
    if (!kcheck_expect(k, product_alloc(&p, (shape){n_rows, BENCH_COLS / unit, n_acts}, v),
                       "%s: no memory", v->name))
        return;
    snprintf(p.what, sizeof p.what, "%s, %u rows", v->name, n_acts);
    product_fill(k, &p, KWEIGHTS_NORMAL, KMIX_NORMAL);
    double work = reads ? (double)p.matrix.n_tiles * (double)p.matrix.tile_bytes
                        : 2.0 * n_acts * n_rows * p.matrix.n_cols;
    double seconds = kcheck_time(run_product, &p);
    char unit_text[64];
    snprintf(unit_text, sizeof unit_text, "%s, %.0f %% of %s", reads ? "GB/s" : "GOPS",
             peak[reads] > 0 ? 100 * work / seconds / peak[reads] : 0.0,
             reads ? "read bandwidth" : "int8 peak");
    kcheck_report(p.what, seconds, work, unit_text);
    product_free(k, &p);
}

void kbench_matmul(kcheck *k) {
    rf_cpu_peak at_most = {0};
    rf_error err = {0};
    rf_status measured = rf_cpu_peak_measure(1, rf_cpu_features(), &at_most, &err);
    if (!kcheck_expect(k, measured == RF_OK, "%s", err.text))
        return;
    const double peak[2] = {at_most.int8_ops, at_most.read_bytes};
    printf("int8 peak %.0f GOPS, read bandwidth %.1f GB/s (one thread)\n", peak[0] * 1e-9,
           peak[1] * 1e-9);
    for (size_t i = 0; i < rf_matmul_n_variants(); i++) {
        const rf_matmul_variant *v = rf_matmul_variant_at(i);
        if (!v->packs || (v->needs & ~rf_cpu_features()) != 0 ||
            (strstr(k->filter, k->name) && !strstr(v->name, k->filter)))
            continue;
        bench_variant(k, v, 1, peak);
        bench_variant(k, v, 8, peak);
        bench_variant(k, v, 512, peak);
    }
}
