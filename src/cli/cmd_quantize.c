#include "base/alloc.h"
#include "base/cpu_features.h"
#include "cli/cli.h"
#include "cli/gguf_copy.h"
#include "cli/output.h"
#include "cli/requantize.h"

enum { QUANTIZATION_VERSION = 2 }; /* of the block formats, as ggml counts them */

typedef struct quantizing {
    rf_gguf *in;
    rf_imatrix *imatrix;
    rf_mix_choice *choices; /* owned */
    rf_gguf_writer *writer;
    const char *path; /* of the output */
    rf_mix_options mix;
} quantizing;

static rf_status parse_type(rf_cli *cli, const char *text, rf_mix *out, rf_error *err) {
    if (rf_mix_parse(rf_str_of(text), out, err) == RF_OK)
        return RF_OK;
    rf_cli_hint(cli, "rocmforge quantize in.gguf out.gguf Q4_K_M");
    return rf_fail_prefix(err, "quantize");
}

static bool falls_back(const quantizing *job, size_t i) {
    return !job->choices[i].keep && job->choices[i].type != job->choices[i].want;
}

/* One line for tensors of the same types and row length, at the first of them. */
static void note_fallback(const quantizing *job, size_t i) {
    const rf_gguf_tensor *first = rf_gguf_tensor_at(job->in, i);
    const rf_mix_choice *choice = &job->choices[i];
    size_t n_alike = 0;
    for (size_t k = 0; k < rf_gguf_n_tensors(job->in); k++) {
        bool alike = falls_back(job, k) && job->choices[k].type == choice->type &&
                     job->choices[k].want == choice->want &&
                     rf_gguf_tensor_at(job->in, k)->ne[0] == first->ne[0];
        if (alike && k < i)
            return;
        n_alike += alike;
    }
    rf_note("rows of %llu do not divide by %u: %s instead of %s for %zu tensor%s, as %.*s",
            (unsigned long long)first->ne[0], rf_qtype_get(choice->want)->block_weights,
            rf_qtype_get(choice->type)->name, rf_qtype_get(choice->want)->name, n_alike,
            n_alike == 1 ? "" : "s", RF_STR_ARG(first->name));
}

static rf_status check_tensors(const quantizing *job, bool allow_requantize, rf_error *err) {
    for (size_t i = 0; i < rf_gguf_n_tensors(job->in); i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(job->in, i);
        const rf_mix_choice *choice = &job->choices[i];
        rf_qtype from;
        if (choice->keep || !rf_qtype_from_gguf(tensor->type_id, &from))
            continue;
        if (rf_qtype_get(from)->block_weights > 1 && from != choice->type && !allow_requantize)
            return rf_fail(err, RF_ERR_UNSUPPORTED,
                           "%s: tensor \"%.*s\": found %s, which is quantised already, expected "
                           "F32, F16 or BF16",
                           rf_gguf_path(job->in), RF_STR_ARG(tensor->name),
                           rf_qtype_get(from)->name);
    }
    for (size_t i = 0; i < rf_gguf_n_tensors(job->in); i++)
        if (falls_back(job, i))
            note_fallback(job, i);
    return RF_OK;
}

static void note_imatrix(const quantizing *job, const char *path) {
    rf_gguf_writer_str(job->writer, "quantize.imatrix.file", rf_str_of(path));
    if (rf_imatrix_dataset(job->imatrix).len > 0)
        rf_gguf_writer_str(job->writer, "quantize.imatrix.dataset",
                           rf_imatrix_dataset(job->imatrix));
    rf_gguf_writer_u32(job->writer, "quantize.imatrix.entries_count",
                       (uint32_t)rf_imatrix_n_entries(job->imatrix));
    rf_gguf_writer_u32(job->writer, "quantize.imatrix.chunks_count",
                       rf_imatrix_n_chunks(job->imatrix));
}

static void summarise(const quantizing *job) {
    uint64_t before = 0, after = 0, n_weights = 0;
    char a[RF_SIZE_TEXT_BYTES], b[RF_SIZE_TEXT_BYTES];
    for (size_t i = 0; i < rf_gguf_n_tensors(job->in); i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(job->in, i);
        before += tensor->bytes;
        after += rf_requantize_bytes(tensor, &job->choices[i]);
        n_weights += tensor->n_elements;
    }
    rf_note("%s: %s, %s of weights from %s, %.2f bits a weight", job->path,
            rf_mix_name(job->mix.mix), rf_size_text(after, a), rf_size_text(before, b),
            n_weights ? 8.0 * (double)after / (double)n_weights : 0.0);
}

static rf_status prepare(rf_cli *cli, quantizing *job, rf_error *err) {
    const rf_options *options = &cli->options;
    const char *imatrix = rf_opt_text(options, RF_OPT_IMATRIX);
    RF_TRY(rf_check_apart(options->args[0], job->path, err));
    RF_TRY(rf_gguf_open(options->args[0], NULL, &job->in, err));
    RF_TRY(rf_check_parts_apart(job->in, job->path, err));
    if (imatrix) {
        RF_TRY(rf_check_apart(imatrix, job->path, err));
        RF_TRY(rf_imatrix_open(imatrix, &job->imatrix, err));
    }
    job->mix.has_imatrix = imatrix != NULL;
    job->choices = rf_calloc(rf_gguf_n_tensors(job->in) + 1, sizeof *job->choices);
    if (!job->choices)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for the list of tensors");
    RF_TRY(rf_mix_choose(job->in, &job->mix, job->choices, err));
    rf_status checked = check_tensors(job, rf_opt_on(options, RF_OPT_ALLOW_REQUANTIZE), err);
    if (checked == RF_ERR_UNSUPPORTED)
        rf_cli_hint(cli, "rocmforge quantize --allow-requantize, which decodes it: errors add up");
    RF_TRY(checked);
    RF_TRY(rf_gguf_writer_create((uint32_t)rf_gguf_alignment(job->in), &job->writer, err));
    RF_TRY(rf_copy_keys(options, job->in, job->writer, err));
    rf_gguf_writer_u32(job->writer, "general.quantization_version", QUANTIZATION_VERSION);
    rf_gguf_writer_u32(job->writer, "general.file_type", rf_mix_file_type(job->mix.mix));
    if (imatrix)
        note_imatrix(job, imatrix);
    return RF_OK;
}

static rf_status quantize(rf_cli *cli, quantizing *job, rf_error *err) {
    const rf_options *options = &cli->options;
    bool quiet = rf_opt_on(options, RF_OPT_QUIET);
    RF_TRY(prepare(cli, job, err));
    int64_t n_threads = rf_opt_int(options, RF_OPT_THREADS);
    rf_requantize_job run = {.in = job->in,
                             .choices = job->choices,
                             .imatrix = job->imatrix,
                             .n_threads =
                                 n_threads ? (uint32_t)n_threads : (uint32_t)rf_cpu_count()};
    if (!quiet)
        rf_progress_begin("quantising");
    rf_status status = rf_requantize(&run, job->writer, job->path, err);
    rf_progress_end();
    if (status == RF_OK && !quiet)
        summarise(job);
    return status;
}

rf_status rf_cmd_quantize(rf_cli *cli, rf_error *err) {
    const rf_options *options = &cli->options;
    quantizing job = {.path = options->args[1]};
    job.mix.pure = rf_opt_on(options, RF_OPT_PURE);
    RF_TRY(parse_type(cli, options->args[2], &job.mix.mix, err));
    rf_status status = quantize(cli, &job, err);
    rf_gguf_writer_destroy(job.writer);
    rf_free(job.choices);
    rf_imatrix_close(job.imatrix);
    rf_gguf_close(job.in);
    return status;
}
