#include "api/model_handle.h"

#include "api/sized_struct.h"
#include "base/alloc.h"
#include "text/chat_prompt.h"

locale_t rf_api_numbers_enter(const rf_api_model *model) { return uselocale(model->numbers); }
void rf_api_numbers_leave(locale_t before) { (void)uselocale(before); }

static void destroy(rf_object *object) {
    rf_api_model *model = (rf_api_model *)object;
    rf_model_destroy(model->model);
    rf_template_destroy(model->tmpl);
    rf_tokenizer_destroy(model->tokenizer);
    rf_gguf_close(model->gguf);
    rf_free(model->name);
    if (model->numbers)
        freelocale(model->numbers);
    rf_free(model);
}

static rf_status load_template(rf_api_model *model, const char *source, rf_error *err) {
    if (source) {
        rf_status status = rf_template_compile(rf_str_of(source), NULL, &model->tmpl, err);
        return status == RF_OK ? RF_OK : rf_fail_prefix(err, "chat_template");
    }
    rf_status status = rf_chat_template_load(model->gguf, &model->tmpl, err);
    return status == RF_ERR_NOT_FOUND ? RF_OK : status;
}

static rf_status load(rf_api_model *model, const char *path, const rocmforge_model_options *options,
                      rf_error *err) {
    model->numbers = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!model->numbers)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a locale");
    model->allow_slow_types = options->allow_slow_types != 0;
    RF_TRY(rf_gguf_open(path, NULL, &model->gguf, err));
    rf_model_options bind = {.allow_slow_types = model->allow_slow_types};
    RF_TRY(rf_model_create(model->gguf, &bind, &model->model, err));
    RF_TRY(rf_tokenizer_create(model->gguf, &model->tokenizer, err));
    rf_str name = rf_model_get_info(model->model)->name;
    model->name = rf_strndup(name.ptr ? name.ptr : "", name.len);
    if (!model->name)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the model's name");
    locale_t before = rf_api_numbers_enter(model);
    rf_status status = load_template(model, options->chat_template, err);
    rf_api_numbers_leave(before);
    return status;
}

rocmforge_status rocmforge_model_open(const char *path, const rocmforge_model_options *options,
                                      rocmforge_model **out) {
    rocmforge_model_options known;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_NOT_NULL(out);
    *out = NULL;
    RF_API_NOT_NULL(path);
    RF_API_TRY(rf_api_struct_read(RF_API_STRUCT_model_options, options, &known));
    rf_api_model *model = rf_calloc(1, sizeof *model);
    if (!model)
        return rf_api_fail(ROCMFORGE_NO_MEMORY, "out of memory for the model");
    rf_object_init(&model->object, RF_HANDLE_MODEL, destroy);
    rf_error err = {0};
    rocmforge_status status = rf_api_result(load(model, path, &known, &err), &err);
    void *handle = NULL;
    if (status == ROCMFORGE_OK)
        status = rf_handle_make(&model->object, &handle);
    *out = handle;
    rf_object_drop(&model->object);
    return status;
}

rocmforge_status rocmforge_model_close(rocmforge_model *model) {
    rf_object *object;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_TRY(rf_handle_close(model, RF_HANDLE_MODEL, &object));
    rf_object_drop(object);
    return ROCMFORGE_OK;
}

rocmforge_status rf_api_model_take(const rocmforge_model *handle, rf_api_model **out) {
    rf_object *object;
    RF_API_TRY(rf_handle_take(handle, RF_HANDLE_MODEL, &object));
    *out = (rf_api_model *)object;
    return ROCMFORGE_OK;
}

rocmforge_status rocmforge_model_get_info(const rocmforge_model *handle,
                                          rocmforge_model_info *out) {
    rf_api_model *model;
    RF_API_TRY(rf_api_enter(__func__, true));
    RF_API_TRY(rf_api_struct_check(RF_API_STRUCT_model_info, out));
    RF_API_TRY(rf_api_model_take(handle, &model));
    const rf_model_info *info = rf_model_get_info(model->model);
    const rf_token_roles *roles = rf_tokenizer_roles(model->tokenizer);
    rocmforge_model_info filled = {.architecture = info->arch,
                                   .name = model->name,
                                   .n_parameters = info->n_params,
                                   .weights_bytes = info->weights_bytes,
                                   .file_bytes = rf_gguf_file_bytes(model->gguf),
                                   .n_layer = info->n_layer,
                                   .n_embd = info->n_embd,
                                   .n_head = info->n_head,
                                   .n_head_kv = info->n_head_kv,
                                   .n_vocab = info->n_vocab,
                                   .n_ctx_train = info->n_ctx_train,
                                   .bos = roles->bos,
                                   .eos = roles->eos,
                                   .eot = roles->eot,
                                   .unk = roles->unk,
                                   .pad = roles->pad,
                                   .has_chat_template = model->tmpl != NULL};
    rf_api_struct_write(RF_API_STRUCT_model_info, &filled, out);
    rf_object_drop(&model->object);
    return ROCMFORGE_OK;
}

int32_t rocmforge_token_is_end(const rocmforge_model *handle, int32_t token) {
    rf_api_model *model;
    RF_API_TRY(rf_api_enter(__func__, true));
    RF_API_TRY(rf_api_model_take(handle, &model));
    uint32_t n = rf_tokenizer_n_tokens(model->tokenizer);
    int32_t ends =
        token >= 0 && (uint32_t)token < n && rf_tokenizer_is_eog(model->tokenizer, token);
    rf_object_drop(&model->object);
    return ends;
}
