/* The op program of a model as text and as JSON, for inspect --program. One thread. */
#ifndef RF_CLI_PROGRAM_SHOW_H
#define RF_CLI_PROGRAM_SHOW_H

#include <jansson.h>
#include <stdbool.h>

#include "op/program.h"

void rf_program_show(const rf_program *program);
json_t *rf_program_json(const rf_program *program, bool *ok);

#endif
