#include <string.h>

#include "base/alloc.h"
#include "cli/file_input.h"
#include "cli/output.h"
#include "cli/session.h"

/* Texts that are with the engine at once: short ones share its steps. */
enum { TEXT_MAX_BYTES = 64 << 20, N_TOGETHER = 16 };

typedef struct text {
    rf_tokens tokens; /* owned */
    json_t *vector;   /* owned; NULL until it is there */
    rf_error err;     /* why there is none */
} text;

typedef struct job {
    rf_cli *cli;
    rf_session session;
    rf_buf source;          /* the prompt, or a line */
    text texts[N_TOGETHER]; /* those that are together */
    size_t n_texts;
    text *asked[N_TOGETHER]; /* those of them that the engine has, in the order of the requests */
} job;

static void forget_texts(job *j) {
    for (size_t i = 0; i < j->n_texts; i++) {
        rf_tokens_deinit(&j->texts[i].tokens);
        json_decref(j->texts[i].vector);
    }
    j->n_texts = 0;
}

static rf_status tokenize(job *j, rf_str source, text *t, rf_error *err) {
    rf_encode_options encode = {.add_special = true};
    RF_TRY(rf_tokenizer_encode(j->session.tokenizer, source, encode, &t->tokens, err));
    if (t->tokens.n == 0)
        return rf_fail(err, RF_ERR_INVALID, "the text has no tokens, expected at least one");
    if (t->tokens.n > j->session.n_ctx)
        return rf_fail(err, RF_ERR_LIMIT, "the text has %zu tokens, expected at most %u (-c)",
                       t->tokens.n, j->session.n_ctx);
    return RF_OK;
}

static rf_status take_vector(void *user, const rf_event *event, bool *enough, rf_error *err) {
    job *j = user;
    bool ok = true;
    (void)enough;
    if (!event->embedding)
        return RF_OK;
    json_t *vector = json_array();
    uint32_t n_embd = rf_model_program(j->session.model)->n_embd;
    for (uint32_t i = 0; i < n_embd; i++)
        rf_json_add(vector, json_real((double)event->embedding[i]), &ok);
    j->asked[event->id]->vector = vector;
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a vector");
}

/* Lets the engine have all texts that could be tokenised. */
static rf_status run_texts(job *j, rf_error *err) {
    rf_request requests[N_TOGETHER] = {0};
    size_t n = 0;
    for (size_t i = 0; i < j->n_texts; i++) {
        text *t = &j->texts[i];
        if (t->err.code != RF_OK)
            continue;
        j->asked[n] = t;
        requests[n++] = (rf_request){
            .kind = RF_REQUEST_EMBED,
            .tokens = t->tokens.ids,
            .n_tokens = (uint32_t)t->tokens.n,
            .pooling = (rf_pooling)rf_opt_int(&j->cli->options, RF_OPT_POOLING),
            .normalise = rf_opt_on(&j->cli->options, RF_OPT_NORMALIZE),
        };
    }
    return rf_session_run(&j->session, requests, n, take_vector, j, err);
}

static rf_status print_text(const text *t, rf_error *err) {
    bool ok = true;
    json_t *out = json_object();
    if (t->vector) {
        rf_json_set(out, "embedding", json_incref(t->vector), &ok);
        rf_json_set(out, "tokens", json_integer((json_int_t)t->tokens.n), &ok);
    } else {
        rf_json_set(out, "error", rf_json_str(rf_str_of(t->err.text)), &ok);
    }
    if (ok)
        rf_out_json(out, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(out);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a vector");
}

static rf_status embed_line(job *j, text *t) {
    json_error_t where;
    json_t *object = json_loadb(j->source.data ? j->source.data : "", j->source.len, 0, &where);
    const json_t *source = json_object_get(object, "text");
    rf_status status;
    if (!json_is_string(source))
        status = rf_fail(&t->err, RF_ERR_INVALID, "%s",
                         object ? "expected an object with \"text\"" : where.text);
    else
        status = tokenize(j, (rf_str){json_string_value(source), json_string_length(source)}, t,
                          &t->err);
    json_decref(object);
    return status;
}

static rf_status run_jsonl(job *j, rf_error *err) {
    rf_status status = RF_OK;
    size_t n_lines = 0, n_failed = 0;
    for (bool more = true; more && status == RF_OK;) {
        while (j->n_texts < N_TOGETHER && (more = rf_input_line(&j->source, &status, err))) {
            text *t = &j->texts[j->n_texts++];
            *t = (text){0};
            n_lines++;
            n_failed += embed_line(j, t) != RF_OK;
        }
        if (status == RF_OK)
            status = run_texts(j, err);
        for (size_t i = 0; i < j->n_texts && status == RF_OK; i++)
            status = print_text(&j->texts[i], err);
        if (status == RF_OK)
            status = rf_out_flush(err);
        forget_texts(j);
    }
    if (status == RF_OK && n_failed > 0)
        return rf_fail(err, RF_ERR_INVALID, "%zu of %zu lines could not be used", n_failed,
                       n_lines);
    return status;
}

static rf_status run_prompt(job *j, rf_error *err) {
    RF_TRY(rf_input_prompt(j->cli, &j->source, err));
    RF_TRY(rf_session_start(j->cli, &j->session, err));
    j->texts[0] = (text){0};
    j->n_texts = 1;
    RF_TRY(tokenize(j, rf_buf_view(&j->source), &j->texts[0], err));
    RF_TRY(run_texts(j, err));
    if (rf_opt_on(&j->cli->options, RF_OPT_JSON))
        return print_text(&j->texts[0], err);
    rf_out_json(j->texts[0].vector, JSON_COMPACT | JSON_REAL_PRECISION(9));
    return RF_OK;
}

static rf_status run(job *j, rf_error *err) {
    bool many = rf_opt_on(&j->cli->options, RF_OPT_JSONL);
    j->session.max_seqs = many ? N_TOGETHER : 1;
    RF_TRY(rf_session_open(j->cli, &j->session, true, err));
    if (many) {
        RF_TRY(rf_session_start(j->cli, &j->session, err));
        return run_jsonl(j, err);
    }
    return run_prompt(j, err);
}

rf_status rf_cmd_embed(rf_cli *cli, rf_error *err) {
    job j = {.cli = cli};
    rf_buf_init(&j.source, TEXT_MAX_BYTES);
    rf_status status = run(&j, err);
    if (status == RF_OK)
        status = rf_out_flush(err);
    forget_texts(&j);
    rf_buf_deinit(&j.source);
    rf_session_close(&j.session);
    return status;
}
