/* `bench --tokenizer`: times encoding and decoding of a text. Main thread. */
#ifndef RF_CLI_BENCH_TOKENIZER_H
#define RF_CLI_BENCH_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "cli/bench.h"

typedef struct rf_bench_tokenizer_args {
    const char *const *models; /* GGUF files, [n_models]; all borrowed */
    size_t n_models;
    const char *text; /* file, or - for standard input */
    size_t repetitions;
    rf_bench_format format;
} rf_bench_tokenizer_args;

RF_NODISCARD rf_status rf_bench_tokenizer(const rf_bench_tokenizer_args *args, rf_error *err);

#endif
