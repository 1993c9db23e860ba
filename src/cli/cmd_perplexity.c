#include <math.h>
#include <stdio.h>

#include "cli/file_input.h"
#include "cli/output.h"
#include "cli/session.h"

enum { TEXT_MAX_BYTES = 1 << 30, DEFAULT_WINDOW = 512 };

/*
 * llama.cpp's measure: the text is cut into windows of n_ctx tokens that do not overlap; where the
 * vocabulary adds a BOS, it stands in the place of each window's first token (llama.cpp puts one
 * more in front of the text, which moves its windows by a token); rows n_ctx / 2 to
 * n_ctx - 2 are scored on the token that follows each.
 */
typedef struct measure {
    rf_session session;
    rf_buf text;
    rf_tokens tokens;
    double sum, sum_squares;
    size_t n_scored;
    json_t *running; /* perplexity after each window */
} measure;

static rf_status take_scores(void *user, const rf_event *event, bool *enough, rf_error *err) {
    measure *m = user;
    uint32_t n_ctx = m->session.n_ctx;
    (void)enough;
    (void)err;
    for (uint32_t i = 0; event->scores && i < n_ctx - n_ctx / 2 - 1; i++) {
        double value = -(double)event->scores[i].logprob;
        m->sum += value;
        m->sum_squares += value * value;
        m->n_scored++;
    }
    return RF_OK;
}

static rf_status run_window(measure *m, int32_t *window, rf_error *err) {
    const rf_token_roles *roles = rf_tokenizer_roles(m->session.tokenizer);
    if (roles->add_bos && roles->bos >= 0)
        window[0] = roles->bos;
    rf_request request = {.kind = RF_REQUEST_SCORE,
                          .tokens = window,
                          .n_tokens = m->session.n_ctx,
                          .keeps_private = true,
                          .scores_from = m->session.n_ctx / 2 + 1};
    return rf_session_run(&m->session, &request, 1, take_scores, m, err);
}

/* Deviation of the perplexity that the spread of the scores implies. */
static double deviation(const measure *m) {
    double n = (double)m->n_scored, mean = m->sum / n;
    double variance = m->sum_squares / n - mean * mean;
    return variance > 0 && n > 1 ? exp(mean) * sqrt(variance / (n - 1)) : 0;
}

static rf_status print(const measure *m, size_t n_windows, bool json, rf_error *err) {
    double perplexity = exp(m->sum / (double)m->n_scored);
    if (!json) {
        rf_out_printf("perplexity %.4f +/- %.4f over %zu windows of %u tokens (%zu scored)\n",
                      perplexity, deviation(m), n_windows, m->session.n_ctx, m->n_scored);
        return RF_OK;
    }
    bool ok = true;
    json_t *object = json_object();
    rf_json_set(object, "perplexity", json_real(perplexity), &ok);
    rf_json_set(object, "deviation", json_real(deviation(m)), &ok);
    rf_json_set(object, "windows", json_integer((json_int_t)n_windows), &ok);
    rf_json_set(object, "window", json_integer(m->session.n_ctx), &ok);
    rf_json_set(object, "scored", json_integer((json_int_t)m->n_scored), &ok);
    rf_json_set(object, "running", json_incref(m->running), &ok);
    if (ok)
        rf_out_json(object, 0);
    json_decref(object);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the JSON");
}

static rf_status run_windows(rf_cli *cli, measure *m, rf_error *err) {
    size_t n_windows = m->tokens.n / m->session.n_ctx;
    int64_t asked = rf_opt_int(&cli->options, RF_OPT_CHUNKS);
    if (asked >= 0 && (size_t)asked < n_windows)
        n_windows = (size_t)asked;
    if (n_windows == 0) {
        rf_cli_hint(cli, "a longer text, or a shorter window (-c %zu)", m->tokens.n);
        return rf_fail(err, RF_ERR_USAGE,
                       "the text has %zu tokens, expected at least one window of %u", m->tokens.n,
                       m->session.n_ctx);
    }
    for (size_t w = 0; w < n_windows; w++) {
        bool ok = true;
        RF_TRY(run_window(m, m->tokens.ids + w * m->session.n_ctx, err));
        double running = exp(m->sum / (double)m->n_scored);
        rf_json_add(m->running, json_real(running), &ok);
        if (!ok)
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the results");
        if (!rf_opt_on(&cli->options, RF_OPT_QUIET))
            rf_note("window %zu of %zu: %.4f", w + 1, n_windows, running);
    }
    return print(m, n_windows, rf_opt_on(&cli->options, RF_OPT_JSON), err);
}

static rf_status run(rf_cli *cli, measure *m, rf_error *err) {
    const char *path = rf_opt_text(&cli->options, RF_OPT_FILE);
    if (!path) {
        rf_cli_hint(cli, "rocmforge perplexity -m model.gguf -f text.txt");
        return rf_fail(err, RF_ERR_USAGE, "perplexity: found no text, expected --file FILE");
    }
    m->session.wants_all_rows = true;
    m->session.default_ctx = DEFAULT_WINDOW;
    RF_TRY(rf_session_open(cli, &m->session, true, err));
    if (m->session.n_ctx < 4)
        return rf_fail(err, RF_ERR_USAGE, "--ctx-size: found %u, expected at least 4",
                       m->session.n_ctx);
    RF_TRY(rf_input_read(path, &m->text, err));
    rf_encode_options encode = {.add_special = false};
    if (rf_tokenizer_encode(m->session.tokenizer, rf_buf_view(&m->text), encode, &m->tokens, err) !=
        RF_OK)
        return rf_fail_prefix(err, "%s", path);
    m->running = json_array();
    if (!m->running)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the results");
    RF_TRY(rf_session_start(cli, &m->session, err));
    return run_windows(cli, m, err);
}

rf_status rf_cmd_perplexity(rf_cli *cli, rf_error *err) {
    measure m = {0};
    rf_buf_init(&m.text, TEXT_MAX_BYTES);
    rf_status status = run(cli, &m, err);
    json_decref(m.running);
    rf_tokens_deinit(&m.tokens);
    rf_buf_deinit(&m.text);
    rf_session_close(&m.session);
    return status;
}
