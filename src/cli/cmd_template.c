#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/conversation.h"
#include "cli/file_input.h"
#include "cli/number.h"
#include "cli/output.h"

enum { SOURCE_MAX_BYTES = 16 << 20, CONTEXT_MAX_BYTES = 256 << 20, OUTPUT_MAX_BYTES = 256 << 20 };

typedef struct job {
    rf_cli *cli;
    rf_gguf *gguf;           /* NULL without --model */
    rf_tokenizer *tokenizer; /* likewise */
    rf_buf source_bytes, context_bytes, rendered;
    rf_str source;
    rf_template *tmpl;
    json_t *context;
    int64_t clock;
    rf_template_error_kind kind;
} job;

static rf_status no_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the template's variables");
}

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

static rf_status load_context(job *j, rf_error *err) {
    const char *path = rf_opt_text(&j->cli->options, RF_OPT_CONTEXT);
    json_error_t where;
    if (!path) {
        j->context = json_object();
        return j->context ? RF_OK : no_memory(err);
    }
    RF_TRY(rf_input_read(path, &j->context_bytes, err));
    j->context = json_loadb(j->context_bytes.data ? j->context_bytes.data : "",
                            j->context_bytes.len, JSON_ALLOW_NUL, &where);
    if (!j->context)
        return rf_fail(err, RF_ERR_INVALID, "%s: line %d, column %d: %s", path, where.line,
                       where.column, where.text);
    if (!json_is_object(j->context))
        return rf_fail(err, RF_ERR_INVALID, "%s: expected a JSON object", path);
    return RF_OK;
}

static void add_message(json_t *messages, const char *role, const char *content, bool *ok) {
    json_t *message = json_object();
    rf_json_set(message, "role", json_string(role), ok);
    rf_json_set(message, "content", rf_json_str(rf_str_of(content)), ok);
    rf_json_add(messages, message, ok);
}

/* What a model's template always sees; what the context says already stays. */
static rf_status fill_context(job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    const char *prompt = rf_opt_text(options, RF_OPT_PROMPT);
    const char *system = rf_opt_text(options, RF_OPT_SYSTEM);
    bool ok = true;
    if (prompt && !json_object_get(j->context, "messages")) {
        json_t *messages = json_array();
        if (system)
            add_message(messages, "system", system, &ok);
        add_message(messages, "user", prompt, &ok);
        rf_json_set(j->context, "messages", messages, &ok);
        if (!json_object_get(j->context, "add_generation_prompt"))
            rf_json_set(j->context, "add_generation_prompt", json_true(), &ok);
    }
    if (j->tokenizer) {
        const rf_token_roles *roles = rf_tokenizer_roles(j->tokenizer);
        static const char *const empty[] = {"tools", "documents"};
        for (size_t i = 0; i < 2; i++) {
            if (!json_object_get(j->context, empty[i]))
                rf_json_set(j->context, empty[i], json_null(), &ok);
        }
        if (!json_object_get(j->context, "bos_token"))
            rf_conversation_set_token(j->context, "bos_token", j->tokenizer, roles->bos, &ok);
        if (!json_object_get(j->context, "eos_token"))
            rf_conversation_set_token(j->context, "eos_token", j->tokenizer, roles->eos, &ok);
    }
    return ok ? RF_OK : no_memory(err);
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static rf_str last_content(const json_t *context) {
    const json_t *messages = json_object_get(context, "messages");
    size_t n = json_array_size(messages);
    const json_t *content = n ? json_object_get(json_array_get(messages, n - 1), "content") : NULL;
    return (rf_str){json_string_value(content), json_string_length(content)};
}

/* Cuts the text right after the last message's content, as transformers' continue_final_message:
 * blanks at its end stay only where the template kept them. */
static rf_status cut_after_final(job *j, rf_error *err) {
    rf_str content = last_content(j->context), text = rf_buf_view(&j->rendered);
    while (content.len > 0 && is_blank(content.ptr[0]))
        content = rf_str_sub(content, 1, content.len);
    rf_str bare = content;
    while (bare.len > 0 && is_blank(bare.ptr[bare.len - 1]))
        bare.len--;
    for (size_t at = text.len + 1; content.ptr && at-- > 0;) {
        rf_str here = rf_str_sub(text, at, text.len);
        if (!rf_str_starts(here, bare))
            continue;
        j->rendered.len = at + (rf_str_starts(here, content) ? content.len : bare.len);
        return RF_OK;
    }
    j->kind = RF_TEMPLATE_OTHER;
    return rf_fail(err, RF_ERR_INVALID,
                   "the last message's content does not appear in the rendered text");
}

static rf_status render(job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    rf_status status = rf_template_compile(j->source, NULL, &j->tmpl, err);
    if (status != RF_OK) {
        j->kind = status == RF_ERR_LIMIT ? RF_TEMPLATE_LIMIT : RF_TEMPLATE_OTHER;
        return status;
    }
    RF_TRY(rf_template_render(j->tmpl, j->context, j->clock, &j->rendered, &j->kind, err));
    return rf_opt_on(options, RF_OPT_CONTINUE_FINAL) ? cut_after_final(j, err) : RF_OK;
}

/* The text, or what kind of error the template ended in. */
static rf_status print(const job *j, rf_status status, rf_error *err) {
    bool json = rf_opt_on(&j->cli->options, RF_OPT_JSON), failed = status != RF_OK, ok = true;
    if (json) {
        json_t *object = json_object();
        if (failed) {
            rf_json_set(object, "error_kind", json_string(rf_template_error_kind_name(j->kind)),
                        &ok);
            rf_json_set(object, "error", rf_json_str(rf_str_of(err->text)), &ok);
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
    return ok ? RF_OK : no_memory(err);
}

static rf_status run(job *j, rf_error *err) {
    RF_TRY(parse_clock(rf_opt_text(&j->cli->options, RF_OPT_CLOCK), &j->clock, err));
    RF_TRY(load_source(j, err));
    RF_TRY(load_context(j, err));
    RF_TRY(fill_context(j, err));
    rf_status status = render(j, err);
    if (status != RF_OK && j->kind == RF_TEMPLATE_NO_ERROR)
        return status;
    return print(j, status, err);
}

rf_status rf_cmd_template(rf_cli *cli, rf_error *err) {
    job j = {.cli = cli};
    rf_buf_init(&j.source_bytes, SOURCE_MAX_BYTES);
    rf_buf_init(&j.context_bytes, CONTEXT_MAX_BYTES);
    rf_buf_init(&j.rendered, OUTPUT_MAX_BYTES);
    rf_status status = run(&j, err);
    json_decref(j.context);
    rf_template_destroy(j.tmpl);
    rf_tokenizer_destroy(j.tokenizer);
    rf_gguf_close(j.gguf);
    rf_buf_deinit(&j.source_bytes);
    rf_buf_deinit(&j.context_bytes);
    rf_buf_deinit(&j.rendered);
    return status;
}
