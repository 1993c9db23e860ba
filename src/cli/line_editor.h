/*
 * Lines that people type: edited with libedit on a terminal, with a history that is kept in the
 * user's state folder; read as they stand otherwise. One at a time; main thread.
 */
#ifndef RF_CLI_LINE_EDITOR_H
#define RF_CLI_LINE_EDITOR_H

#include "base/buf.h"

typedef struct rf_line_editor rf_line_editor;

typedef enum rf_line_end {
    RF_LINE_READ,
    RF_LINE_END,        /* of the input */
    RF_LINE_INTERRUPTED /* a signal came while waiting */
} rf_line_end;

RF_NODISCARD rf_status rf_line_editor_create(rf_line_editor **out, rf_error *err);
void rf_line_editor_destroy(rf_line_editor *editor); /* saves the history */
bool rf_line_editor_is_terminal(const rf_line_editor *editor);
/* The next line without its end, in line. */
RF_NODISCARD rf_status rf_line_editor_read(rf_line_editor *editor, rf_buf *line, rf_line_end *end,
                                           rf_error *err);

#endif
