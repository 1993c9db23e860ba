#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/number.h"
#include "chat/messages.h"
#include "cli/conversation.h"
#include "cli/file_input.h"
#include "cli/output.h"
#include "text/chat_prompt.h"

enum { SOURCE_MAX_BYTES = 16 << 20, CONTEXT_MAX_BYTES = 256 << 20, OUTPUT_MAX_BYTES = 256 << 20 };

typedef struct job {
    rf_cli *cli;
    rf_gguf *gguf;           /* NULL without --model */
    rf_tokenizer *tokenizer; /* likewise */
    rf_buf source_bytes;
    rf_buf context;  /* the text of a JSON object */
    rf_buf rendered; /* or the message of the failure */
    rf_str source;
    rf_template *tmpl;
    int64_t clock;
    rf_template_error_kind kind;
} job;

/* "now", seconds since 1970, or 2026-01-02T03:04:05 (UTC; a blank or T between). */
static rf_status parse_clock(const char *text, int64_t *out, rf_error *err) {
    struct tm when = {0};
    char rest;
    if (strcmp(text, "now") == 0) {
        *out = (int64_t)time(NULL);
        return RF_OK;
    }
    if (rf_number_int(text, out) && *out >= -62135596800 && *out <= 253402300799)
        return RF_OK;
    int n = sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%c", &when.tm_year, &when.tm_mon,
                   &when.tm_mday, &when.tm_hour, &when.tm_min, &when.tm_sec, &rest);
    bool fits = n == 6 && when.tm_mon >= 1 && when.tm_mon <= 12 && when.tm_mday >= 1 &&
                when.tm_mday <= 31 && when.tm_hour < 24 && when.tm_min < 60 && when.tm_sec < 60;
    if (!fits)
        return rf_fail(err, RF_ERR_USAGE,
                       "--clock: found \"%.60s\", expected now, seconds since 1970 or a time as "
                       "2026-01-02T03:04:05",
                       text);
    when.tm_year -= 1900;
    when.tm_mon -= 1;
    *out = (int64_t)timegm(&when);
    return RF_OK;
}

static rf_status load_model(job *j, const char *path, rf_error *err) {
    rf_gguf_open_options open = {.no_data = true};
    RF_TRY(rf_gguf_open(path, &open, &j->gguf, err));
    return rf_tokenizer_create(j->gguf, &j->tokenizer, err);
}

static rf_status load_source(job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    const char *path = rf_opt_text(options, RF_OPT_FILE);
    const char *model = rf_opt_text(options, RF_OPT_MODEL);
    if (!path && !model) {
        rf_cli_hint(j->cli, "rocmforge template --file chat.jinja --context context.json");
        return rf_fail(err, RF_ERR_USAGE, "template: expected --model FILE or --file FILE");
    }
    if (model)
        RF_TRY(load_model(j, model, err));
    if (path) {
        RF_TRY(rf_input_read(path, &j->source_bytes, err));
        j->source = rf_buf_view(&j->source_bytes);
        return RF_OK;
    }
    rf_status found = rf_gguf_get_str(j->gguf, "tokenizer.chat_template", &j->source, err);
    if (found == RF_ERR_NOT_FOUND) {
        rf_cli_hint(j->cli, "rocmforge template --file chat.jinja, or generate --raw");
        return rf_fail(err, RF_ERR_NOT_FOUND, "%s: the model has no chat template", model);
    }
    return found;
}

/* {"role", "content"} messages of --system and --prompt. */
static void add_messages(const rf_options *options, rf_buf *out) {
    static const struct {
        rf_option_id option;
        const char *role;
    } rows[] = {{RF_OPT_SYSTEM, "system"}, {RF_OPT_PROMPT, "user"}};
    rf_buf messages;
    rf_buf_init(&messages, CONTEXT_MAX_BYTES);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rf_opt_given(options, rows[i].option))
            rf_messages_append(&messages, rf_str_of(rows[i].role),
                               rf_str_of(rf_opt_text(options, rows[i].option)));
    }
    if (messages.len > 0) {
        rf_buf_text(out, "\"add_generation_prompt\": true, \"messages\": ");
        rf_buf_str(out, rf_buf_view(&messages));
        rf_buf_text(out, ", ");
    }
    rf_buf_deinit(&messages);
}

/* The variables as JSON: with a model those that its template always sees, then the messages of the
 * command line, then the context, whose members win. */
static rf_status load_context(job *j, rf_error *err) {
    const char *path = rf_opt_text(&j->cli->options, RF_OPT_CONTEXT);
    rf_buf given;
    rf_buf_init(&given, CONTEXT_MAX_BYTES);
    rf_status status = path ? rf_input_read(path, &given, err) : RF_OK;
    if (!path)
        rf_buf_text(&given, "{}");
    size_t open = 0;
    while (open < given.len && strchr(" \t\r\n", given.data[open]))
        open++;
    if (status == RF_OK && (open == given.len || given.data[open] != '{'))
        status =
            rf_fail(err, RF_ERR_INVALID, "%s: expected a JSON object", path ? path : "--prompt");
    if (status == RF_OK) {
        rf_buf_put(&j->context, '{');
        if (j->tokenizer) {
            const rf_token_roles *roles = rf_tokenizer_roles(j->tokenizer);
            rf_buf_text(&j->context, "\"tools\": null, \"documents\": null, \"bos_token\": ");
            rf_json_append_string(&j->context, rf_token_text(j->tokenizer, roles->bos));
            rf_buf_text(&j->context, ", \"eos_token\": ");
            rf_json_append_string(&j->context, rf_token_text(j->tokenizer, roles->eos));
            rf_buf_text(&j->context, ", ");
        }
        add_messages(&j->cli->options, &j->context);
        size_t rest = open + 1;
        while (rest < given.len && strchr(" \t\r\n", given.data[rest]))
            rest++;
        if (rest < given.len && given.data[rest] == '}' && j->context.len > 1)
            j->context.len -= 2; /* nothing follows the last comma */
        rf_buf_append(&j->context, given.data + open + 1, given.len - open - 1);
        if (j->context.failed)
            status = rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the template's variables");
    }
    rf_buf_deinit(&given);
    return status;
}

static char *take_json(json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    (void)json_object_del(object, key);
    return text;
}

/* As transformers' option of that name: the messages stand apart from the other variables. */
static rf_status render_continued(job *j, rf_error *err) {
    json_error_t where;
    json_t *context = json_loadb(j->context.data, j->context.len, JSON_ALLOW_NUL, &where);
    if (!context)
        return rf_fail(err, RF_ERR_INVALID, "context: line %d, column %d: %s", where.line,
                       where.column, where.text);
    char *messages = take_json(context, "messages");
    char *others = json_dumps(context, JSON_COMPACT | JSON_REAL_PRECISION(17));
    rf_prompt_request request = {.messages = rf_str_of(messages),
                                 .kwargs = rf_str_of(others),
                                 .continue_final_message = true,
                                 .clock = j->clock};
    rf_status status =
        messages && others
            ? rf_prompt_render(j->tmpl, &request, &j->rendered, &j->kind, err)
            : rf_fail(err, RF_ERR_INVALID, "--continue-final-message: expected \"messages\"");
    rf_free(messages);
    rf_free(others);
    json_decref(context);
    return status;
}

static rf_status render(job *j, rf_error *err) {
    rf_status status = rf_template_compile(j->source, NULL, &j->tmpl, err);
    if (status != RF_OK) {
        j->kind = status == RF_ERR_LIMIT ? RF_TEMPLATE_LIMIT : RF_TEMPLATE_OTHER;
        rf_buf_text(&j->rendered, err->text);
        return status;
    }
    if (rf_opt_on(&j->cli->options, RF_OPT_CONTINUE_FINAL))
        return render_continued(j, err);
    return rf_template_render(j->tmpl, rf_buf_view(&j->context), j->clock, &j->rendered, &j->kind,
                              err);
}

/* The text, or what kind of error the template ended in. */
static rf_status print(const job *j, rf_status status, rf_error *err) {
    bool json = rf_opt_on(&j->cli->options, RF_OPT_JSON), failed = status != RF_OK, ok = true;
    if (json) {
        json_t *object = json_object();
        if (failed) {
            rf_json_set(object, "error_kind", json_string(rf_template_error_kind_name(j->kind)),
                        &ok);
            rf_json_set(object, "error", rf_json_str(rf_buf_view(&j->rendered)), &ok);
        } else {
            rf_json_set(object, "text", rf_json_str(rf_buf_view(&j->rendered)), &ok);
        }
        if (ok)
            rf_out_json(object, 0);
        json_decref(object);
    } else if (!failed) {
        rf_out_bytes(j->rendered.data, j->rendered.len);
    }
    if (failed)
        return rf_fail_prefix(err, "template: %s", rf_template_error_kind_name(j->kind));
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the JSON");
}

static rf_status run(job *j, rf_error *err) {
    RF_TRY(parse_clock(rf_opt_text(&j->cli->options, RF_OPT_CLOCK), &j->clock, err));
    RF_TRY(load_source(j, err));
    RF_TRY(load_context(j, err));
    rf_status status = render(j, err);
    if (status != RF_OK && j->kind == RF_TEMPLATE_NO_ERROR)
        return status;
    return print(j, status, err);
}

rf_status rf_cmd_template(rf_cli *cli, rf_error *err) {
    job j = {.cli = cli};
    rf_buf_init(&j.source_bytes, SOURCE_MAX_BYTES);
    rf_buf_init(&j.context, CONTEXT_MAX_BYTES);
    rf_buf_init(&j.rendered, OUTPUT_MAX_BYTES);
    rf_status status = run(&j, err);
    rf_template_destroy(j.tmpl);
    rf_tokenizer_destroy(j.tokenizer);
    rf_gguf_close(j.gguf);
    rf_buf_deinit(&j.source_bytes);
    rf_buf_deinit(&j.context);
    rf_buf_deinit(&j.rendered);
    return status;
}
