#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "model/synthetic.h"

rf_status rf_cmd_synthesize(rf_cli *cli, rf_error *err) {
    const rf_options *options = &cli->options;
    rf_synthetic_spec spec;
    rf_synthetic_options how = {.progress = rf_interrupt_progress};
    if (rf_synthetic_parse(rf_str_of(options->args[0]), &spec, err) != RF_OK) {
        rf_cli_hint(cli, "rocmforge synthesize llama3.2-1b:q4_k_m model.gguf");
        return rf_fail_prefix(err, "synthesize");
    }
    if (!rf_opt_on(options, RF_OPT_QUIET))
        rf_progress_begin("writing");
    rf_status status = rf_synthetic_write(&spec, &how, options->args[1], err);
    rf_progress_end();
    return status;
}
