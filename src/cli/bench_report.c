#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/output.h"

/* Tokens a second over the repetitions, and what follows from them. */
typedef struct figures {
    double mean, deviation; /* sample deviation; 0 of one repetition */
    double mean_ns, deviation_ns;
    double token_bytes, token_ops; /* read, and computed in products, for each token */
    double read_rate, ops_rate;    /* a second */
} figures;

static double rate(const rf_bench_row *row, uint32_t rep) {
    uint64_t ns = row->result->samples_ns[rep];
    return (double)rf_bench_test_tokens(row->test) * 1e9 / (double)(ns ? ns : 1);
}

double rf_bench_deviation(double sum, double sum_squares, size_t n) {
    double variance = n > 1 ? (sum_squares - sum * sum / (double)n) / (double)(n - 1) : 0;
    return variance > 0 ? sqrt(variance) : 0;
}

static figures figures_of(const rf_bench_row *row) {
    uint32_t n = row->result->n_reps;
    double sum = 0, squares = 0, sum_ns = 0, squares_ns = 0;
    for (uint32_t r = 0; r < n; r++) {
        double x = rate(row, r), ns = (double)row->result->samples_ns[r];
        sum += x;
        squares += x * x;
        sum_ns += ns;
        squares_ns += ns * ns;
    }
    rf_bench_work work =
        rf_bench_test_work(rf_model_program(row->model->model), row->setup, row->test);
    double n_tokens = (double)rf_bench_test_tokens(row->test);
    figures f = {.mean = sum / n,
                 .deviation = rf_bench_deviation(sum, squares, n),
                 .mean_ns = sum_ns / n,
                 .deviation_ns = rf_bench_deviation(sum_ns, squares_ns, n),
                 .token_bytes = work.read_bytes / n_tokens,
                 .token_ops = work.product_ops / n_tokens};
    f.read_rate = f.token_bytes * f.mean;
    f.ops_rate = f.token_ops * f.mean;
    return f;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- Markdown ------------------------------------------------------------------------------ */

enum { MD_COLUMNS = 12, TRACE_COLUMNS = 9, CELL_BYTES = 128 };

typedef struct column {
    const char *title;
    int width; /* negative: aligned to the right */
} column;

static void print_cell(const char *text, int width) {
    int shown = 0, room = width < 0 ? -width : width;
    for (const char *c = text; *c; c++)
        shown += ((unsigned char)*c & 0xC0) != 0x80;
    int pad = shown < room ? room - shown : 0;
    rf_out_printf("| %*s", width < 0 ? pad : 0, "");
    rf_out_safe(rf_str_of(text), CELL_BYTES, false);
    rf_out_printf("%*s ", width < 0 ? 0 : pad, "");
}

static void print_cells(const column *columns, char (*cells)[CELL_BYTES], int n) {
    for (int i = 0; i < n; i++)
        print_cell(cells[i], columns[i].width);
    rf_out_text("|\n");
}

static void print_head(const column *columns, int n) {
    for (int i = 0; i < n; i++)
        print_cell(columns[i].title, columns[i].width);
    rf_out_text("|\n");
    for (int i = 0; i < n; i++) {
        bool right = columns[i].width < 0;
        rf_out_text(right ? "| " : "| -");
        for (int k = 2; k < (right ? -columns[i].width : columns[i].width); k++)
            rf_out_text("-");
        rf_out_text(right ? "-: " : "- ");
    }
    rf_out_text("|\n");
}

static const column md_columns[MD_COLUMNS] = {{"model", 30},   {"size", 8},       {"threads", -7},
                                              {"batch", -5},   {"k/v", 9},        {"test", 16},
                                              {"t/s", -18},    {"MiB/token", -9}, {"GB/s", -6},
                                              {"of read", -7}, {"of int8", -7},   {"logits", 16}};

static void print_share(char out[CELL_BYTES], double part, double whole) {
    if (whole > 0)
        (void)snprintf(out, CELL_BYTES, "%.1f %%", 100 * part / whole);
    else
        (void)snprintf(out, CELL_BYTES, "-");
}

static void print_row(const rf_bench_row *row) {
    const rf_bench_setup *setup = row->setup;
    figures f = figures_of(row);
    char cells[MD_COLUMNS][CELL_BYTES], size[RF_SIZE_TEXT_BYTES], name[RF_BENCH_NAME_BYTES];
    (void)snprintf(cells[0], CELL_BYTES, "%.100s", base_name(row->model->name));
    (void)snprintf(cells[1], CELL_BYTES, "%s",
                   rf_size_text(rf_model_get_info(row->model->model)->weights_bytes, size));
    (void)snprintf(cells[2], CELL_BYTES, "%u", setup->n_threads);
    (void)snprintf(cells[3], CELL_BYTES, "%u", setup->n_batch);
    (void)snprintf(cells[4], CELL_BYTES, "%s/%s", rf_kv_type_name(setup->type_k),
                   rf_kv_type_name(setup->type_v));
    (void)snprintf(cells[5], CELL_BYTES, "%s", rf_bench_test_name(row->test, name));
    (void)snprintf(cells[6], CELL_BYTES, "%.2f ± %.2f", f.mean, f.deviation);
    (void)snprintf(cells[7], CELL_BYTES, "%.2f", f.token_bytes / (1 << 20));
    (void)snprintf(cells[8], CELL_BYTES, "%.1f", f.read_rate * 1e-9);
    print_share(cells[9], f.read_rate, row->peak.read_bytes);
    print_share(cells[10], f.ops_rate, row->peak.int8_ops);
    (void)snprintf(cells[11], CELL_BYTES, "%016llx", (unsigned long long)row->result->logits_hash);
    print_cells(md_columns, cells, MD_COLUMNS);
}

static double total_ns(const rf_bench_row *row) {
    double sum = 0;
    for (size_t i = 0; i < row->n_groups; i++)
        sum += (double)row->groups[i].ns;
    return sum > 0 ? sum : 1;
}

/* Units of 1e9 a second: units / ns. */
static double giga_rate(double units, const rf_bench_group *group) {
    return units / (double)(group->ns ? group->ns : 1);
}

static void print_groups(const rf_bench_row *row) {
    static const column columns[TRACE_COLUMNS] = {{"op", 16},    {"weights", 28}, {"type", 10},
                                                  {"shape", 20}, {"calls", -8},   {"us/call", -9},
                                                  {"time", -7},  {"GB/s", -6},    {"GOP/s", -7}};
    char name[RF_BENCH_NAME_BYTES];
    rf_out_printf("\nOps of %s:\n\n", rf_bench_test_name(row->test, name));
    print_head(columns, TRACE_COLUMNS);
    for (size_t i = 0; i < row->n_groups; i++) {
        const rf_bench_group *g = &row->groups[i];
        char cells[TRACE_COLUMNS][CELL_BYTES];
        (void)snprintf(cells[0], CELL_BYTES, "%s", g->op);
        (void)snprintf(cells[1], CELL_BYTES, "%s", g->weights);
        (void)snprintf(cells[2], CELL_BYTES, "%s", g->type);
        (void)snprintf(cells[3], CELL_BYTES, "%s", g->shape);
        (void)snprintf(cells[4], CELL_BYTES, "%llu", (unsigned long long)g->n_calls);
        (void)snprintf(cells[5], CELL_BYTES, "%.1f", (double)g->ns * 1e-3 / (double)g->n_calls);
        print_share(cells[6], (double)g->ns, total_ns(row));
        (void)snprintf(cells[7], CELL_BYTES, "%.1f", giga_rate(g->work.read_bytes, g));
        (void)snprintf(cells[8], CELL_BYTES, "%.1f",
                       giga_rate(g->work.product_ops + g->work.other_ops, g));
        print_cells(columns, cells, TRACE_COLUMNS);
    }
    rf_out_text("\n");
}

/* ---- JSON and CSV -------------------------------------------------------------------------- */

static json_t *real_or_null(double value, bool known) {
    return known && isfinite(value) ? json_real(value) : json_null();
}

static void set_int(json_t *object, const char *key, uint64_t value, bool *ok) {
    rf_json_set(object, key, json_integer((json_int_t)value), ok);
}

static void set_model(json_t *object, const rf_bench_row *row, bool *ok) {
    const rf_model_info *info = rf_model_get_info(row->model->model);
    const rf_bench_setup *setup = row->setup;
    rf_json_set(object, "build_version", json_string(rf_version_text), ok);
    rf_json_set(object, "model_filename", rf_json_str(rf_str_of(row->model->name)), ok);
    rf_json_set(object, "model_arch", json_string(info->arch), ok);
    set_int(object, "model_size", info->weights_bytes, ok);
    set_int(object, "model_n_params", info->n_params, ok);
    set_int(object, "n_batch", setup->n_batch, ok);
    set_int(object, "n_threads", setup->n_threads, ok);
    rf_json_set(object, "type_k", json_string(rf_kv_type_name(setup->type_k)), ok);
    rf_json_set(object, "type_v", json_string(rf_kv_type_name(setup->type_v)), ok);
    set_int(object, "n_prompt", row->test->n_prompt, ok);
    set_int(object, "n_gen", row->test->n_gen, ok);
    set_int(object, "n_depth", row->test->n_depth, ok);
    set_int(object, "n_seqs", row->test->n_seqs, ok);
}

static void set_figures(json_t *object, const rf_bench_row *row, bool *ok) {
    figures f = figures_of(row);
    char name[RF_BENCH_NAME_BYTES], hash[20];
    bool read = row->peak.read_bytes > 0, int8 = row->peak.int8_ops > 0;
    (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)row->result->logits_hash);
    rf_json_set(object, "test", json_string(rf_bench_test_name(row->test, name)), ok);
    rf_json_set(object, "avg_ns", json_real(f.mean_ns), ok);
    rf_json_set(object, "stddev_ns", json_real(f.deviation_ns), ok);
    rf_json_set(object, "avg_ts", json_real(f.mean), ok);
    rf_json_set(object, "stddev_ts", json_real(f.deviation), ok);
    rf_json_set(object, "avg_ts_per_seq", json_real(f.mean / row->test->n_seqs), ok);
    rf_json_set(object, "bytes_per_token", json_real(f.token_bytes), ok);
    rf_json_set(object, "read_gbs", json_real(f.read_rate * 1e-9), ok);
    rf_json_set(object, "peak_read_gbs", real_or_null(row->peak.read_bytes * 1e-9, read), ok);
    rf_json_set(object, "read_share", real_or_null(f.read_rate / row->peak.read_bytes, read), ok);
    rf_json_set(object, "product_gops", json_real(f.ops_rate * 1e-9), ok);
    rf_json_set(object, "peak_int8_gops", real_or_null(row->peak.int8_ops * 1e-9, int8), ok);
    rf_json_set(object, "int8_share", real_or_null(f.ops_rate / row->peak.int8_ops, int8), ok);
    rf_json_set(object, "logits_hash", json_string(hash), ok);
}

static json_t *samples_json(const rf_bench_row *row, bool as_rate, bool *ok) {
    json_t *list = json_array();
    for (uint32_t r = 0; r < row->result->n_reps; r++)
        rf_json_add(list,
                    as_rate ? json_real(rate(row, r))
                            : json_integer((json_int_t)row->result->samples_ns[r]),
                    ok);
    return list;
}

static json_t *groups_json(const rf_bench_row *row, bool *ok) {
    json_t *list = json_array();
    for (size_t i = 0; i < row->n_groups; i++) {
        const rf_bench_group *g = &row->groups[i];
        json_t *item = json_object();
        rf_json_set(item, "op", json_string(g->op), ok);
        rf_json_set(item, "weights", rf_json_str(rf_str_of(g->weights)), ok);
        rf_json_set(item, "type", json_string(g->type), ok);
        rf_json_set(item, "shape", json_string(g->shape), ok);
        set_int(item, "calls", g->n_calls, ok);
        set_int(item, "ns", g->ns, ok);
        rf_json_set(item, "share", json_real((double)g->ns / total_ns(row)), ok);
        rf_json_set(item, "gbs", json_real(giga_rate(g->work.read_bytes, g)), ok);
        double ops = g->work.product_ops + g->work.other_ops;
        rf_json_set(item, "gops", json_real(giga_rate(ops, g)), ok);
        rf_json_add(list, item, ok);
    }
    return list;
}

void rf_bench_csv_text(const char *text) {
    rf_out_text("\"");
    for (const char *c = text; *c; c++)
        rf_out_printf(*c == '"' ? "\"\"" : "%c", *c);
    rf_out_text("\"");
}

/* One field for each member that is no list, in their order. */
static void print_csv(json_t *object, bool names) {
    const char *key, *comma = "";
    json_t *value;
    json_object_foreach(object, key, value) {
        if (json_is_array(value))
            continue;
        rf_out_text(comma);
        comma = ",";
        if (names)
            rf_out_text(key);
        else if (json_is_string(value))
            rf_bench_csv_text(json_string_value(value));
        else if (json_is_integer(value))
            rf_out_printf("%lld", (long long)json_integer_value(value));
        else if (json_is_real(value))
            rf_out_printf("%.9g", json_real_value(value));
    }
    rf_out_text("\n");
}

/* ---- the report ---------------------------------------------------------------------------- */

rf_status rf_bench_report_init(rf_bench_report *report, rf_bench_format format, rf_error *err) {
    *report = (rf_bench_report){.format = format, .rows = json_array()};
    return report->rows ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the results");
}

static rf_status add_json(rf_bench_report *report, const rf_bench_row *row, rf_error *err) {
    bool ok = true;
    json_t *object = json_object();
    set_model(object, row, &ok);
    set_figures(object, row, &ok);
    rf_json_set(object, "samples_ns", samples_json(row, false, &ok), &ok);
    rf_json_set(object, "samples_ts", samples_json(row, true, &ok), &ok);
    if (row->groups)
        rf_json_set(object, "ops", groups_json(row, &ok), &ok);
    if (ok && report->format == RF_BENCH_FORMAT_CSV) {
        if (!report->begun)
            print_csv(object, true);
        print_csv(object, false);
    } else if (ok) {
        rf_json_add(report->rows, json_incref(object), &ok);
    }
    json_decref(object);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the results");
}

rf_status rf_bench_report_add(rf_bench_report *report, const rf_bench_row *row, rf_error *err) {
    if (report->format != RF_BENCH_FORMAT_MD) {
        RF_TRY(add_json(report, row, err));
        report->begun = true;
        return RF_OK;
    }
    if (!report->begun)
        print_head(md_columns, MD_COLUMNS);
    print_row(row);
    if (row->groups)
        print_groups(row);
    report->begun = row->groups == NULL; /* a new head after a table of ops */
    return rf_out_flush(err);
}

void rf_bench_report_end(rf_bench_report *report) {
    if (report->format == RF_BENCH_FORMAT_JSON)
        rf_out_json(report->rows, JSON_INDENT(1));
}

void rf_bench_report_deinit(rf_bench_report *report) { json_decref(report->rows); }
