/*
 * Matrix products of the CPU backend: weights repacked once into the layout that a variant's
 * kernel reads in 64-byte streams, activations quantised once an op and shared by all its weights.
 * Which variant a weight uses is chosen at bind from the table in cpu/matmul_variants.def. Kernels
 * are pure functions; the pool splits tiles among threads. A row's result is bitwise the same
 * whatever other rows are in the call and however tiles are split.
 */
#ifndef RF_CPU_MATMUL_H
#define RF_CPU_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quant/quant.h"

typedef enum rf_acts_kind {
    RF_ACTS_F32,      /* rows of floats as they are */
    RF_ACTS_Q8,       /* 8-bit blocks of 32 with what kernels need of their sums */
    RF_ACTS_Q8_TWICE, /* each row as two neighbours: its Q8, and the Q8 of what that left */
    RF_ACTS_KIND_COUNT
} rf_acts_kind;

enum {
    RF_ACTS_PANEL = 8,        /* rows side by side */
    RF_ACTS_BLOCK = 32,       /* columns to a scale */
    RF_ACTS_BLOCK_BYTES = 48, /* 32 q, float scale, float sum, int bias, 2 short sums */
    RF_ACTS_Q_MAX = 127       /* q is in -127 … 127 */
};

/* n_rows rows of n_cols activations in the form that kernels read. Buffers belong to the
 * workspace; rf_acts_bytes says how large. To kernels Q8_TWICE is Q8 of 2 n_rows rows; adding the
 * results of neighbours gives a product that saw 15 bits of each activation and read weights once.
 * Q8: rows in panels of RF_ACTS_PANEL, the last panel with what is left (width w). A panel is
 * [n_cols / 32] blocks of w * 48 bytes, and a block is
 *     int8_t  q[w][32]     round(x / scale)
 *     float   scale[w]     largest |x| / 127; NaN if an x is not finite
 *     float   sum[w]       scale * sum of q
 *     int32_t bias[w]      -128 * sum of q
 *     int16_t halves[w][2] sums of q[0 … 15] and q[16 … 31]  */
typedef struct rf_acts {
    rf_acts_kind kind;
    uint32_t n_rows, n_cols; /* n_rows as kernels see it */
    const float *f32;        /* [n_rows] rows, f32_stride floats apart: set by the caller */
    size_t f32_stride;
    uint8_t *panels; /* Q8, owned by the workspace */
} rf_acts;

/* n_cols is a multiple of RF_ACTS_BLOCK unless kind is RF_ACTS_F32. n_rows: of the source, also for
 * rf_acts_place and rf_acts_fill. */
size_t rf_acts_bytes(rf_acts_kind kind, uint32_t n_rows, uint32_t n_cols);
/* Points the buffers of acts into memory (64-byte aligned, rf_acts_bytes of it). */
void rf_acts_place(rf_acts *acts, rf_acts_kind kind, uint32_t n_rows, uint32_t n_cols,
                   void *memory);
/* Q8: quantises rows row_begin … row_end-1 of src with instructions of `features`; the result does
 * not depend on them. Threads may share the rows. F32: nothing to do, the caller points f32 at src.
 */
void rf_acts_fill(const rf_acts *acts, const float *src, size_t src_stride, uint32_t row_begin,
                  uint32_t row_end, uint32_t features);

/* First byte of the panel that holds row, and its width. */
static inline const uint8_t *rf_acts_panel(const rf_acts *acts, uint32_t row, uint32_t *width) {
    uint32_t first = row / RF_ACTS_PANEL * RF_ACTS_PANEL, rest = acts->n_rows - first;
    *width = rest < RF_ACTS_PANEL ? rest : RF_ACTS_PANEL;
    return acts->panels + (size_t)first * (acts->n_cols / RF_ACTS_BLOCK) * RF_ACTS_BLOCK_BYTES;
}

struct rf_matmul_variant;

/* A weight matrix ready for its kernel. */
typedef struct rf_matrix {
    const struct rf_matmul_variant *variant;
    uint32_t n_rows, n_cols;
    uint32_t n_tiles;    /* of variant->tile_rows rows, the last one padded */
    const uint8_t *data; /* packed tiles, or the file's rows when the variant packs nothing */
    size_t tile_bytes;
} rf_matrix;

typedef struct rf_matmul_variant {
    const char *name; /* matmul_q4_k_avx512 … matmul_q4_k_ref */
    rf_qtype qtype;
    uint32_t needs;  /* RF_CPU_… bits */
    float tolerance; /* relative to sum |a b|, for kcheck */
    rf_acts_kind acts;
    uint32_t tile_rows;
    uint32_t col_multiple; /* n_cols must be a multiple */
    bool packs;            /* false: data is the file's rows */
    /* Bytes of a packed tile of n_cols columns. */
    size_t (*tile_bytes)(uint32_t n_cols);
    /* Packs one tile: n_rows <= tile_rows rows, row_bytes apart at src; missing rows are zero. */
    void (*pack)(const uint8_t *src, size_t row_bytes, uint32_t n_rows, uint32_t n_cols,
                 uint8_t *tile);
    /* out[r * out_stride + i] = dot(weight row i, acts row r) for the weight rows of tiles
     * tile_begin … tile_end-1 and acts rows row_begin … row_end-1. Never writes beyond n_rows. */
    void (*run)(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end,
                const rf_acts *acts, uint32_t row_begin, uint32_t row_end, float *out,
                size_t out_stride);
} rf_matmul_variant;

/* The best variant of qtype for n_cols among those whose needs are in features; want_f32 leaves
 * only variants that keep activations in F32 (the reference). NULL if there is none. */
const rf_matmul_variant *rf_matmul_choose(rf_qtype qtype, uint32_t n_cols, uint32_t features,
                                          bool want_f32);
/* All variants, for kcheck. */
size_t rf_matmul_n_variants(void);
const rf_matmul_variant *rf_matmul_variant_at(size_t i);

#endif
