#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "rocmforge.h"

const char rf_version_text[] = ROCMFORGE_VERSION;

void rf_cli_hint(rf_cli *cli, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(cli->hint, sizeof cli->hint, fmt, args);
    va_end(args);
}
