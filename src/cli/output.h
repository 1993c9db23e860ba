/*
 * Standard output carries results alone; everything for people goes to standard error. Process
 * state of the command line: the main thread, except rf_note_log and rf_note_is_read, which any
 * thread may enter.
 */
#ifndef RF_CLI_OUTPUT_H
#define RF_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "base/str.h"

typedef enum rf_color_mode { RF_COLOR_AUTO, RF_COLOR_ALWAYS, RF_COLOR_NEVER } rf_color_mode;
void rf_output_init(rf_color_mode mode, bool no_color); /* no_color: NO_COLOR is set */

typedef enum rf_style { RF_STYLE_NONE, RF_STYLE_BOLD, RF_STYLE_DIM, RF_STYLE_RED } rf_style;
const char *rf_out_style(rf_style style);  /* escape sequence for standard output, or "" */
const char *rf_note_style(rf_style style); /* for standard error */
int rf_out_columns(void);                  /* width of the terminal, 80 when there is none */
bool rf_note_is_terminal(void);
/* A line of up to 4 KiB would not have to wait: nobody who serves may, for whoever reads the log.
 * Any thread. */
bool rf_note_is_read(void);

/* Writes to standard output. A failure is remembered and reported by rf_out_flush. */
void rf_out_bytes(const void *bytes, size_t n);
void rf_out_text(const char *text);
void rf_out_printf(const char *fmt, ...) RF_PRINTF(1, 2);
/* Text from a file or a model: control characters and broken UTF-8 become \xNN; newlines and tabs
 * stay when lines is set. At most max_bytes are shown, then "…". */
void rf_out_safe(rf_str text, size_t max_bytes, bool lines);
void rf_out_json(const json_t *value, size_t flags); /* with a newline */
/* A closed reader gives RF_ERR_IO with an empty text: nobody is left to be told. */
RF_NODISCARD rf_status rf_out_flush(rf_error *err);

/* One line on standard error. */
void rf_note(const char *fmt, ...) RF_PRINTF(1, 2);
void rf_note_log(void *user, rf_log_level level, const char *topic, const char *text);

/* A bar on standard error while work goes on; nothing where it is no terminal. Redrawn at most ten
 * times a second; rf_progress_end wipes it. */
void rf_progress_begin(const char *what);
void rf_progress_update(uint64_t done, uint64_t total);
void rf_progress_end(void);
/* A line in the bar's place: the next one, a note and rf_progress_end wipe it. */
void rf_progress_line(const char *fmt, ...) RF_PRINTF(1, 2);

/* "1.5 KiB", "94 MiB": two or three digits that matter. Returns out. */
enum { RF_SIZE_TEXT_BYTES = 32 };
const char *rf_size_text(uint64_t bytes, char out[RF_SIZE_TEXT_BYTES]);

/* Sets a member and drops *ok when memory runs out; value is stolen. */
void rf_json_set(json_t *object, const char *key, json_t *value, bool *ok);
void rf_json_add(json_t *array, json_t *value, bool *ok);
/* Bytes that are no valid UTF-8 become U+FFFD. NULL when memory runs out. */
json_t *rf_json_str(rf_str text);

#endif
