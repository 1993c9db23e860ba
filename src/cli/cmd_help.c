#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "server/api_reference.h"
#include "server/openapi.h"

enum { PAGE_BYTES = 16 << 20 };

static rf_status show_page(void (*write)(rf_buf *out), rf_error *err) {
    rf_buf page;
    rf_buf_init(&page, PAGE_BYTES);
    write(&page);
    bool ok = !page.failed;
    if (ok)
        rf_out_bytes(page.data, page.len);
    rf_buf_deinit(&page);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the page");
}

rf_status rf_cmd_help(rf_cli *cli, rf_error *err) {
    const rf_options *options = &cli->options;
    rf_command_id command;
    if (options->n_args == 0) {
        rf_help_overview();
    } else if (strcmp(options->args[0], "environment") == 0) {
        rf_help_environment();
    } else if (strcmp(options->args[0], "http") == 0) {
        return show_page(rf_api_reference_write, err);
    } else if (strcmp(options->args[0], "openapi") == 0) {
        return show_page(rf_openapi_write, err);
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
