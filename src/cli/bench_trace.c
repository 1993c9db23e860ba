#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/bench.h"
#include "cli/output.h"
#include "op/op_view.h"

/* Steps of a repetition that are kept for the trace file; a table has all of them. */
enum { MAX_KEPT = 1024, MAX_GROUPS = 256, NAME_BYTES = 128 };

struct rf_bench_trace {
    const rf_program *program; /* borrowed */
    uint64_t *sums;            /* [n_ops]: of the test */
    uint64_t *kept;            /* [MAX_KEPT][n_ops + 1]: of the last repetition */
    uint32_t n_kept;
    rf_bench_group groups[MAX_GROUPS];
    size_t n_groups;
};

rf_status rf_bench_trace_create(const rf_program *program, rf_bench_trace **out, rf_error *err) {
    rf_bench_trace *trace = rf_calloc(1, sizeof *trace);
    if (trace) {
        trace->program = program;
        trace->kept = rf_calloc(MAX_KEPT * ((size_t)program->n_ops + 1), sizeof(uint64_t));
        trace->sums = rf_calloc((size_t)program->n_ops + 1, sizeof(uint64_t));
    }
    if (!trace || !trace->kept || !trace->sums) {
        rf_bench_trace_destroy(trace);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the times of %u ops",
                       program->n_ops);
    }
    *out = trace;
    return RF_OK;
}

void rf_bench_trace_destroy(rf_bench_trace *trace) {
    if (!trace)
        return;
    rf_free(trace->sums);
    rf_free(trace->kept);
    rf_free(trace);
}

void rf_bench_trace_begin(rf_bench_trace *trace) {
    memset(trace->sums, 0, trace->program->n_ops * sizeof *trace->sums);
}

void rf_bench_trace_repetition(rf_bench_trace *trace) { trace->n_kept = 0; }

void rf_bench_trace_step(rf_bench_trace *trace, const uint64_t *op_ns) {
    size_t n = (size_t)trace->program->n_ops + 1;
    for (size_t i = 0; i + 1 < n; i++)
        trace->sums[i] += op_ns[i + 1] - op_ns[i];
    if (trace->n_kept < MAX_KEPT)
        memcpy(trace->kept + trace->n_kept++ * n, op_ns, n * sizeof *trace->kept);
}

/* ---- the table ----------------------------------------------------------------------------- */

/* "blk.12.attn_q.weight" is "attn_q". */
static rf_str short_name(rf_str name) {
    if (rf_str_starts(name, RF_STR("blk."))) {
        size_t at = 4;
        while (at < name.len && name.ptr[at] >= '0' && name.ptr[at] <= '9')
            at++;
        name = rf_str_sub(name, at + 1, name.len);
    }
    size_t n = name.len;
    return n > 7 && rf_str_is(rf_str_sub(name, n - 7, n), ".weight") ? rf_str_sub(name, 0, n - 7)
                                                                     : name;
}

static void add_text(char *out, size_t room, const char *separator, rf_str text) {
    size_t used = strlen(out);
    (void)snprintf(out + used, room - used, "%s%.*s", used ? separator : "", RF_STR_ARG(text));
}

static void add_type(char *out, size_t room, const char *name) {
    if (!strstr(out, name))
        add_text(out, room, "+", rf_str_of(name));
}

/* Which ops stand in one line: the same kind over the same matrices of different layers. */
static void label(const rf_program *program, const rf_op *op, rf_bench_group *group) {
    rf_op_view view = rf_op_look(program, op);
    uint64_t n_cols = 0, n_rows = 0, n_experts = 1;
    *group = (rf_bench_group){.op = rf_op_name(op->kind)};
    for (uint32_t i = 0; i < view.n_weights; i++) {
        const rf_weight *weight = &program->weights[view.weights[i]];
        add_text(group->weights, sizeof group->weights, "+", short_name(weight->name));
        if (weight->n_rows == 1 && op->kind != RF_OP_NORM)
            continue; /* a bias */
        add_type(group->type, sizeof group->type, rf_qtype_get(weight->qtype)->name);
        n_cols = weight->n_cols;
        n_rows += weight->n_rows;
        n_experts = weight->n_experts;
    }
    if (op->kind == RF_OP_ATTENTION) {
        const rf_kv_layer *layer = &program->kv_layers[op->u.attention.kv_layer];
        (void)snprintf(group->shape, sizeof group->shape, "%u/%u heads x %u%s",
                       op->u.attention.n_head, layer->n_head_kv, layer->head_dim,
                       op->u.attention.window ? ", window" : "");
    } else if (n_experts > 1) {
        (void)snprintf(group->shape, sizeof group->shape, "%llu x %llu x %llu",
                       (unsigned long long)n_cols, (unsigned long long)n_rows,
                       (unsigned long long)n_experts);
    } else if (n_cols > 0) {
        (void)snprintf(group->shape, sizeof group->shape, "%llu x %llu", (unsigned long long)n_cols,
                       (unsigned long long)n_rows);
    }
}

static rf_bench_group *group_of(rf_bench_trace *trace, const rf_bench_group *wanted) {
    for (size_t i = 0; i < trace->n_groups; i++) {
        rf_bench_group *group = &trace->groups[i];
        if (group->op == wanted->op && strcmp(group->weights, wanted->weights) == 0 &&
            strcmp(group->type, wanted->type) == 0 && strcmp(group->shape, wanted->shape) == 0)
            return group;
    }
    if (trace->n_groups == MAX_GROUPS) /* the rest goes into the last line */
        return &trace->groups[MAX_GROUPS - 1];
    trace->groups[trace->n_groups] = *wanted;
    return &trace->groups[trace->n_groups++];
}

static int longer_first(const void *a, const void *b) {
    uint64_t x = ((const rf_bench_group *)a)->ns, y = ((const rf_bench_group *)b)->ns;
    return (x < y) - (x > y);
}

const rf_bench_group *rf_bench_trace_groups(rf_bench_trace *trace, const rf_bench_setup *setup,
                                            const rf_bench_test *test, uint32_t n_reps, size_t *n) {
    uint64_t n_steps = (uint64_t)rf_bench_n_steps(test, setup->n_batch) * n_reps;
    trace->n_groups = 0;
    for (uint32_t i = 0; i < trace->program->n_ops; i++) {
        const rf_op *op = &trace->program->ops[i];
        rf_bench_group wanted;
        label(trace->program, op, &wanted);
        rf_bench_group *group = group_of(trace, &wanted);
        rf_bench_work work = rf_bench_op_work(trace->program, op, setup, test);
        group->n_calls += n_steps;
        group->ns += trace->sums[i];
        group->work.read_bytes += work.read_bytes * n_reps;
        group->work.product_ops += work.product_ops * n_reps;
        group->work.other_ops += work.other_ops * n_reps;
    }
    qsort(trace->groups, trace->n_groups, sizeof *trace->groups, longer_first);
    *n = trace->n_groups;
    return trace->groups;
}

/* ---- the trace file ------------------------------------------------------------------------ */

/* A JSON string with its quotes. */
static void add_string(rf_buf *out, rf_str text) {
    json_t *value = rf_json_str(text);
    char *dumped = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
    if (dumped)
        rf_buf_text(out, dumped);
    else
        out->failed = true;
    rf_free(dumped);
    json_decref(value);
}

rf_status rf_bench_chrome_open(rf_bench_chrome *chrome, const char *path, rf_error *err) {
    *chrome = (rf_bench_chrome){0};
    RF_TRY(rf_outfile_open(&chrome->file, path, err));
    chrome->open = true;
    return rf_outfile_write(&chrome->file, "[", 1, err);
}

/* Times in microseconds from the first op of the repetition. */
static void add_step(rf_buf *out, const rf_bench_trace *trace, uint32_t step, unsigned pid) {
    const rf_program *program = trace->program;
    const uint64_t *ns = trace->kept + (size_t)step * (program->n_ops + 1), begun = trace->kept[0];
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        rf_op_view view = rf_op_look(program, op);
        rf_str first =
            view.n_weights ? short_name(program->weights[view.weights[0]].name) : (rf_str){0};
        char name[NAME_BYTES];
        (void)snprintf(name, sizeof name, "%s%s%.*s", rf_op_name(op->kind), first.len ? " " : "",
                       RF_STR_ARG(first));
        rf_buf_text(out, ",\n{\"name\":");
        add_string(out, rf_str_of(name));
        rf_buf_printf(out,
                      ",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":%u,\"tid\":0,\"ts\":%.3f,"
                      "\"dur\":%.3f,\"args\":{\"layer\":%d,\"step\":%u}}",
                      rf_op_name(op->kind), pid, (double)(ns[i] - begun) * 1e-3,
                      (double)(ns[i + 1] - ns[i]) * 1e-3, op->layer, step);
    }
}

rf_status rf_bench_chrome_add(rf_bench_chrome *chrome, const rf_bench_trace *trace,
                              const char *title, rf_error *err) {
    enum { STEP_BYTES = 64 << 20 };
    unsigned pid = ++chrome->n_tests;
    rf_buf text;
    rf_buf_init(&text, STEP_BYTES);
    rf_buf_printf(&text,
                  "%s\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%u,\"args\":{\"name\":",
                  pid > 1 ? "," : "", pid);
    add_string(&text, rf_str_of(title));
    rf_buf_text(&text, "}}");
    rf_status status = RF_OK;
    for (uint32_t s = 0; s < trace->n_kept && status == RF_OK; s++) {
        add_step(&text, trace, s, pid);
        if (text.failed)
            status = rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the trace");
        else
            status = rf_outfile_write(&chrome->file, text.data, text.len, err);
        rf_buf_clear(&text);
    }
    rf_buf_deinit(&text);
    return status;
}

rf_status rf_bench_chrome_close(rf_bench_chrome *chrome, rf_error *err) {
    chrome->open = false;
    rf_status status = rf_outfile_write(&chrome->file, "\n]\n", 3, err);
    if (status == RF_OK)
        return rf_outfile_commit(&chrome->file, err);
    rf_outfile_discard(&chrome->file);
    return status;
}
