#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/output.h"

enum { BAR_CELLS = 30, REDRAW_NS = 100000000, FIRST_NS = 200000000 };

static struct {
    const char *what; /* NULL: no bar */
    uint64_t begun_ns, drawn_ns;
    atomic_bool visible;
} bar;

static void wipe(void) {
    if (atomic_exchange(&bar.visible, false))
        (void)fputs("\r\033[K", stderr);
}

void rf_progress_begin(const char *what) {
    bar.what = rf_note_is_terminal() ? what : NULL;
    bar.begun_ns = rf_clock_ns();
    bar.drawn_ns = 0;
}

void rf_progress_update(uint64_t done, uint64_t total) {
    uint64_t now = rf_clock_ns();
    if (!bar.what || now - bar.begun_ns < FIRST_NS || now - bar.drawn_ns < REDRAW_NS || total == 0)
        return;
    bar.drawn_ns = now;
    double part = done >= total ? 1 : (double)done / (double)total;
    int cells = (int)(part * BAR_CELLS);
    char filled[BAR_CELLS + 1], size[RF_SIZE_TEXT_BYTES];
    memset(filled, '.', BAR_CELLS);
    memset(filled, '#', (size_t)cells);
    filled[BAR_CELLS] = 0;
    (void)fprintf(stderr, "\r%s [%s] %3.0f%% of %s\033[K", bar.what, filled, part * 100,
                  rf_size_text(total, size));
    (void)fflush(stderr);
    atomic_store(&bar.visible, true);
}

void rf_progress_line(const char *fmt, ...) {
    if (!rf_note_is_terminal())
        return;
    va_list args;
    va_start(args, fmt);
    (void)fputs("\r", stderr);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputs("\033[K", stderr);
    (void)fflush(stderr);
    atomic_store(&bar.visible, true);
}

void rf_progress_end(void) {
    wipe();
    bar.what = NULL;
}

void rf_note(const char *fmt, ...) {
    wipe();
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

/* POLLOUT of a pipe means room for PIPE_BUF bytes. */
bool rf_note_is_read(void) {
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0;
}

void rf_note_log(void *user, rf_log_level level, const char *topic, const char *text) {
    (void)user;
    if (!rf_note_is_read())
        return; /* dropped, rather than a server that stands still */
    wipe();
    bool loud = level <= RF_LOG_WARN;
    (void)fprintf(stderr, "%s%s%s: %s: %s\n", rf_note_style(loud ? RF_STYLE_BOLD : RF_STYLE_DIM),
                  level == RF_LOG_WARN ? "warning" : rf_log_level_name(level),
                  rf_note_style(RF_STYLE_NONE), topic, text);
}
