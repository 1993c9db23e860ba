#include <string.h>

#include "cli/cli.h"

rf_status rf_cmd_help(rf_cli *cli, rf_error *err) {
    const rf_options *options = &cli->options;
    rf_command_id command;
    if (options->n_args == 0) {
        rf_help_overview();
    } else if (strcmp(options->args[0], "environment") == 0) {
        rf_help_environment();
    } else if (rf_command_find(options->args[0], &command)) {
        rf_help_command(command);
    } else {
        const char *near = rf_command_nearest(options->args[0]);
        rf_cli_hint(cli, "rocmforge help%s%s", near ? " " : "", near ? near : "");
        return rf_fail(err, RF_ERR_USAGE, "help: found \"%.80s\", expected a command",
                       options->args[0]);
    }
    return RF_OK;
}
