#include "cli/cli.h"
#include "cli/output.h"
#include "cli/session.h"
#include "engine/drafter.h"

static uint64_t total(const rf_memory_plan *plan) {
    return plan->weights_bytes + plan->mapped_bytes + plan->kv_bytes + plan->workspace_bytes;
}

static rf_status print_json(const rf_limits *limits, const rf_memory_plan *plan, rf_error *err) {
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
                {"total_bytes", total(plan)}};
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

static void print_text(const rf_program *program, const rf_limits *limits,
                       const rf_memory_plan *plan) {
    const struct {
        const char *name;
        uint64_t bytes;
        const char *what;
    } rows[] = {{"weights", plan->weights_bytes, "held by the backend"},
                {"file", plan->mapped_bytes, "read in place from the mapped file"},
                {"cache", plan->kv_bytes, "keys and values"},
                {"workspace", plan->workspace_bytes, "largest step"},
                {"total", total(plan), ""}};
    rf_out_printf("context %u tokens, %u sequence%s, steps of %u tokens, cache %s and %s\n",
                  limits->max_context, limits->max_seqs, limits->max_seqs == 1 ? "" : "s",
                  limits->max_tokens, rf_kv_type_name(limits->type_k),
                  rf_kv_type_name(limits->type_v));
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

rf_status rf_cmd_plan(rf_cli *cli, rf_error *err) {
    rf_session session = {.may_draft = true};
    rf_backend *backend = NULL;
    rf_limits limits;
    rf_memory_plan plan;
    rf_status status = rf_session_open(cli, &session, false, err);
    if (status == RF_OK) {
        rf_engine_options options = rf_session_engine_options(cli, &session);
        status = rf_engine_limits(rf_model_program(session.model), &options, &limits, err);
    }
    if (status == RF_OK)
        status = rf_session_backend(cli, (uint32_t)rf_opt_int(&cli->options, RF_OPT_THREADS),
                                    &backend, err);
    if (status == RF_OK) {
        const rf_program *program = rf_model_program(session.model);
        status = backend->api->plan(backend, program, &limits, &plan, err);
        if (status == RF_OK)
            status = add_draft(&session, backend, &limits, &plan, err);
        if (status == RF_OK && rf_opt_on(&cli->options, RF_OPT_JSON))
            status = print_json(&limits, &plan, err);
        else if (status == RF_OK)
            print_text(program, &limits, &plan);
        backend->api->destroy(backend);
    }
    rf_session_close(&session);
    return status;
}
