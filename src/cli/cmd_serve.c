#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/conversation.h"
#include "cli/file_input.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/sampling.h"
#include "cli/service.h"
#include "server/server.h"

enum {
    KEYS_BYTES = 1 << 20,
    TLS_BYTES = 1 << 20,
    ADDRESS_BYTES = 160,
    POLL_NS = 100000000,
    POOL_SEQUENCES = 4
};

/* One run of the command; what it owns is freed by release. */
typedef struct job {
    rf_cli *cli;
    rf_session session;
    rf_sampling sampling;
    rf_conversation conversation; /* for its template */
    rf_api_keys keys[2];          /* those in use are keys[i_keys] */
    int i_keys;
    rf_buf tls_key, tls_cert;    /* PEM, each with a NUL at its end; or empty */
    char address[ADDRESS_BYTES]; /* of --host and --port */
    const char *addresses[1];
    rf_server *server;
} job;

static void release(job *j) {
    rf_server_destroy(j->server);
    rf_session_close(&j->session);
    rf_conversation_deinit(&j->conversation);
    rf_sampling_deinit(&j->sampling);
    rf_api_keys_deinit(&j->keys[0]);
    rf_api_keys_deinit(&j->keys[1]);
    if (j->tls_key.data)
        explicit_bzero(j->tls_key.data, j->tls_key.cap);
    rf_buf_deinit(&j->tls_key);
    rf_buf_deinit(&j->tls_cert);
}

static rf_status read_pem(const char *path, const char *kind, rf_buf *out, rf_error *err) {
    RF_TRY(rf_input_read(path, out, err));
    rf_buf_put(out, 0);
    if (out->failed)
        return rf_fail(err, RF_ERR_NO_MEMORY, "%s: out of memory", path);
    const char *mark = memmem(out->data, out->len, "-----BEGIN ", 11);
    const char *end = mark ? memchr(mark, '\n', out->len - (size_t)(mark - out->data)) : NULL;
    if (mark && end && memmem(mark, (size_t)(end - mark), kind, strlen(kind)))
        return RF_OK;
    return rf_fail(err, RF_ERR_USAGE, "%s: found no -----BEGIN … %s-----, expected PEM", path,
                   kind);
}

static rf_status read_tls(job *j, rf_error *err) {
    const char *key = rf_opt_text(&j->cli->options, RF_OPT_SSL_KEY_FILE);
    const char *cert = rf_opt_text(&j->cli->options, RF_OPT_SSL_CERT_FILE);
    if (!key && !cert)
        return RF_OK;
    if (!key || !cert)
        return rf_fail(err, RF_ERR_USAGE, "--ssl-%s-file: expected --ssl-%s-file beside it",
                       key ? "key" : "cert", key ? "cert" : "key");
    RF_TRY(read_pem(key, "PRIVATE KEY", &j->tls_key, err));
    return read_pem(cert, "CERTIFICATE", &j->tls_cert, err);
}

/* An origin is what browsers send: scheme, host and port, nothing behind them. */
static rf_status check_origins(const job *j, rf_error *err) {
    const rf_option_value *given = rf_opt_value(&j->cli->options, RF_OPT_CORS_ORIGIN);
    for (size_t i = 0; i < given->n_list; i++) {
        const char *origin = given->list[i], *host = strstr(origin, "://");
        if (strcmp(origin, "*") == 0)
            rf_log(RF_LOG_WARN, "serve", "--cors-origin *: every page that a browser opens %s",
                   j->keys[0].n > 0 ? "may ask, if it knows a key" : "may use this server");
        else if (strcmp(origin, "null") != 0 && (!host || !host[3] || strchr(host + 3, '/')))
            return rf_fail(err, RF_ERR_USAGE,
                           "--cors-origin: found %s, expected an origin such as "
                           "https://app.example.org, without a path, or *",
                           origin);
    }
    return RF_OK;
}

static rf_status read_keys(const job *j, rf_api_keys *keys, rf_error *err) {
    const rf_options *options = &j->cli->options;
    const rf_option_value *given = rf_opt_value(options, RF_OPT_API_KEY);
    for (size_t i = 0; i < given->n_list; i++)
        if (rf_api_keys_add(keys, (rf_str){0}, rf_str_of(given->list[i]), err) != RF_OK)
            return rf_fail_prefix(err, "--api-key");
    const char *path = rf_opt_text(options, RF_OPT_API_KEY_FILE);
    if (!path)
        return RF_OK;
    rf_buf text;
    rf_buf_init(&text, KEYS_BYTES);
    rf_status status = rf_input_read(path, &text, err);
    if (status == RF_OK && rf_api_keys_read(keys, rf_buf_view(&text), err) != RF_OK)
        status = rf_fail_prefix(err, "%s", path);
    if (status == RF_OK && keys->n == given->n_list)
        status = rf_fail(err, RF_ERR_USAGE, "%s: found no keys, expected one a line", path);
    if (text.data)
        explicit_bzero(text.data, text.cap);
    rf_buf_deinit(&text);
    return status;
}

/* A model without a template serves plain completions alone. */
static rf_status load_template(job *j, rf_error *err) {
    rf_status status = rf_conversation_init(&j->conversation, j->cli, &j->session, err);
    if (status != RF_ERR_NOT_FOUND || rf_opt_given(&j->cli->options, RF_OPT_CHAT_TEMPLATE_FILE))
        return status;
    *err = (rf_error){0};
    rf_log(RF_LOG_WARN, "serve", "the model has no chat template: no chat completions");
    return RF_OK;
}

static rf_status open_session(job *j, rf_error *err) {
    rf_options *options = &j->cli->options;
    j->session.max_seqs = (uint32_t)rf_opt_int(options, RF_OPT_MAX_SEQS);
    /* Requests that come at once all wait until the next step, also those that will run in it. */
    j->session.max_waiting =
        (uint32_t)rf_opt_int(options, RF_OPT_MAX_WAITING) + j->session.max_seqs;
    j->session.pool_contexts = POOL_SEQUENCES;
    j->session.takes_constraints = true;
    RF_TRY(rf_session_open(j->cli, &j->session, true, err));
    RF_TRY(rf_sampling_init(&j->sampling, options, j->session.tokenizer, false, err));
    RF_TRY(load_template(j, err));
    return rf_session_start(j->cli, &j->session, err);
}

/* The file's name without folder and ending. */
static const char *model_name(const job *j, char out[static 256]) {
    const char *alias = rf_opt_text(&j->cli->options, RF_OPT_ALIAS);
    const char *path = rf_opt_text(&j->cli->options, RF_OPT_MODEL);
    const char *slash = strrchr(path, '/');
    if (alias)
        return alias;
    (void)snprintf(out, 256, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(out, '.');
    if (dot && dot > out)
        *dot = 0;
    return out;
}

static void name_address(job *j) {
    const char *host = rf_opt_text(&j->cli->options, RF_OPT_HOST);
    size_t n = strlen(host);
    bool v6 = strchr(host, ':') && host[0] != '[';
    j->addresses[0] = j->address;
    if (n > 5 && strcmp(host + n - 5, ".sock") == 0)
        (void)snprintf(j->address, sizeof j->address, "unix:%s", host);
    else
        (void)snprintf(j->address, sizeof j->address, "%s%s%s:%lld", v6 ? "[" : "", host,
                       v6 ? "]" : "", (long long)rf_opt_int(&j->cli->options, RF_OPT_PORT));
}

static void say_request(void *user, const char *json) {
    (void)user;
    if (rf_note_is_read())
        rf_note("%s", json);
}

static rf_status start(job *j, const char *name, rf_error *err) {
    const rf_options *options = &j->cli->options;
    const rf_option_value *listen = rf_opt_value(options, RF_OPT_LISTEN);
    name_address(j);
    rf_server_options server = {
        .listen = listen->n_list > 0 ? listen->list : j->addresses,
        .n_listen = listen->n_list > 0 ? listen->n_list : 1,
        .keys = &j->keys[0],
        .insecure = rf_opt_on(options, RF_OPT_INSECURE),
        .tls_key = j->tls_key.data,
        .tls_cert = j->tls_cert.data,
        .origins = rf_opt_value(options, RF_OPT_CORS_ORIGIN)->list,
        .n_origins = rf_opt_value(options, RF_OPT_CORS_ORIGIN)->n_list,
        .model_name = name,
        .engine = j->session.engine,
        .tokenizer = j->session.tokenizer,
        .chat_template = j->conversation.tmpl,
        .sampling = j->sampling.params,
        .n_predict = rf_opt_int(options, RF_OPT_PREDICT),
        .n_embd = j->session.program->n_embd,
        .max_seqs = j->session.max_seqs,
        .pooling = (rf_pooling)rf_opt_int(options, RF_OPT_POOLING),
        .build_info = rf_version_text,
        .n_ctx = j->session.n_ctx,
        .max_running = j->session.max_waiting,
        .max_body_bytes = (size_t)rf_opt_int(options, RF_OPT_MAX_BODY),
        .max_output_bytes = (size_t)rf_opt_int(options, RF_OPT_MAX_OUTPUT),
        .max_connections = (uint32_t)rf_opt_int(options, RF_OPT_MAX_CONNECTIONS),
        .n_workers = (uint32_t)rf_opt_int(options, RF_OPT_THREADS_HTTP),
        .ping_s = (uint32_t)rf_opt_int(options, RF_OPT_PING_INTERVAL),
        .hang_s = (uint32_t)rf_opt_int(options, RF_OPT_HANG_TIMEOUT),
        .timeout_s = (uint32_t)rf_opt_int(options, RF_OPT_TIMEOUT),
        .on_request = rf_opt_on(options, RF_OPT_LOG_REQUESTS) ? say_request : NULL,
    };
    return rf_server_create(&server, &j->server, err);
}

static void say_ready(const job *j) {
    const rf_limits *limits = rf_engine_get_limits(j->session.engine);
    uint64_t pool = (uint64_t)limits->n_blocks[0] * limits->block_tokens;
    rf_note("cache pool of %llu tokens: %.1f requests of %u, or more that are shorter; at most %u "
            "at once",
            (unsigned long long)pool, (double)pool / j->session.n_ctx, j->session.n_ctx,
            j->session.max_seqs);
    for (size_t i = 0; rf_server_address(j->server, i); i++)
        rf_note("READY %s", rf_server_address(j->server, i));
    rf_service_say("READY=1");
}

static void nap(void) {
    struct timespec time = {.tv_nsec = POLL_NS};
    (void)nanosleep(&time, NULL);
}

/* SIGHUP: the keys are read again; those that were stay where that fails. */
static void reload_keys(job *j) {
    rf_api_keys *fresh = &j->keys[1 - j->i_keys];
    rf_error err = {0};
    rf_status status = read_keys(j, fresh, &err);
    if (status == RF_OK) {
        rf_server_set_keys(j->server, fresh);
        j->i_keys = 1 - j->i_keys;
        rf_note("%zu keys were read", fresh->n);
    } else {
        rf_log(RF_LOG_ERROR, "serve", "the keys stay as they are: %s", err.text);
    }
    rf_api_keys_deinit(&j->keys[1 - j->i_keys]); /* the former ones, or what was read in part */
}

/* Until the first signal; then until what is in work has ended, or time is up. */
static void wait_for_end(job *j) {
    while (!rf_interrupted()) {
        if (rf_interrupt_take_reload())
            reload_keys(j);
        if (!rf_server_is_hung(j->server))
            rf_service_beat();
        nap();
    }
    uint64_t most_ns = (uint64_t)rf_opt_int(&j->cli->options, RF_OPT_DRAIN_TIMEOUT) * 1000000000;
    uint64_t begun_ns = rf_clock_ns();
    rf_service_say("STOPPING=1");
    rf_server_drain(j->server);
    rf_note("stopping: %u requests are in work", rf_server_n_open(j->server));
    while (rf_server_n_open(j->server) > 0 && rf_clock_ns() - begun_ns < most_ns)
        nap();
}

static rf_status serve(job *j, rf_error *err) {
    char name[256];
    RF_TRY(read_keys(j, &j->keys[0], err));
    RF_TRY(check_origins(j, err));
    RF_TRY(read_tls(j, err));
    RF_TRY(open_session(j, err));
    RF_TRY(start(j, model_name(j, name), err));
    rf_interrupt_reloads();
    say_ready(j);
    wait_for_end(j);
    rf_server_destroy(j->server);
    j->server = NULL;
    return RF_OK;
}

rf_status rf_cmd_serve(rf_cli *cli, rf_error *err) {
    rf_alloc_return_early();
    job j = {.cli = cli};
    rf_buf_init(&j.tls_key, TLS_BYTES);
    rf_buf_init(&j.tls_cert, TLS_BYTES);
    rf_status status = serve(&j, err);
    release(&j);
    return status;
}
