#include <math.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "cli/file_input.h"
#include "cli/logits_compare.h"
#include "cli/output.h"
#include "cli/session.h"
#include "gguf/writer.h"

enum { PROMPT_MAX_BYTES = 64 << 20, F32_ID = 0 };

typedef struct job {
    rf_cli *cli;
    rf_session session;
    rf_gguf *expected;            /* of --compare, or NULL */
    const rf_gguf_tensor *wanted; /* its logits */
    int32_t *ids;                 /* owned */
    size_t n_ids;
    bool from_prompt; /* the tokenizer makes the ids */
    float *logits;    /* owned; [n_ids][n_vocab] */
} job;

static void release(job *j) {
    rf_free(j->logits);
    rf_free(j->ids);
    rf_gguf_close(j->expected);
    rf_session_close(&j->session);
}

static rf_status no_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the logits");
}

/* Opens the file of expected logits; its tokens are the ids unless others were given. */
static rf_status open_expected(job *j, const char *path, rf_error *err) {
    const rf_gguf_key *tokens;
    RF_TRY(rf_gguf_open(path, NULL, &j->expected, err));
    j->wanted = rf_gguf_find_tensor(j->expected, RF_STR("logits"));
    if (!j->wanted || j->wanted->type_id != F32_ID || j->wanted->n_dims > 2)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: found %s, expected the tensor logits of type f32 with two dimensions",
                       path, j->wanted ? "another type or shape" : "no such tensor");
    if (j->ids || j->from_prompt)
        return RF_OK;
    RF_TRY(rf_gguf_get_array(j->expected, "golden.tokens", RF_GGUF_I32, &tokens, err));
    j->ids = rf_calloc(tokens->n_items ? tokens->n_items : 1, sizeof *j->ids);
    if (!j->ids)
        return no_memory(err);
    for (; j->n_ids < tokens->n_items; j->n_ids++)
        j->ids[j->n_ids] = (int32_t)rf_gguf_item_int(tokens, j->n_ids);
    return RF_OK;
}

static rf_status tokens_of_prompt(job *j, rf_error *err) {
    rf_buf text;
    rf_tokens tokens = {0};
    rf_buf_init(&text, PROMPT_MAX_BYTES);
    rf_status status = rf_tokenizer_create(j->session.gguf, &j->session.tokenizer, err);
    if (status == RF_OK)
        status = rf_input_prompt(j->cli, &text, err);
    if (status == RF_OK) {
        rf_encode_options encode = {.add_special = true, .parse_special = true};
        status =
            rf_tokenizer_encode(j->session.tokenizer, rf_buf_view(&text), encode, &tokens, err);
    }
    rf_buf_deinit(&text);
    j->ids = tokens.ids;
    j->n_ids = tokens.n;
    return status;
}

/* Ids that stand on the command line or in the file to compare with. Their number is the context:
 * LongRoPE depends on it, and golden logits are of the sequence as it stands. */
static rf_status given_ids(job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    const char *list = rf_opt_text(options, RF_OPT_IDS);
    const char *expected = rf_opt_text(options, RF_OPT_COMPARE);
    bool prompt = rf_opt_given(options, RF_OPT_PROMPT) || rf_opt_given(options, RF_OPT_FILE);
    if (list && prompt)
        return rf_fail(err, RF_ERR_USAGE, "found --ids and a prompt, expected one of them");
    if (list)
        RF_TRY(rf_input_ids(list, "--ids", &j->ids, &j->n_ids, err));
    j->from_prompt = !list && (prompt || !expected);
    if (expected)
        RF_TRY(open_expected(j, expected, err));
    j->session.default_ctx = j->n_ids <= UINT32_MAX ? (uint32_t)j->n_ids : 0;
    return RF_OK;
}

static rf_status choose_ids(job *j, rf_error *err) {
    const char *expected = rf_opt_text(&j->cli->options, RF_OPT_COMPARE);
    if (j->from_prompt)
        RF_TRY(tokens_of_prompt(j, err));
    uint32_t n_vocab = rf_session_n_vocab(&j->session);
    for (size_t i = 0; i < j->n_ids; i++) {
        if (j->ids[i] < 0 || (uint32_t)j->ids[i] >= n_vocab)
            return rf_fail(err, RF_ERR_USAGE,
                           "token %zu is %d, expected an id below the vocabulary of %u", i,
                           j->ids[i], n_vocab);
    }
    if (j->n_ids == 0)
        return rf_fail(err, RF_ERR_USAGE, "found no tokens, expected at least one");
    if (j->n_ids > j->session.n_ctx)
        return rf_fail(err, RF_ERR_LIMIT, "found %zu tokens, expected at most the context of %u",
                       j->n_ids, j->session.n_ctx);
    if (j->wanted && (j->wanted->ne[0] != n_vocab || j->wanted->ne[1] != j->n_ids))
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: logits are %llu x %llu, expected %u x %zu (vocabulary x tokens)",
                       expected, (unsigned long long)j->wanted->ne[0],
                       (unsigned long long)j->wanted->ne[1], n_vocab, j->n_ids);
    return RF_OK;
}

/* The main thread waits meanwhile. */
static void keep_row(void *user, uint64_t id, uint32_t position, const float *logits,
                     const float *hidden) {
    job *j = user;
    size_t n_vocab = rf_session_n_vocab(&j->session);
    (void)id;
    (void)hidden;
    memcpy(j->logits + position * n_vocab, logits, n_vocab * sizeof *logits);
}

static rf_status write_file(const job *j, const char *path, rf_error *err) {
    rf_gguf_writer *writer = NULL;
    uint64_t n_vocab = rf_session_n_vocab(&j->session), ne[2] = {n_vocab, j->n_ids};
    RF_TRY(rf_gguf_writer_create(0, &writer, err));
    rf_gguf_writer_str(writer, "general.architecture", RF_STR("golden"));
    rf_gguf_writer_array(writer, "golden.tokens", RF_GGUF_I32, j->ids, j->n_ids);
    rf_gguf_writer_tensor(writer, RF_STR("logits"), F32_ID, 2, ne, j->logits,
                          n_vocab * j->n_ids * sizeof *j->logits);
    rf_status status = rf_gguf_writer_finish(writer, path, err);
    rf_gguf_writer_destroy(writer);
    return status;
}

static void set_real(json_t *object, const char *key, double value, bool *ok) {
    rf_json_set(object, key, isfinite(value) ? json_real(value) : json_null(), ok);
}

static rf_status compare(const job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    rf_logits_distance d =
        rf_logits_compare(j->logits, j->wanted->data, j->n_ids, rf_session_n_vocab(&j->session));
    if (rf_opt_on(options, RF_OPT_JSON)) {
        bool ok = true;
        json_t *object = json_object();
        set_real(object, "relative_error", d.relative_error, &ok);
        set_real(object, "max_error", d.max_error, &ok);
        set_real(object, "mean_kl", d.mean_kl, &ok);
        rf_json_set(object, "rows", json_integer((json_int_t)d.n_rows), &ok);
        rf_json_set(object, "same_best", json_integer((json_int_t)d.n_same_best), &ok);
        if (ok)
            rf_out_json(object, 0);
        json_decref(object);
        if (!ok)
            return no_memory(err);
    } else {
        rf_out_printf("relative error %.3g, same best token in %zu of %zu rows, mean KL %.3g, "
                      "largest error %.3g\n",
                      d.relative_error, d.n_same_best, d.n_rows, d.mean_kl, d.max_error);
    }
    double tolerance = rf_opt_real(options, RF_OPT_TOLERANCE);
    if (rf_opt_given(options, RF_OPT_TOLERANCE) && !(d.relative_error <= tolerance))
        return rf_fail(err, RF_ERR_INVALID, "relative error %.3g, expected at most %.3g",
                       d.relative_error, tolerance);
    return RF_OK;
}

static void print_best(const job *j) {
    uint32_t n_vocab = rf_session_n_vocab(&j->session);
    for (size_t r = 0; r < j->n_ids; r++) {
        const float *row = j->logits + r * n_vocab;
        uint32_t best = 0;
        for (uint32_t i = 1; i < n_vocab; i++)
            best = row[i] > row[best] ? i : best;
        rf_out_printf("row %zu after token %d: best %u with %.6f\n", r, j->ids[r], best,
                      (double)row[best]);
    }
}

static rf_status run(job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    const char *path = rf_opt_text(options, RF_OPT_OUTPUT);
    if (rf_opt_given(options, RF_OPT_TOLERANCE) && !rf_opt_given(options, RF_OPT_COMPARE))
        return rf_fail(err, RF_ERR_USAGE, "--tolerance: expected --compare FILE beside it");
    j->session.wants_all_rows = true;
    j->session.on_row = keep_row;
    j->session.user = j;
    RF_TRY(given_ids(j, err));
    RF_TRY(rf_session_open(j->cli, &j->session, false, err));
    RF_TRY(choose_ids(j, err));
    size_t n_floats, n_bytes;
    if (!rf_mul_size(j->n_ids, rf_session_n_vocab(&j->session), &n_floats) ||
        !rf_mul_size(n_floats, sizeof *j->logits, &n_bytes))
        return no_memory(err);
    j->logits = rf_alloc(n_bytes);
    if (!j->logits)
        return no_memory(err);
    RF_TRY(rf_session_start(j->cli, &j->session, err));
    rf_request request = {
        .kind = RF_REQUEST_ROWS, .tokens = j->ids, .n_tokens = (uint32_t)j->n_ids};
    RF_TRY(rf_session_run(&j->session, &request, 1, NULL, NULL, err));
    if (path)
        RF_TRY(write_file(j, path, err));
    if (j->wanted)
        return compare(j, err);
    if (!path)
        print_best(j);
    return RF_OK;
}

rf_status rf_cmd_logits(rf_cli *cli, rf_error *err) {
    job j = {.cli = cli};
    rf_status status = run(&j, err);
    release(&j);
    return status;
}
