#include "cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"

static struct {
    bool out_color, note_color, note_terminal;
    int out_errno; /* of the first failed write */
} state;

void rf_output_init(rf_color_mode mode, bool no_color) {
    state.note_terminal = isatty(STDERR_FILENO) == 1;
    bool allowed = mode == RF_COLOR_ALWAYS || (mode == RF_COLOR_AUTO && !no_color);
    state.out_color = allowed && (mode == RF_COLOR_ALWAYS || isatty(STDOUT_FILENO) == 1);
    state.note_color = allowed && (mode == RF_COLOR_ALWAYS || state.note_terminal);
}

static const char *escape(rf_style style, bool color) {
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[2m", "\033[31m"};
    return color ? codes[style] : "";
}

const char *rf_out_style(rf_style style) { return escape(style, state.out_color); }
const char *rf_note_style(rf_style style) { return escape(style, state.note_color); }
bool rf_note_is_terminal(void) { return state.note_terminal; }

int rf_out_columns(void) {
    struct winsize size;
    if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
        size.ws_col < 40)
        return 80;
    return size.ws_col;
}

static void failed(void) {
    if (state.out_errno == 0)
        state.out_errno = errno ? errno : EIO;
}

void rf_out_bytes(const void *bytes, size_t n) {
    errno = 0;
    if (n > 0 && state.out_errno == 0 && fwrite(bytes, 1, n, stdout) != n)
        failed();
}

void rf_out_text(const char *text) { rf_out_bytes(text, strlen(text)); }

void rf_out_printf(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    errno = 0;
    if (state.out_errno == 0 && vfprintf(stdout, fmt, args) < 0)
        failed();
    va_end(args);
}

void rf_out_safe(rf_str text, size_t max_bytes, bool lines) {
    size_t shown = text.len < max_bytes ? text.len : max_bytes;
    for (size_t i = 0; i < shown;) {
        uint32_t code;
        size_t n = rf_utf8_decode(text.ptr + i, text.len - i, &code);
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        if (n > 0 && (!control || (lines && (code == '\n' || code == '\t')))) {
            rf_out_bytes(text.ptr + i, n);
            i += n;
        } else {
            rf_out_printf("\\x%02x", (unsigned char)text.ptr[i]);
            i++;
        }
    }
    if (shown < text.len)
        rf_out_text("…");
}

static int dump_to_stdout(const char *bytes, size_t n, void *user) {
    (void)user;
    rf_out_bytes(bytes, n);
    return 0;
}

void rf_out_json(const json_t *value, size_t flags) {
    if (json_dump_callback(value, dump_to_stdout, NULL,
                           flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) != 0) {
        errno = ENOMEM;
        failed();
    }
    rf_out_text("\n");
}

rf_status rf_out_flush(rf_error *err) {
    errno = 0;
    if (state.out_errno == 0 && fflush(stdout) != 0)
        failed();
    if (state.out_errno == 0)
        return RF_OK;
    if (state.out_errno == EPIPE)
        return rf_fail(err, RF_ERR_IO, "%s", "");
    return rf_fail(err, RF_ERR_IO, "standard output: %s", strerror(state.out_errno));
}

const char *rf_size_text(uint64_t bytes, char out[RF_SIZE_TEXT_BYTES]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1000 && unit < 6) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, RF_SIZE_TEXT_BYTES,
                   value < 10 && unit > 0    ? "%.2f %s"
                   : value < 100 && unit > 0 ? "%.1f %s"
                                             : "%.0f %s",
                   value, units[unit]);
    return out;
}

void rf_json_set(json_t *object, const char *key, json_t *value, bool *ok) {
    if (!value || json_object_set_new_nocheck(object, key, value) != 0)
        *ok = false;
}

void rf_json_add(json_t *array, json_t *value, bool *ok) {
    if (!value || json_array_append_new(array, value) != 0)
        *ok = false;
}

json_t *rf_json_str(rf_str text) {
    if (rf_utf8_valid_prefix(text.ptr, text.len) == text.len)
        return json_stringn_nocheck(text.len ? text.ptr : "", text.len);
    rf_buf clean;
    rf_buf_init(&clean, 3 * text.len);
    for (size_t i = 0; i < text.len;) {
        size_t n = rf_utf8_valid_prefix(text.ptr + i, text.len - i);
        rf_buf_append(&clean, text.ptr + i, n);
        i += n;
        if (i < text.len) {
            rf_buf_text(&clean, "\xef\xbf\xbd");
            i++;
        }
    }
    json_t *value = clean.failed ? NULL : json_stringn_nocheck(clean.data, clean.len);
    rf_buf_deinit(&clean);
    return value;
}
