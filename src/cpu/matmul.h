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
    RF_ACTS_F32, /* rows of floats as they are */
    RF_ACTS_Q8,  /* 8-bit blocks of 32 with a float scale, and sums of every 16 */
    RF_ACTS_BF16
} rf_acts_kind;

/* n_rows rows of n_cols activations in the form that kernels read. Buffers belong to the
 * workspace; rf_acts_bytes says how large. */
typedef struct rf_acts {
    rf_acts_kind kind;
    uint32_t n_rows, n_cols;
    const float *f32; /* [n_rows] rows, f32_stride floats apart: always set */
    size_t f32_stride;
    int8_t *q;      /* Q8: [n_rows][n_cols rounded up to 64] */
    float *scale;   /* Q8: [n_rows][n_cols / 32] */
    int16_t *sum;   /* Q8: [n_rows][n_cols / 16], sums of q over each 16 */
    uint16_t *bf16; /* BF16: [n_rows][n_cols rounded up to 64] */
} rf_acts;

size_t rf_acts_bytes(rf_acts_kind kind, uint32_t n_rows, uint32_t n_cols);
/* Points the buffers of acts into memory (64-byte aligned, rf_acts_bytes of it). */
void rf_acts_place(rf_acts *acts, rf_acts_kind kind, uint32_t n_rows, uint32_t n_cols,
                   void *memory);
/* Quantises rows row_begin … row_end-1 of src into acts with instructions of `features`. */
void rf_acts_fill(rf_acts *acts, const float *src, size_t src_stride, uint32_t row_begin,
                  uint32_t row_end, uint32_t features);

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
