#include "cli/cli.h"
#include "cli/gguf_show.h"
#include "cli/output.h"
#include "cli/program_show.h"
#include "model/model.h"
#include "tokenizer/tokenizer.h"

/* What could be made of the file; model and tokenizer are NULL where the reason says why. */
typedef struct inspected {
    rf_gguf *gguf;
    rf_model *model;
    rf_tokenizer *tokenizer;
    rf_error model_error, tokenizer_error;
} inspected;

static void release(inspected *file) {
    rf_tokenizer_destroy(file->tokenizer);
    rf_model_destroy(file->model);
    rf_gguf_close(file->gguf);
}

static void heading(const char *title) {
    rf_out_printf("\n%s%s%s\n", rf_out_style(RF_STYLE_BOLD), title, rf_out_style(RF_STYLE_NONE));
}

static void show_model(const inspected *file) {
    heading("Model");
    if (!file->model) {
        rf_out_text("  cannot run: ");
        rf_out_safe(rf_str_of(file->model_error.text), RF_ERROR_TEXT_BYTES, false);
        rf_out_text("\n");
        return;
    }
    const rf_model_info *info = rf_model_get_info(file->model);
    char size[RF_SIZE_TEXT_BYTES];
    rf_out_printf("  architecture %s, name ", info->arch);
    rf_out_safe(info->name, 120, false);
    rf_out_printf("\n  %.4g million weights, %s\n", (double)info->n_params / 1e6,
                  rf_size_text(info->weights_bytes, size));
    rf_out_printf("  %u layers, embedding %u, feed-forward %u, vocabulary %u\n", info->n_layer,
                  info->n_embd, info->n_ff, info->n_vocab);
    rf_out_printf("  %u heads of %u, %u for keys and values, trained context %u\n", info->n_head,
                  info->head_dim, info->n_head_kv, info->n_ctx_train);
    if (info->n_expert)
        rf_out_printf("  %u experts, %u used\n", info->n_expert, info->n_expert_used);
}

typedef struct role {
    const char *name;
    int32_t id;
} role;

enum { N_ROLES = 9 };

static void list_roles(const rf_token_roles *roles, role out[N_ROLES]) {
    role list[N_ROLES] = {{"bos", roles->bos}, {"eos", roles->eos},   {"eot", roles->eot},
                          {"eom", roles->eom}, {"unk", roles->unk},   {"sep", roles->sep},
                          {"pad", roles->pad}, {"mask", roles->mask}, {"cls", roles->cls}};
    memcpy(out, list, sizeof list);
}

static void show_tokenizer(const inspected *file) {
    heading("Tokenizer");
    if (!file->tokenizer) {
        rf_out_text("  none that works: ");
        rf_out_safe(rf_str_of(file->tokenizer_error.text), RF_ERROR_TEXT_BYTES, false);
        rf_out_text("\n");
        return;
    }
    const rf_token_roles *roles = rf_tokenizer_roles(file->tokenizer);
    rf_out_printf("  model %s, pre %s, %u tokens, adds bos %s, eos %s\n ",
                  rf_tokenizer_model(file->tokenizer), rf_tokenizer_pre(file->tokenizer),
                  rf_tokenizer_n_tokens(file->tokenizer), roles->add_bos ? "yes" : "no",
                  roles->add_eos ? "yes" : "no");
    role list[N_ROLES];
    list_roles(roles, list);
    for (int i = 0; i < N_ROLES; i++) {
        if (list[i].id < 0)
            continue;
        rf_out_printf(" %s %d \"", list[i].name, list[i].id);
        rf_out_safe(rf_tokenizer_text(file->tokenizer, list[i].id), 60, false);
        rf_out_text("\"");
    }
    rf_out_text("\n");
}

static bool find_template(const rf_gguf *gguf, rf_str *out) {
    rf_error ignored = {0};
    return rf_gguf_get_str(gguf, "tokenizer.chat_template", out, &ignored) == RF_OK;
}

static void show_text(const inspected *file) {
    const rf_gguf *gguf = file->gguf;
    char size[RF_SIZE_TEXT_BYTES];
    rf_out_printf("%sFile%s\n  ", rf_out_style(RF_STYLE_BOLD), rf_out_style(RF_STYLE_NONE));
    rf_out_safe(rf_str_of(rf_gguf_path(gguf)), 4096, false);
    rf_out_printf("\n  GGUF version %u, %s in %u file%s, alignment %llu\n", rf_gguf_version(gguf),
                  rf_size_text(rf_gguf_file_bytes(gguf), size), rf_gguf_n_files(gguf),
                  rf_gguf_n_files(gguf) == 1 ? "" : "s",
                  (unsigned long long)rf_gguf_alignment(gguf));
    show_model(file);
    show_tokenizer(file);
    heading("Chat template");
    rf_str source;
    if (find_template(gguf, &source)) {
        rf_out_safe(source, 65536, true);
        rf_out_text("\n");
    } else {
        rf_out_text("  none\n");
    }
    heading("Metadata");
    rf_gguf_show_keys(gguf);
    heading("Tensors");
    rf_gguf_show_tensors(gguf);
    heading("Types");
    rf_gguf_show_types(gguf);
}

static json_t *model_json(const inspected *file, bool *ok) {
    json_t *object = json_object();
    if (!file->model) {
        rf_json_set(object, "error", rf_json_str(rf_str_of(file->model_error.text)), ok);
        return object;
    }
    const rf_model_info *info = rf_model_get_info(file->model);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"n_layer", info->n_layer},   {"n_embd", info->n_embd},
                   {"n_head", info->n_head},     {"n_head_kv", info->n_head_kv},
                   {"head_dim", info->head_dim}, {"n_ff", info->n_ff},
                   {"n_vocab", info->n_vocab},   {"n_ctx_train", info->n_ctx_train},
                   {"n_expert", info->n_expert}, {"n_expert_used", info->n_expert_used},
                   {"n_params", info->n_params}, {"weights_bytes", info->weights_bytes}};
    rf_json_set(object, "arch", json_string(info->arch), ok);
    rf_json_set(object, "name", rf_json_str(info->name), ok);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        rf_json_set(object, numbers[i].name, json_integer((json_int_t)numbers[i].value), ok);
    return object;
}

static json_t *tokenizer_json(const inspected *file, bool *ok) {
    json_t *object = json_object();
    if (!file->tokenizer) {
        rf_json_set(object, "error", rf_json_str(rf_str_of(file->tokenizer_error.text)), ok);
        return object;
    }
    const rf_token_roles *roles = rf_tokenizer_roles(file->tokenizer);
    rf_json_set(object, "model", json_string(rf_tokenizer_model(file->tokenizer)), ok);
    rf_json_set(object, "pre", json_string(rf_tokenizer_pre(file->tokenizer)), ok);
    rf_json_set(object, "n_tokens", json_integer(rf_tokenizer_n_tokens(file->tokenizer)), ok);
    rf_json_set(object, "add_bos", json_boolean(roles->add_bos), ok);
    rf_json_set(object, "add_eos", json_boolean(roles->add_eos), ok);
    role list[N_ROLES];
    list_roles(roles, list);
    for (int i = 0; i < N_ROLES; i++)
        rf_json_set(object, list[i].name, list[i].id < 0 ? json_null() : json_integer(list[i].id),
                    ok);
    return object;
}

static rf_status show_json(const inspected *file, bool program, rf_error *err) {
    bool ok = true;
    rf_str source;
    const rf_gguf *gguf = file->gguf;
    json_t *object = json_object();
    rf_json_set(object, "file", rf_json_str(rf_str_of(rf_gguf_path(gguf))), &ok);
    rf_json_set(object, "version", json_integer(rf_gguf_version(gguf)), &ok);
    rf_json_set(object, "file_bytes", json_integer((json_int_t)rf_gguf_file_bytes(gguf)), &ok);
    rf_json_set(object, "n_files", json_integer(rf_gguf_n_files(gguf)), &ok);
    rf_json_set(object, "alignment", json_integer((json_int_t)rf_gguf_alignment(gguf)), &ok);
    rf_json_set(object, "model", model_json(file, &ok), &ok);
    rf_json_set(object, "tokenizer", tokenizer_json(file, &ok), &ok);
    rf_json_set(object, "chat_template",
                find_template(gguf, &source) ? rf_json_str(source) : json_null(), &ok);
    rf_json_set(object, "metadata", rf_gguf_keys_json(gguf, &ok), &ok);
    rf_json_set(object, "tensors", rf_gguf_tensors_json(gguf, &ok), &ok);
    if (program)
        rf_json_set(object, "program", rf_program_json(rf_model_program(file->model), &ok), &ok);
    if (ok)
        rf_out_json(object, JSON_INDENT(1));
    json_decref(object);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the JSON of the file");
}

rf_status rf_cmd_inspect(rf_cli *cli, rf_error *err) {
    const rf_options *options = &cli->options;
    const char *path = options->n_args > 0 ? options->args[0] : rf_opt_text(options, RF_OPT_MODEL);
    if (!path) {
        rf_cli_hint(cli, "rocmforge inspect model.gguf");
        return rf_fail(err, RF_ERR_USAGE,
                       "inspect: found no file, expected the name of a GGUF file");
    }
    inspected file = {0};
    rf_gguf_open_options open = {.no_data = false};
    RF_TRY(rf_gguf_open(path, &open, &file.gguf, err));
    rf_model_options model = {.n_ctx = (uint32_t)rf_opt_int(options, RF_OPT_CTX_SIZE),
                              .allow_slow_types = rf_opt_on(options, RF_OPT_ALLOW_SLOW_TYPES)};
    rf_status bound = rf_model_create(file.gguf, &model, &file.model, &file.model_error);
    (void)!rf_tokenizer_create(file.gguf, &file.tokenizer, &file.tokenizer_error);
    bool program = rf_opt_on(options, RF_OPT_PROGRAM);
    rf_status status = RF_OK;
    if (program && bound != RF_OK)
        status = rf_fail(err, bound, "%s", file.model_error.text);
    else if (rf_opt_on(options, RF_OPT_JSON))
        status = show_json(&file, program, err);
    else if (program)
        rf_program_show(rf_model_program(file.model));
    else
        show_text(&file);
    release(&file);
    return status;
}
