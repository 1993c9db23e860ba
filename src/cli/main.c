#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/output.h"

extern char **environ;

static rf_status dispatch(rf_cli *cli, rf_error *err) {
    static rf_status (*const run[])(rf_cli *, rf_error *) = {
#define X(id, name, args, least, most, summary, example) rf_cmd_##name,
#include "cli/commands.def"
#undef X
    };
    return run[cli->options.command](cli, err);
}

/* Options that answer by themselves. True when one did. */
static bool answer(const rf_options *options) {
    if (rf_opt_on(options, RF_OPT_VERSION))
        rf_out_printf("rocmforge %s\n", rf_version_text);
    else if (rf_opt_on(options, RF_OPT_HELP) && options->has_command)
        rf_help_command(options->command);
    else if (rf_opt_on(options, RF_OPT_HELP))
        rf_help_overview();
    else
        return false;
    return true;
}

static void apply(const rf_options *options) {
    const char *no_color = getenv("NO_COLOR");
    rf_output_init((rf_color_mode)rf_opt_int(options, RF_OPT_COLOR), no_color && no_color[0]);
    rf_log_set(rf_note_log, NULL, (rf_log_level)rf_opt_int(options, RF_OPT_LOG_LEVEL));
}

static rf_status run(rf_cli *cli, int argc, char **argv, rf_error *err) {
    rf_options *options = &cli->options;
    RF_TRY(rf_options_init(options, err));
    apply(options);
    rf_status parsed = rf_options_parse(options, argc, argv, err);
    apply(options);
    if (parsed != RF_OK) {
        rf_cli_hint(cli, "rocmforge %s%s--help",
                    options->has_command ? rf_command_get(options->command)->name : "",
                    options->has_command ? " " : "");
        return parsed;
    }
    if (answer(options))
        return RF_OK;
    rf_status read = rf_options_read_env(options, environ, err);
    if (read != RF_OK) {
        rf_cli_hint(cli, "rocmforge help environment");
        return read;
    }
    apply(options);
    if (rf_opt_on(options, RF_OPT_PRINT_CONFIG)) {
        rf_help_config(options);
        return RF_OK;
    }
    if (!options->has_command) {
        rf_cli_hint(cli, "rocmforge --help");
        return rf_fail(err, RF_ERR_USAGE, "found no command, expected one such as generate");
    }
#ifdef RF_DEBUG
    rf_alloc_fail_at((uint64_t)rf_opt_int(options, RF_OPT_FAIL_ALLOC), 0);
#endif
    return dispatch(cli, err);
}

static void report(const rf_cli *cli, const rf_error *err) {
    rf_progress_end();
    if (err->text[0] != 0)
        rf_note("%s%serror:%s %s", rf_note_style(RF_STYLE_BOLD), rf_note_style(RF_STYLE_RED),
                rf_note_style(RF_STYLE_NONE), err->text);
    if (cli->hint[0] != 0)
        rf_note("try:   %s", cli->hint);
}

int main(int argc, char **argv) {
    static rf_cli cli;
    rf_error err = {0}, late = {0};
    json_set_alloc_funcs(rf_alloc, rf_free);
    rf_interrupt_install();
    rf_status status = run(&cli, argc, argv, &err);
    rf_status flushed = rf_out_flush(&late);
    if (status == RF_OK && flushed != RF_OK) {
        status = flushed;
        err = late;
    }
    if (status != RF_OK)
        report(&cli, &err);
    rf_options_deinit(&cli.options);
    return status == RF_ERR_INTERRUPTED ? rf_interrupt_exit_status() : rf_status_exit(status);
}
