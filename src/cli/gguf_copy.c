#include "cli/gguf_copy.h"

#include <string.h>
#include <sys/stat.h>

rf_status rf_check_apart(const char *in, const char *out, rf_error *err) {
    struct stat a, b;
    if (strcmp(in, out) != 0 &&
        (stat(in, &a) != 0 || stat(out, &b) != 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino))
        return RF_OK;
    return rf_fail(err, RF_ERR_USAGE,
                   "found output \"%s\" to be the input \"%s\", expected another file", out, in);
}

rf_status rf_check_parts_apart(const rf_gguf *in, const char *out, rf_error *err) {
    uint32_t i_file = UINT32_MAX;
    RF_TRY(rf_check_apart(rf_gguf_path(in), out, err));
    for (size_t i = 0; i < rf_gguf_n_tensors(in); i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(in, i);
        const char *path = tensor->i_file != i_file ? rf_gguf_path_at(tensor->data) : NULL;
        i_file = tensor->i_file;
        if (path)
            RF_TRY(rf_check_apart(path, out, err));
    }
    return RF_OK;
}

rf_status rf_copy_keys(const rf_options *options, const rf_gguf *in, rf_gguf_writer *writer,
                       rf_error *err) {
    const rf_option_value *edits = &options->values[RF_OPT_SET];
    for (size_t i = 0; i < rf_gguf_n_keys(in); i++) {
        const rf_gguf_key *key = rf_gguf_key_at(in, i);
        if (!rf_str_starts(key->name, RF_STR("split.")))
            rf_gguf_writer_copy_key(writer, key);
    }
    for (size_t i = 0; i < edits->n_list; i++)
        RF_TRY(rf_edit_key(edits->list[i], in, writer, err));
    return RF_OK;
}

void rf_copy_tensor(rf_gguf_writer *writer, const rf_gguf_tensor *tensor) {
    rf_gguf_writer_tensor(writer, tensor->name, tensor->type_id, tensor->n_dims, tensor->ne,
                          tensor->data, tensor->bytes);
}
