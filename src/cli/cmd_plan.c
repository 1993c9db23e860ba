#include "cli/cli.h"
#include "cli/output.h"
#include "cli/session.h"
#include "engine/drafter.h"

typedef struct memory {
    rf_limits limits;
    rf_memory_plan plan;
    uint64_t engine_bytes;
} memory;

static uint64_t total(const memory *m) {
    return m->plan.weights_bytes + m->plan.mapped_bytes + m->plan.kv_bytes +
           m->plan.workspace_bytes + m->engine_bytes;
}

/* Tokens of the largest group's pool: what requests without a window share. */
static uint32_t pool_tokens(const rf_limits *limits) {
    uint32_t most = 0;
    for (int g = 0; g < RF_KV_MAX_GROUPS; g++)
        most = limits->n_blocks[g] > most ? limits->n_blocks[g] : most;
    return most * limits->block_tokens;
}

static rf_status print_json(const memory *m, rf_error *err) {
    const rf_limits *limits = &m->limits;
    const rf_memory_plan *plan = &m->plan;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"context_tokens", limits->max_context},
                {"batch_tokens", limits->max_tokens},
                {"sequences", limits->max_seqs},
                {"block_tokens", limits->block_tokens},
                {"weights_bytes", plan->weights_bytes},
                {"mapped_bytes", plan->mapped_bytes},
                {"kv_bytes", plan->kv_bytes},
                {"workspace_bytes", plan->workspace_bytes},
                {"engine_bytes", m->engine_bytes},
                {"pool_tokens", pool_tokens(limits)},
                {"total_bytes", total(m)}};
    bool ok = true;
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        rf_json_set(object, rows[i].name, json_integer((json_int_t)rows[i].value), &ok);
    rf_json_set(object, "cache_type_k", json_string(rf_kv_type_name(limits->type_k)), &ok);
    rf_json_set(object, "cache_type_v", json_string(rf_kv_type_name(limits->type_v)), &ok);
    if (ok)
        rf_out_json(object, JSON_INDENT(1));
    json_decref(object);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the JSON");
}

static void print_text(const rf_program *program, const memory *m) {
    const rf_limits *limits = &m->limits;
    const rf_memory_plan *plan = &m->plan;
    const struct {
        const char *name;
        uint64_t bytes;
        const char *what;
    } rows[] = {{"weights", plan->weights_bytes, "held by the backend"},
                {"file", plan->mapped_bytes, "read in place from the mapped file"},
                {"cache", plan->kv_bytes, "keys and values"},
                {"workspace", plan->workspace_bytes, "largest step"},
                {"engine", m->engine_bytes, "prompts that wait, rows of results, lists"},
                {"total", total(m), ""}};
    rf_out_printf("longest request %u tokens, cache of %u tokens, %u sequence%s, steps of %u "
                  "tokens, cache %s and %s\n",
                  limits->max_context, pool_tokens(limits), limits->max_seqs,
                  limits->max_seqs == 1 ? "" : "s", limits->max_tokens,
                  rf_kv_type_name(limits->type_k), rf_kv_type_name(limits->type_v));
    for (uint32_t g = 0; g < program->n_kv_groups; g++) {
        rf_out_printf("pool of %u blocks of %u tokens", limits->n_blocks[g], limits->block_tokens);
        if (program->kv_groups[g].window)
            rf_out_printf(" for layers with a window of %u", program->kv_groups[g].window);
        rf_out_text("\n");
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char size[RF_SIZE_TEXT_BYTES];
        rf_out_printf("  %-10s %10s  %s\n", rows[i].name, rf_size_text(rows[i].bytes, size),
                      rows[i].what);
    }
}

/* What a draft model takes besides: a backend of its own holds it. */
static rf_status add_draft(const rf_session *session, const rf_backend *backend,
                           const rf_limits *limits, rf_memory_plan *plan, rf_error *err) {
    if (!session->draft_model)
        return RF_OK;
    const rf_program *program = rf_model_program(session->draft_model);
    rf_limits of_draft = rf_draft_model_limits(program, limits);
    rf_memory_plan more;
    RF_TRY(backend->api->plan(backend, program, &of_draft, &more, err));
    plan->weights_bytes += more.weights_bytes;
    plan->mapped_bytes += more.mapped_bytes;
    plan->kv_bytes += more.kv_bytes;
    plan->workspace_bytes += more.workspace_bytes;
    return RF_OK;
}

static rf_status plan_engine(rf_cli *cli, rf_session *session, const rf_backend *backend,
                             memory *out, rf_error *err) {
    const rf_program *program = rf_model_program(session->model);
    rf_engine_options options = rf_session_engine_options(cli, session);
    RF_TRY(rf_session_fit_pool(cli, session, backend, &options, err));
    RF_TRY(rf_engine_limits(program, &options, &out->limits, err));
    RF_TRY(rf_engine_own_bytes(program, &options, &out->engine_bytes, err));
    RF_TRY(backend->api->plan(backend, program, &out->limits, &out->plan, err));
    return add_draft(session, backend, &out->limits, &out->plan, err);
}

rf_status rf_cmd_plan(rf_cli *cli, rf_error *err) {
    rf_session session = {.may_draft = true};
    rf_backend *backend = NULL;
    memory m = {0};
    uint32_t n_threads = (uint32_t)rf_opt_int(&cli->options, RF_OPT_THREADS);
    rf_status status = rf_session_open(cli, &session, false, err);
    if (status == RF_OK)
        status = rf_session_backend(cli, n_threads, &backend, err);
    if (status == RF_OK)
        status = plan_engine(cli, &session, backend, &m, err);
    if (status == RF_OK && rf_opt_on(&cli->options, RF_OPT_JSON))
        status = print_json(&m, err);
    else if (status == RF_OK)
        print_text(rf_model_program(session.model), &m);
    if (backend)
        backend->api->destroy(backend);
    rf_session_close(&session);
    return status;
}
