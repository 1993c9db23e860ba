#include "cli/cli.h"

rf_status rf_cmd_merge(rf_cli *cli, rf_error *err) { return rf_cmd_copy(cli, err); }
