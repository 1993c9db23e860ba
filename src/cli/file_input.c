#include "cli/file_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/number.h"
#include "base/utf8.h"
#include "cli/interrupt.h"

enum { CHUNK_BYTES = 65536 };

static const char *shown(const char *path) {
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static rf_status read_all(int fd, const char *path, rf_buf *out, rf_error *err) {
    for (;;) {
        RF_TRY(rf_interrupt_check(err));
        if (out->len >= out->max_bytes)
            return rf_fail(err, RF_ERR_LIMIT, "%s: longer than %zu bytes", shown(path),
                           out->max_bytes);
        if (!rf_buf_reserve(out, out->max_bytes - out->len < CHUNK_BYTES ? out->max_bytes - out->len
                                                                         : CHUNK_BYTES))
            return rf_fail(err, RF_ERR_NO_MEMORY, "%s: out of memory after %zu bytes", shown(path),
                           out->len);
        size_t room = out->cap - out->len - 1;
        ssize_t n = read(fd, out->data + out->len, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rf_fail(err, RF_ERR_IO, "%s: %s", shown(path), strerror(errno));
        if (n == 0)
            return RF_OK;
        out->len += (size_t)n;
        out->data[out->len] = 0;
    }
}

rf_status rf_input_read(const char *path, rf_buf *out, rf_error *err) {
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, path, out, err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rf_fail(err, errno == ENOENT ? RF_ERR_NOT_FOUND : RF_ERR_IO, "%s: %s", path,
                       strerror(errno));
    rf_status status = read_all(fd, path, out, err);
    (void)close(fd);
    return status;
}

bool rf_input_line(rf_buf *line, rf_status *status, rf_error *err) {
    static char chunk[CHUNK_BYTES];
    static size_t from, to;
    rf_buf_clear(line);
    *status = RF_OK;
    for (;;) {
        const char *end = memchr(chunk + from, '\n', to - from);
        size_t n = end ? (size_t)(end - chunk) - from : to - from;
        rf_buf_append(line, chunk + from, n);
        from += n + (end ? 1 : 0);
        if (line->failed) {
            *status = rf_fail(err, RF_ERR_LIMIT, "standard input: a line longer than %zu bytes",
                              line->max_bytes);
            return false;
        }
        if (end)
            return true;
        ssize_t got = read(STDIN_FILENO, chunk, sizeof chunk);
        from = to = 0;
        if (got > 0)
            to = (size_t)got;
        else if (got == 0)
            return line->len > 0;
        else if (errno != EINTR)
            *status = rf_fail(err, RF_ERR_IO, "standard input: %s", strerror(errno));
        else
            *status = rf_interrupt_check(err);
        if (*status != RF_OK)
            return false;
    }
}

static rf_status check_prompt(rf_cli *cli, const rf_buf *text, rf_error *err) {
    if (text->len == 0) {
        rf_cli_hint(cli, "rocmforge %s -m FILE -p \"your text\"",
                    rf_command_get(cli->options.command)->name);
        return rf_fail(err, RF_ERR_USAGE,
                       "prompt: found an empty text, expected at least a character");
    }
    size_t valid = rf_utf8_valid_prefix(text->data, text->len);
    if (valid < text->len)
        return rf_fail(err, RF_ERR_INVALID,
                       "prompt: found byte 0x%02x at offset %zu, expected UTF-8 text",
                       (unsigned)(unsigned char)text->data[valid], valid);
    return RF_OK;
}

rf_status rf_input_prompt(rf_cli *cli, rf_buf *out, rf_error *err) {
    const rf_options *options = &cli->options;
    const char *texts[2] = {options->n_args > 0 ? options->args[0] : NULL,
                            rf_opt_text(options, RF_OPT_PROMPT)};
    const char *path = rf_opt_text(options, RF_OPT_FILE);
    if ((texts[0] != NULL) + (texts[1] != NULL) + (path != NULL) > 1)
        return rf_fail(err, RF_ERR_USAGE,
                       "found several prompts, expected one of --prompt, --file and an argument");
    const char *text = texts[0] ? texts[0] : texts[1];
    if (text) {
        rf_buf_text(out, text);
        if (out->failed)
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the prompt");
        return check_prompt(cli, out, err);
    }
    if (!path && isatty(STDIN_FILENO) == 1) {
        rf_cli_hint(cli, "rocmforge %s -m FILE -p \"your text\"",
                    rf_command_get(options->command)->name);
        return rf_fail(err, RF_ERR_USAGE,
                       "found no prompt, expected -p TEXT, -f FILE or text on "
                       "standard input");
    }
    RF_TRY(rf_input_read(path ? path : "-", out, err));
    if (out->len > 0 && out->data[out->len - 1] == '\n')
        out->data[--out->len] = 0;
    return check_prompt(cli, out, err);
}

rf_status rf_input_ids(const char *text, const char *name, int32_t **ids, size_t *n,
                       rf_error *err) {
    size_t count = 1;
    for (const char *c = text; *c; c++)
        count += *c == ',';
    *n = 0;
    *ids = rf_calloc(count, sizeof **ids);
    if (!*ids)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu ids", count);
    for (const char *at = text; *n < count;) {
        char word[32];
        at += strspn(at, " \t\r\n");
        size_t len = strcspn(at, ", \t\r\n");
        memcpy(word, at, len < 31 ? len : 31);
        word[len < 31 ? len : 31] = 0;
        int64_t id;
        if (!rf_number_int(word, &id) || id < 0 || id > INT32_MAX) {
            rf_free(*ids);
            *ids = NULL;
            return rf_fail(err, RF_ERR_USAGE,
                           "%s: found \"%s\" as item %zu, expected token ids separated by commas",
                           name, word, *n + 1);
        }
        (*ids)[(*n)++] = (int32_t)id;
        at += len;
        at += strspn(at, " \t\r\n");
        if (*at == ',')
            at++;
        else if (*at == 0)
            break;
    }
    return RF_OK;
}
