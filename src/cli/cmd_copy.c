#include "cli/cli.h"
#include "cli/gguf_copy.h"
#include "cli/output.h"

static rf_status copy(const rf_options *options, const rf_gguf *in, rf_gguf_writer *writer,
                      rf_error *err) {
    const char *path = options->args[1];
    char size[RF_SIZE_TEXT_BYTES];
    RF_TRY(rf_check_parts_apart(in, path, err));
    RF_TRY(rf_copy_keys(options, in, writer, err));
    for (size_t i = 0; i < rf_gguf_n_tensors(in); i++)
        rf_copy_tensor(writer, rf_gguf_tensor_at(in, i));
    RF_TRY(rf_gguf_writer_finish(writer, path, err));
    if (!rf_opt_on(options, RF_OPT_QUIET))
        rf_note("%s: %zu tensors, %s, from %u file%s", path, rf_gguf_n_tensors(in),
                rf_size_text(rf_gguf_file_bytes(in), size), rf_gguf_n_files(in),
                rf_gguf_n_files(in) == 1 ? "" : "s");
    return RF_OK;
}

/* A split file becomes whole, so `merge` is the same. */
rf_status rf_cmd_copy(rf_cli *cli, rf_error *err) {
    const rf_options *options = &cli->options;
    rf_gguf *in = NULL;
    rf_gguf_writer *writer = NULL;
    RF_TRY(rf_gguf_open(options->args[0], NULL, &in, err));
    rf_status status = rf_gguf_writer_create((uint32_t)rf_gguf_alignment(in), &writer, err);
    if (status == RF_OK)
        status = copy(options, in, writer, err);
    rf_gguf_writer_destroy(writer);
    rf_gguf_close(in);
    return status;
}
