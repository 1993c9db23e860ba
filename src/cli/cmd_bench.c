#include "cli/bench_tokenizer.h"
#include "cli/cli.h"

static rf_status missing(rf_cli *cli, const char *what, const char *expected, rf_error *err) {
    rf_cli_hint(cli, "rocmforge bench --tokenizer -m model.gguf -f text.txt");
    return rf_fail(err, RF_ERR_USAGE, "bench: found no %s, expected %s", what, expected);
}

rf_status rf_cmd_bench(rf_cli *cli, rf_error *err) {
    const rf_options *options = &cli->options;
    const char *model = rf_opt_text(options, RF_OPT_MODEL);
    const char *text = rf_opt_text(options, RF_OPT_FILE);
    if (!model)
        return missing(cli, "model", "--model FILE", err);
    if (!rf_opt_on(options, RF_OPT_TOKENIZER))
        return missing(cli, "test", "--tokenizer", err);
    if (!text)
        return missing(cli, "text", "--file TEXT", err);
    const rf_bench_tokenizer_args args = {
        .models = &model,
        .n_models = 1,
        .text = text,
        .repetitions = (size_t)rf_opt_int(options, RF_OPT_REPETITIONS),
        .format = (rf_bench_format)rf_opt_int(options, RF_OPT_OUTPUT_FORMAT),
    };
    return rf_bench_tokenizer(&args, err);
}
