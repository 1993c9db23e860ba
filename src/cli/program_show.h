/* The op program of a model as text and as JSON, for inspect --program, and what a token reads of
 * its weights. One thread. */
#ifndef RF_CLI_PROGRAM_SHOW_H
#define RF_CLI_PROGRAM_SHOW_H

#include <jansson.h>
#include <stdbool.h>

#include "op/program.h"

void rf_program_show(const rf_program *program);
/* Bytes of weights that one token reads: a row of the embedding, the chosen experts, all else. */
uint64_t rf_program_step_bytes(const rf_program *program);
json_t *rf_program_json(const rf_program *program, bool *ok);

#endif
