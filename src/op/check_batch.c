#include "op/backend.h"

static rf_status check_counts(const rf_batch *batch, const rf_limits *limits, rf_error *err) {
    if (batch->n_tokens < 1 || (uint32_t)batch->n_tokens > limits->max_tokens)
        return rf_fail(err, RF_ERR_LIMIT, "batch: %d tokens, expected 1 to %u", batch->n_tokens,
                       limits->max_tokens);
    if (batch->n_seqs < 1 || (uint32_t)batch->n_seqs > limits->max_seqs)
        return rf_fail(err, RF_ERR_LIMIT, "batch: %d sequences, expected 1 to %u", batch->n_seqs,
                       limits->max_seqs);
    if (batch->n_outputs < 0 || (uint32_t)batch->n_outputs > limits->max_outputs)
        return rf_fail(err, RF_ERR_LIMIT, "batch: %d output rows, expected 0 to %u",
                       batch->n_outputs, limits->max_outputs);
    return RF_OK;
}

static rf_status check_outputs(const rf_batch *batch, rf_error *err) {
    for (int32_t i = 0; i < batch->n_outputs; i++) {
        int32_t row = batch->output_rows[i], least = i == 0 ? 0 : batch->output_rows[i - 1] + 1;
        if (row < least || row >= batch->n_tokens)
            return rf_fail(err, RF_ERR_INVALID, "batch: output row %d is %d, expected %d to %d", i,
                           row, least, batch->n_tokens - 1);
    }
    return RF_OK;
}

static rf_status check_row(const rf_batch *batch, int32_t row, bool first,
                           const rf_program *program, const rf_limits *limits, rf_error *err) {
    int32_t token = batch->tokens[row], position = batch->positions[row];
    if (token < 0 || (uint32_t)token >= program->n_vocab)
        return rf_fail(err, RF_ERR_INVALID, "batch: token %d of row %d is not below %u", token, row,
                       program->n_vocab);
    if (position < 0 || (uint32_t)position >= limits->max_context)
        return rf_fail(err, RF_ERR_LIMIT, "batch: position %d of row %d is not below %u", position,
                       row, limits->max_context);
    if (!first && position != batch->positions[row - 1] + 1)
        return rf_fail(err, RF_ERR_INVALID, "batch: position %d of row %d does not follow %d",
                       position, row, batch->positions[row - 1]);
    return RF_OK;
}

/* Blocks that rows first … last of a sequence read or write must lie in the pool. */
static rf_status check_blocks(const rf_batch *batch, int32_t seq, uint32_t group,
                              const rf_program *program, const rf_limits *limits, rf_error *err) {
    uint32_t window = program->kv_groups[group].window;
    uint32_t first = (uint32_t)batch->positions[batch->seq_start[seq]];
    uint32_t last = (uint32_t)batch->positions[batch->seq_start[seq + 1] - 1];
    uint32_t begin = window != 0 && first + 1 > window ? first + 1 - window : 0;
    const int32_t *table =
        batch->block_tables +
        ((size_t)group * (size_t)batch->n_seqs + (size_t)seq) * (size_t)batch->table_stride;
    for (uint32_t i = begin / limits->block_tokens; i <= last / limits->block_tokens; i++) {
        if (batch->table_stride < 0 || i >= (uint32_t)batch->table_stride)
            return rf_fail(err, RF_ERR_INVALID,
                           "batch: sequence %d needs block %u of its table, which has %d", seq, i,
                           batch->table_stride);
        if (table[i] < 0 || (uint32_t)table[i] >= limits->n_blocks[group])
            return rf_fail(err, RF_ERR_INVALID,
                           "batch: block %u of sequence %d in group %u is %d, the pool has %u", i,
                           seq, group, table[i], limits->n_blocks[group]);
    }
    return RF_OK;
}

rf_status rf_batch_check(const rf_batch *batch, const rf_program *program, const rf_limits *limits,
                         rf_error *err) {
    RF_TRY(check_counts(batch, limits, err));
    RF_TRY(check_outputs(batch, err));
    if (batch->seq_start[0] != 0 || batch->seq_start[batch->n_seqs] != batch->n_tokens)
        return rf_fail(err, RF_ERR_INVALID, "batch: sequences cover rows %d to %d of %d",
                       batch->seq_start[0], batch->seq_start[batch->n_seqs], batch->n_tokens);
    for (int32_t s = 0; s < batch->n_seqs; s++) {
        int32_t begin = batch->seq_start[s], end = batch->seq_start[s + 1];
        if (end <= begin || end > batch->n_tokens)
            return rf_fail(err, RF_ERR_INVALID, "batch: sequence %d has rows %d to %d", s, begin,
                           end);
        for (int32_t row = begin; row < end; row++)
            RF_TRY(check_row(batch, row, row == begin, program, limits, err));
        for (uint32_t g = 0; g < program->n_kv_groups; g++)
            RF_TRY(check_blocks(batch, s, g, program, limits, err));
    }
    return RF_OK;
}
