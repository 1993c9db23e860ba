/* Reads what the user names: files, standard input, the prompt's several sources. Main thread. */
#ifndef RF_CLI_FILE_INPUT_H
#define RF_CLI_FILE_INPUT_H

#include "base/buf.h"
#include "cli/cli.h"

enum { RF_INPUT_MAX_BYTES = 1 << 30 };

/* The whole of a file, or of standard input when path is "-". out is initialised by the caller
 * with its ceiling; a longer input is RF_ERR_LIMIT. */
RF_NODISCARD rf_status rf_input_read(const char *path, rf_buf *out, rf_error *err);
/* The next line without its end; false at the end of the input. *status tells whether that was an
 * error. Standard input only. */
bool rf_input_line(rf_buf *line, rf_status *status, rf_error *err);

/* The prompt: the argument, --prompt, --file or standard input, one of them. Of a file one newline
 * at the end is dropped. Empty text and broken UTF-8 are errors. */
RF_NODISCARD rf_status rf_input_prompt(rf_cli *cli, rf_buf *out, rf_error *err);

/* "1,2,3" (blanks may stand around commas). *ids is the caller's (rf_free). */
RF_NODISCARD rf_status rf_input_ids(const char *text, const char *name, int32_t **ids, size_t *n,
                                    rf_error *err);

#endif
