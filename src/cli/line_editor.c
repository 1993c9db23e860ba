#include "cli/line_editor.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "cli/file_input.h"
#include "cli/interrupt.h"
#include "cli/output.h"

enum { HISTORY_LINES = 1000, PATH_BYTES = 1024 };

struct rf_line_editor {
    EditLine *edit;   /* NULL when standard input is no terminal */
    History *history; /* likewise */
    locale_t utf8, before;
    char path[PATH_BYTES]; /* of the history; empty when there is no place for it */
};

static char *prompt(EditLine *edit) {
    static char text[] = "> ";
    (void)edit;
    return text;
}

/* Reads one character for libedit. Unlike libedit's own reader it ends when a signal asks. */
static int read_character(EditLine *edit, wchar_t *out) {
    char bytes[4];
    uint32_t code;
    (void)edit;
    for (size_t n = 0; n < sizeof bytes;) {
        ssize_t got = read(STDIN_FILENO, bytes + n, 1);
        if (got < 0 && errno == EINTR && !rf_interrupted())
            continue;
        if (got <= 0)
            return (int)got;
        n++;
        if (rf_utf8_decode(bytes, n, &code) == n) {
            *out = (wchar_t)code;
            return 1;
        }
        if (rf_utf8_unfinished_tail(bytes, n) != n)
            break;
    }
    *out = 0xfffd;
    return 1;
}

/* Creates the folders of path, whose last part is a file. */
static bool make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made)
            return false;
    }
    return true;
}

static void find_history(rf_line_editor *editor) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (state && state[0] == '/')
        n = snprintf(editor->path, PATH_BYTES, "%s/rocmforge/chat_history", state);
    else if (home && home[0] == '/')
        n = snprintf(editor->path, PATH_BYTES, "%s/.local/state/rocmforge/chat_history", home);
    if (n <= 0 || n >= PATH_BYTES || !make_folders(editor->path))
        editor->path[0] = 0;
}

static rf_status open_terminal(rf_line_editor *editor, rf_error *err) {
    HistEvent event;
    editor->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (editor->utf8)
        editor->before = uselocale(editor->utf8);
    editor->edit = el_init("rocmforge", stdin, stderr, stderr);
    editor->history = history_init();
    if (!editor->edit || !editor->history)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the line editor");
    (void)el_set(editor->edit, EL_PROMPT, prompt);
    (void)el_set(editor->edit, EL_EDITOR, "emacs");
    (void)el_set(editor->edit, EL_GETCFN, read_character);
    (void)el_set(editor->edit, EL_HIST, history, editor->history);
    (void)history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(editor->history, &event, H_SETUNIQUE, 1);
    (void)el_source(editor->edit, NULL);
    find_history(editor);
    if (editor->path[0])
        (void)history(editor->history, &event, H_LOAD, editor->path);
    return RF_OK;
}

rf_status rf_line_editor_create(rf_line_editor **out, rf_error *err) {
    rf_line_editor *editor = rf_calloc(1, sizeof *editor);
    if (!editor)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the line editor");
    rf_status status = RF_OK;
    if (isatty(STDIN_FILENO) == 1 && rf_note_is_terminal())
        status = open_terminal(editor, err);
    if (status != RF_OK) {
        rf_line_editor_destroy(editor);
        return status;
    }
    *out = editor;
    return RF_OK;
}

void rf_line_editor_destroy(rf_line_editor *editor) {
    if (!editor)
        return;
    HistEvent event;
    if (editor->history && editor->path[0])
        (void)history(editor->history, &event, H_SAVE, editor->path);
    if (editor->history)
        history_end(editor->history);
    if (editor->edit)
        el_end(editor->edit);
    if (editor->utf8) {
        (void)uselocale(editor->before);
        freelocale(editor->utf8);
    }
    rf_free(editor);
}

bool rf_line_editor_is_terminal(const rf_line_editor *editor) { return editor->edit != NULL; }

static rf_line_end read_terminal(rf_line_editor *editor, rf_buf *line) {
    HistEvent event;
    int n = 0;
    /* el_gets prints the prompt first and takes the terminal after: what is typed between is lost
     */
    (void)el_set(editor->edit, EL_PREP_TERM, 1);
    const char *text = el_gets(editor->edit, &n);
    if (!text || n <= 0) {
        bool interrupted = rf_interrupted();
        if (interrupted)
            el_reset(editor->edit);
        (void)fputs("\n", stderr);
        return interrupted ? RF_LINE_INTERRUPTED : RF_LINE_END;
    }
    rf_buf_clear(line);
    rf_buf_append(line, text, (size_t)n - (text[n - 1] == '\n'));
    if (line->len > 0)
        (void)history(editor->history, &event, H_ENTER, line->data);
    return RF_LINE_READ;
}

rf_status rf_line_editor_read(rf_line_editor *editor, rf_buf *line, rf_line_end *end,
                              rf_error *err) {
    if (editor->edit) {
        *end = read_terminal(editor, line);
        return line->failed ? rf_fail(err, RF_ERR_LIMIT, "the line is longer than %zu bytes",
                                      line->max_bytes)
                            : RF_OK;
    }
    rf_status status;
    *end = rf_input_line(line, &status, err) ? RF_LINE_READ : RF_LINE_END;
    if (status == RF_ERR_INTERRUPTED) {
        *end = RF_LINE_INTERRUPTED;
        return RF_OK;
    }
    return status;
}
