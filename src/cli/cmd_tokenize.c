#include "base/alloc.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/file_input.h"
#include "cli/output.h"
#include "tokenizer/tokenizer.h"

enum { TEXT_MAX_BYTES = 256 << 20 };

static rf_encode_options encode_options(const rf_options *options) {
    return (rf_encode_options){.add_special = rf_opt_on(options, RF_OPT_ADD_SPECIAL),
                               .parse_special = rf_opt_on(options, RF_OPT_PARSE_SPECIAL)};
}

static json_t *ids_json(const rf_tokens *tokens, bool *ok) {
    json_t *list = json_array();
    for (size_t i = 0; i < tokens->n; i++)
        rf_json_add(list, json_integer(tokens->ids[i]), ok);
    return list;
}

/* {"text"}, or {"decoded_bytes_hex"} beside it when the ids cut a character. */
static void set_text(json_t *object, rf_str text, bool *ok) {
    rf_json_set(object, "text", rf_json_str(text), ok);
    if (rf_utf8_valid_prefix(text.ptr, text.len) == text.len)
        return;
    static const char digits[] = "0123456789abcdef";
    rf_buf hex;
    rf_buf_init(&hex, 2 * text.len);
    for (size_t i = 0; i < text.len; i++) {
        rf_buf_put(&hex, digits[(unsigned char)text.ptr[i] >> 4]);
        rf_buf_put(&hex, digits[(unsigned char)text.ptr[i] & 15]);
    }
    rf_json_set(object, "decoded_bytes_hex", rf_json_str(rf_buf_view(&hex)), ok);
    *ok = *ok && !hex.failed;
    rf_buf_deinit(&hex);
}

/* A member that must be true or false when it is there. */
static rf_status get_switch(const json_t *line, const char *key, bool *on, rf_error *err) {
    const json_t *value = json_object_get(line, key);
    if (value && !json_is_boolean(value))
        return rf_fail(err, RF_ERR_INVALID, "\"%s\": expected true or false", key);
    if (value)
        *on = json_is_true(value);
    return RF_OK;
}

static rf_status answer_text(const rf_tokenizer *tokenizer, const json_t *line,
                             const rf_options *options, json_t *out, rf_error *err) {
    const json_t *text = json_object_get(line, "text");
    rf_encode_options encode = encode_options(options);
    if (!json_is_string(text))
        return rf_fail(err, RF_ERR_INVALID, "\"text\": expected a string");
    RF_TRY(get_switch(line, "add_special", &encode.add_special, err));
    RF_TRY(get_switch(line, "parse_special", &encode.parse_special, err));
    rf_tokens tokens = {0};
    rf_str view = {json_string_value(text), json_string_length(text)};
    rf_status status = rf_tokenizer_encode(tokenizer, view, encode, &tokens, err);
    bool ok = true;
    if (status == RF_OK)
        rf_json_set(out, "ids", ids_json(&tokens, &ok), &ok);
    rf_tokens_deinit(&tokens);
    return ok ? status : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the ids");
}

static rf_status read_ids(const json_t *ids, rf_tokens *out, rf_error *err) {
    if (!json_is_array(ids))
        return rf_fail(err, RF_ERR_INVALID, "\"ids\": expected a list of integers");
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id) {
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value > INT32_MAX)
            return rf_fail(err, RF_ERR_INVALID, "\"ids\": item %zu: expected a token id", i);
        if (!rf_tokens_push(out, (int32_t)value))
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the ids");
    }
    return RF_OK;
}

static rf_status answer_ids(const rf_tokenizer *tokenizer, const json_t *line, json_t *out,
                            rf_error *err) {
    rf_tokens tokens = {0};
    rf_buf text;
    rf_buf_init(&text, TEXT_MAX_BYTES);
    bool ok = true;
    rf_status status = read_ids(json_object_get(line, "ids"), &tokens, err);
    if (status == RF_OK)
        status = rf_tokenizer_decode(tokenizer, tokens.ids, tokens.n, &text, err);
    if (status == RF_OK)
        set_text(out, rf_buf_view(&text), &ok);
    rf_buf_deinit(&text);
    rf_tokens_deinit(&tokens);
    return ok ? status : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the text");
}

static rf_status answer_line(const rf_tokenizer *tokenizer, rf_str bytes, const rf_options *options,
                             json_t *out, rf_error *err) {
    json_error_t where;
    json_t *line = json_loadb(bytes.ptr, bytes.len, JSON_ALLOW_NUL, &where);
    rf_status status;
    if (!line)
        status = rf_fail(err, RF_ERR_INVALID, "no JSON at column %d: %s", where.column, where.text);
    else if (json_object_get(line, "text"))
        status = answer_text(tokenizer, line, options, out, err);
    else if (json_object_get(line, "ids"))
        status = answer_ids(tokenizer, line, out, err);
    else
        status = rf_fail(err, RF_ERR_INVALID, "expected an object with \"text\" or \"ids\"");
    json_decref(line);
    return status;
}

static rf_status run_jsonl(const rf_tokenizer *tokenizer, const rf_options *options,
                           rf_error *err) {
    rf_buf line;
    rf_buf_init(&line, TEXT_MAX_BYTES);
    rf_status status;
    size_t n_lines = 0, n_failed = 0;
    while (rf_input_line(&line, &status, err)) {
        rf_error line_err = {0};
        bool ok = true;
        json_t *out = json_object();
        n_lines++;
        if (answer_line(tokenizer, rf_buf_view(&line), options, out, &line_err) != RF_OK) {
            n_failed++;
            rf_json_set(out, "error", rf_json_str(rf_str_of(line_err.text)), &ok);
        }
        if (ok)
            rf_out_json(out, JSON_COMPACT | JSON_ENSURE_ASCII); /* U+2028 ends lines for some */
        json_decref(out);
        status = ok ? rf_out_flush(err)
                    : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory in line %zu", n_lines);
        if (status != RF_OK)
            break;
    }
    rf_buf_deinit(&line);
    if (status == RF_OK && n_failed > 0)
        return rf_fail(err, RF_ERR_INVALID, "%zu of %zu lines could not be used", n_failed,
                       n_lines);
    return status;
}

static rf_status run_decode(rf_cli *cli, const rf_tokenizer *tokenizer, rf_error *err) {
    const char *list = rf_opt_text(&cli->options, RF_OPT_IDS);
    rf_buf source, text;
    rf_buf_init(&source, TEXT_MAX_BYTES);
    rf_buf_init(&text, TEXT_MAX_BYTES);
    int32_t *ids = NULL;
    size_t n = 0;
    rf_status status = RF_OK;
    if (!list) {
        status = rf_input_prompt(cli, &source, err);
        list = source.data;
    }
    if (status == RF_OK)
        status = rf_input_ids(list, "--ids", &ids, &n, err);
    if (status == RF_OK)
        status = rf_tokenizer_decode(tokenizer, ids, n, &text, err);
    if (status == RF_OK && rf_opt_on(&cli->options, RF_OPT_JSON)) {
        bool ok = true;
        json_t *out = json_object();
        set_text(out, rf_buf_view(&text), &ok);
        if (ok)
            rf_out_json(out, 0);
        json_decref(out);
    } else if (status == RF_OK) {
        rf_out_bytes(text.data, text.len);
        rf_out_text("\n");
    }
    rf_free(ids);
    rf_buf_deinit(&text);
    rf_buf_deinit(&source);
    return status;
}

static void print_pieces(const rf_tokenizer *tokenizer, const rf_tokens *tokens) {
    for (size_t i = 0; i < tokens->n; i++) {
        rf_buf piece;
        rf_error ignored = {0};
        rf_buf_init(&piece, 1 << 20);
        bool decoded =
            rf_tokenizer_decode(tokenizer, &tokens->ids[i], 1, &piece, &ignored) == RF_OK;
        rf_out_printf("%7d  \"", tokens->ids[i]);
        if (decoded)
            rf_out_safe(rf_buf_view(&piece), 1 << 20, false);
        rf_out_text("\"\n");
        rf_buf_deinit(&piece);
    }
}

static rf_status run_encode(rf_cli *cli, const rf_tokenizer *tokenizer, rf_error *err) {
    rf_buf text;
    rf_tokens tokens = {0};
    rf_buf_init(&text, TEXT_MAX_BYTES);
    rf_status status = rf_input_prompt(cli, &text, err);
    if (status == RF_OK)
        status = rf_tokenizer_encode(tokenizer, rf_buf_view(&text), encode_options(&cli->options),
                                     &tokens, err);
    if (status == RF_OK && rf_opt_on(&cli->options, RF_OPT_JSON)) {
        bool ok = true;
        json_t *out = json_object();
        rf_json_set(out, "ids", ids_json(&tokens, &ok), &ok);
        if (ok)
            rf_out_json(out, 0);
        json_decref(out);
    } else if (status == RF_OK) {
        print_pieces(tokenizer, &tokens);
    }
    rf_tokens_deinit(&tokens);
    rf_buf_deinit(&text);
    return status;
}

rf_status rf_cmd_tokenize(rf_cli *cli, rf_error *err) {
    const rf_options *options = &cli->options;
    const char *path = rf_opt_text(options, RF_OPT_MODEL);
    if (!path) {
        rf_cli_hint(cli, "rocmforge tokenize -m model.gguf -p \"your text\"");
        return rf_fail(err, RF_ERR_USAGE, "tokenize: found no model, expected --model FILE");
    }
    rf_gguf_open_options open = {.no_data = true};
    rf_gguf *gguf = NULL;
    rf_tokenizer *tokenizer = NULL;
    RF_TRY(rf_gguf_open(path, &open, &gguf, err));
    rf_status status = rf_tokenizer_create(gguf, &tokenizer, err);
    if (status == RF_OK && rf_opt_on(options, RF_OPT_JSONL))
        status = run_jsonl(tokenizer, options, err);
    else if (status == RF_OK && rf_opt_on(options, RF_OPT_DECODE))
        status = run_decode(cli, tokenizer, err);
    else if (status == RF_OK)
        status = run_encode(cli, tokenizer, err);
    rf_tokenizer_destroy(tokenizer);
    rf_gguf_close(gguf);
    return status;
}
