#include "cli/file_input.h"
#include "cli/gguf_copy.h"
#include "cli/output.h"
#include "cli/session.h"
#include "model/imatrix_sums.h"

enum { TEXT_MAX_BYTES = 1 << 30, DEFAULT_CHUNK = 512 };
static const char default_path[] = "imatrix.gguf";

/*
 * As llama.cpp's imatrix: the text is cut into chunks of n_ctx tokens that do not overlap, each a
 * sequence of its own; where the vocabulary adds a BOS, it stands in front of the text and in the
 * place of each chunk's first token.
 */
typedef struct collecting {
    rf_session session;
    rf_buf text;
    rf_tokens tokens;
    rf_imatrix_sums *sums;
    bool with_output;
} collecting;

static rf_status run_chunk(collecting *c, int32_t *chunk, rf_error *err) {
    const rf_token_roles *roles = rf_tokenizer_roles(c->session.tokenizer);
    uint32_t n_ctx = c->session.n_ctx;
    if (roles->add_bos && roles->bos >= 0)
        chunk[0] = roles->bos;
    rf_request request = {.kind = RF_REQUEST_ROWS,
                          .tokens = chunk,
                          .n_tokens = n_ctx,
                          .keeps_private = true, /* every token is to be seen */
                          .rows_from = c->with_output ? 0 : n_ctx - 1};
    return rf_session_run(&c->session, &request, 1, NULL, NULL, err);
}

static rf_status run_chunks(rf_cli *cli, collecting *c, const char *out, rf_error *err) {
    const rf_options *options = &cli->options;
    uint32_t n_ctx = c->session.n_ctx;
    size_t n_chunks = c->tokens.n / n_ctx;
    int64_t asked = rf_opt_int(options, RF_OPT_CHUNKS);
    if (asked == 0)
        return rf_fail(err, RF_ERR_USAGE, "--chunks: found 0, expected at least 1, or -1 for all");
    if (n_chunks == 0) {
        rf_cli_hint(cli, "a longer text, or a shorter chunk (-c %zu)", c->tokens.n);
        return rf_fail(err, RF_ERR_USAGE,
                       "the text has %zu tokens, expected at least one chunk of %u", c->tokens.n,
                       n_ctx);
    }
    if (asked > 0 && (size_t)asked < n_chunks)
        n_chunks = (size_t)asked;
    RF_TRY(
        rf_imatrix_sums_create(rf_model_program(c->session.model), c->with_output, &c->sums, err));
    c->session.observer = rf_imatrix_sums_observer(c->sums);
    RF_TRY(rf_session_start(cli, &c->session, err));
    bool quiet = rf_opt_on(options, RF_OPT_QUIET);
    if (!quiet)
        rf_progress_begin("collecting");
    rf_status status = RF_OK;
    for (size_t i = 0; i < n_chunks && status == RF_OK; i++) {
        status = run_chunk(c, c->tokens.ids + i * n_ctx, err);
        rf_progress_update(c->text.len * (i + 1) * n_ctx / c->tokens.n,
                           c->text.len * n_chunks * n_ctx / c->tokens.n);
    }
    rf_progress_end();
    RF_TRY(status);
    rf_imatrix_source source = {.dataset = rf_str_of(rf_opt_text(options, RF_OPT_FILE)),
                                .n_chunks = (uint32_t)n_chunks,
                                .chunk_tokens = n_ctx};
    RF_TRY(rf_imatrix_sums_write(c->sums, &source, out, err));
    if (!quiet)
        rf_note("%s: %zu chunks of %u tokens", out, n_chunks, n_ctx);
    return RF_OK;
}

static rf_status run(rf_cli *cli, collecting *c, rf_error *err) {
    const rf_options *options = &cli->options;
    const char *path = rf_opt_text(options, RF_OPT_FILE);
    const char *model = rf_opt_text(options, RF_OPT_MODEL);
    const char *out = rf_opt_text(options, RF_OPT_OUTPUT);
    out = out ? out : default_path;
    if (!path) {
        rf_cli_hint(cli, "rocmforge imatrix -m model.gguf -f text.txt -o imatrix.gguf");
        return rf_fail(err, RF_ERR_USAGE, "imatrix: found no text, expected --file FILE");
    }
    c->with_output = rf_opt_on(options, RF_OPT_PROCESS_OUTPUT);
    c->session.wants_all_rows = c->with_output;
    c->session.default_ctx = DEFAULT_CHUNK;
    RF_TRY(rf_check_apart(path, out, err));
    if (model)
        RF_TRY(rf_check_apart(model, out, err));
    RF_TRY(rf_session_open(cli, &c->session, true, err));
    RF_TRY(rf_check_parts_apart(c->session.gguf, out, err));
    RF_TRY(rf_input_read(path, &c->text, err));
    rf_encode_options encode = {.add_special = true};
    if (rf_tokenizer_encode(c->session.tokenizer, rf_buf_view(&c->text), encode, &c->tokens, err) !=
        RF_OK)
        return rf_fail_prefix(err, "%s", path);
    return run_chunks(cli, c, out, err);
}

rf_status rf_cmd_imatrix(rf_cli *cli, rf_error *err) {
    collecting c = {0};
    rf_buf_init(&c.text, TEXT_MAX_BYTES);
    rf_status status = run(cli, &c, err);
    rf_imatrix_sums_destroy(c.sums); /* reads the model's program */
    rf_session_close(&c.session);
    rf_tokens_deinit(&c.tokens);
    rf_buf_deinit(&c.text);
    return status;
}
