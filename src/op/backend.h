/*
 * What a backend offers. One thread (the engine's) calls a backend; the backend may use threads of
 * its own inside. Life: create (by the backend's own header), bind once, run many times, destroy.
 */
#ifndef RF_OP_BACKEND_H
#define RF_OP_BACKEND_H

#include <stddef.h>

#include "base/status.h"
#include "op/batch.h"
#include "op/program.h"

typedef enum rf_kv_type { RF_KV_F32, RF_KV_F16, RF_KV_Q8_0, RF_KV_TYPE_COUNT } rf_kv_type;

/* The bounds that memory is planned for; a batch beyond them is refused. */
typedef struct rf_limits {
    uint32_t max_tokens;  /* rows of a batch */
    uint32_t max_seqs;    /* sequences of a batch */
    uint32_t max_outputs; /* output rows of a batch */
    uint32_t max_context; /* longest sequence, tokens */
    uint32_t block_tokens;
    uint32_t n_blocks[RF_KV_MAX_GROUPS]; /* pool of each group */
    rf_kv_type type_k, type_v;
} rf_limits;

typedef struct rf_memory_plan {
    uint64_t weights_bytes; /* what the backend holds itself (repacked) */
    uint64_t mapped_bytes;  /* read in place from the file */
    uint64_t kv_bytes;
    uint64_t workspace_bytes; /* values, scores, tables for the largest legal step */
} rf_memory_plan;

/* done and total in bytes; returning false cancels with RF_ERR_INTERRUPTED. */
typedef bool (*rf_progress_fn)(void *user, uint64_t done, uint64_t total);

/* Is shown what each matrix is multiplied with: [n_rows][n_cols of the weight], expert: which of
 * the weight's matrices. Called by one thread at a time while a batch runs; may be slow. */
typedef struct rf_observer {
    void (*see)(void *user, rf_weight_id weight, uint32_t expert, const float *rows, size_t n_rows);
    void *user;
} rf_observer;

typedef struct rf_outputs {
    float *logits; /* [n_outputs][n_vocab], or NULL when nobody wants them */
    float *hidden; /* [n_outputs][n_embd], or NULL */
    /* [n_ops + 1] of rf_clock_ns: when the run began, then when each op had ended; or NULL */
    uint64_t *op_ns;
    const rf_observer *observer; /* or NULL */
} rf_outputs;

typedef struct rf_backend rf_backend;

typedef struct rf_backend_api {
    const char *name;
    /* Memory that bind would take. No loading. */
    rf_status (*plan)(const rf_backend *backend, const rf_program *program, const rf_limits *limits,
                      rf_memory_plan *out, rf_error *err);
    /* Chooses kernels, repacks weights, takes all memory. program stays borrowed until destroy. An
     * op or type without a kernel: RF_ERR_UNSUPPORTED with the tensor's name. */
    rf_status (*bind)(rf_backend *backend, const rf_program *program, const rf_limits *limits,
                      rf_progress_fn progress, void *user, rf_error *err);
    /* Runs one batch. No allocation. The k and v of its rows are stored before it returns. */
    rf_status (*run)(rf_backend *backend, const rf_batch *batch, const rf_outputs *outputs,
                     rf_error *err);
    /* Copies whole blocks of a group, all its layers (copy on write). */
    rf_status (*kv_copy)(rf_backend *backend, uint32_t group, uint32_t from_block,
                         uint32_t to_block, rf_error *err);
    /* Bytes of one block over all layers of a group, and its raw contents (save and load): those of
     * its first n_tokens positions, with zeros in place of what others may have left behind them.
     */
    size_t (*kv_block_bytes)(const rf_backend *backend, uint32_t group);
    rf_status (*kv_read)(rf_backend *backend, uint32_t group, uint32_t block, uint32_t n_tokens,
                         void *out, rf_error *err);
    rf_status (*kv_write)(rf_backend *backend, uint32_t group, uint32_t block, const void *in,
                          rf_error *err);
    void (*destroy)(rf_backend *backend);
} rf_backend_api;

/* Every backend's struct begins with this. */
struct rf_backend {
    const rf_backend_api *api;
};

const char *rf_kv_type_name(rf_kv_type type);
/* Bytes that n values take; of q8_0, n is a multiple of 32. */
size_t rf_kv_type_bytes(rf_kv_type type, size_t n);

/* Checks a program before a backend trusts it: ids in range, widths that match, rows as the ops
 * need them. The error names the op and the field. */
RF_NODISCARD rf_status rf_program_check(const rf_program *program, rf_error *err);
/* Checks a batch against program and limits: token ids below n_vocab, positions rising and below
 * max_context, blocks inside the pool. */
RF_NODISCARD rf_status rf_batch_check(const rf_batch *batch, const rf_program *program,
                                      const rf_limits *limits, rf_error *err);

#endif
