/*
 * What every sub-command is given. One thread. A command writes its result with rf_out_…, returns
 * a status, and may leave a hint that tells the user what to type next.
 */
#ifndef RF_CLI_CLI_H
#define RF_CLI_CLI_H

#include "base/status.h"
#include "cli/options.h"

enum { RF_HINT_BYTES = 512 };

typedef struct rf_cli {
    rf_options options;
    char hint[RF_HINT_BYTES]; /* shown under an error when not empty */
} rf_cli;

void rf_cli_hint(rf_cli *cli, const char *fmt, ...) RF_PRINTF(2, 3);

#define X(id, name, args, least, most, summary, example) \
    RF_NODISCARD rf_status rf_cmd_##name(rf_cli *cli, rf_error *err);
#include "cli/commands.def"
#undef X

/* What help, --print-config and .env.example show. */
void rf_help_overview(void);
void rf_help_command(rf_command_id command);
void rf_help_environment(void);
void rf_help_config(const rf_options *options);

extern const char rf_version_text[];

#endif
