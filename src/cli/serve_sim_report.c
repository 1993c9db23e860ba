#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/serve_sim.h"

/* Every figure once: its name in JSON and CSV, its title in a table and its digits there. */
typedef struct figure {
    const char *key, *title; /* title NULL: not in the table */
    int digits;
    double value;
} figure;

enum { N_FIGURES = 28, CELL_BYTES = 32 };

static size_t add_spread(figure *f, const char *const keys[5], const char *title,
                         const rf_sim_spread *s) {
    const double values[5] = {s->mean, s->p50, s->p90, s->p99, s->most};
    for (int i = 0; i < 5; i++)
        f[i] = (figure){keys[i], i >= 1 && i <= 3 ? title : NULL, 1, values[i]};
    return 5;
}

#define SPREAD_KEYS(name) \
    { name "_mean_ms", name "_p50_ms", name "_p90_ms", name "_p99_ms", name "_max_ms" }

static size_t figures_of(const rf_sim_result *r, bool intrudes, figure out[N_FIGURES]) {
    static const char *const ttft[] = SPREAD_KEYS("ttft"), *const itl[] = SPREAD_KEYS("itl"),
                             *const e2e[] = SPREAD_KEYS("e2e"),
                             *const quiet[] = SPREAD_KEYS("quiet_itl");
    size_t n = 0;
    out[n++] = (figure){"request_rate", "req/s", 1, r->rate};
    out[n++] = (figure){"num_prompts", "requests", 0, r->n_requests};
    n += add_spread(out + n, ttft, "TTFT ms", &r->first_token);
    n += add_spread(out + n, itl, "gap ms", &r->gap);
    if (intrudes) {
        n += add_spread(out + n, quiet, "quiet ms", &r->quiet);
        out[n++] =
            (figure){"p99_ratio", "p99 ratio", 2, r->quiet.p99 > 0 ? r->gap.p99 / r->quiet.p99 : 0};
    } else {
        n += add_spread(out + n, e2e, NULL, &r->whole);
        double per_s = r->seconds > 0 ? 1 / r->seconds : 0;
        out[n++] =
            (figure){"output_tokens_per_second", "out tok/s", 1, (double)r->n_output * per_s};
        out[n++] = (figure){"total_tokens_per_second", "all tok/s", 1,
                            (double)(r->n_output + r->n_input) * per_s};
    }
    out[n++] = (figure){"duration_s", NULL, 2, r->seconds};
    out[n++] = (figure){"input_tokens", NULL, 0, (double)r->n_input};
    out[n++] = (figure){"output_tokens", NULL, 0, (double)r->n_output};
    out[n++] = (figure){"computed_tokens", "computed", 0, (double)r->n_computed};
    out[n++] = (figure){"cached_tokens", "cached", 0, (double)r->n_cached};
    out[n++] = (figure){"preemptions", "preempted", 0, (double)r->n_preempted};
    return n;
}

static void text_of(const figure *f, char out[CELL_BYTES]) {
    if (isfinite(f->value))
        (void)snprintf(out, CELL_BYTES, "%.*f", f->digits, f->value);
    else
        (void)snprintf(out, CELL_BYTES, "inf");
}

/* The second to fourth figure of a spread are its p50, p90 and p99, in one cell. */
static void print_table_row(const figure *f, size_t n, bool head) {
    char cell[CELL_BYTES];
    for (size_t i = 0; i < n; i++) {
        if (!f[i].title)
            continue;
        bool spread = i + 2 < n && f[i + 1].title == f[i].title && f[i + 2].title == f[i].title;
        char text[3 * CELL_BYTES + 8];
        text_of(&f[i], cell);
        (void)snprintf(text, sizeof text, "%s", head ? f[i].title : cell);
        for (size_t k = 1; spread && k < 3; k++) {
            text_of(&f[i + k], cell);
            if (!head)
                (void)snprintf(text + strlen(text), sizeof text - strlen(text), " / %s", cell);
        }
        if (head && spread)
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), " p50/90/99");
        rf_out_printf("| %*s ", spread ? 24 : 9, text);
        i += spread ? 2 : 0;
    }
    rf_out_text("|\n");
}

static void print_rule(const figure *f, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!f[i].title)
            continue;
        bool spread = i + 2 < n && f[i + 1].title == f[i].title && f[i + 2].title == f[i].title;
        rf_out_text("| ");
        for (int k = 1; k < (spread ? 24 : 9); k++)
            rf_out_text("-");
        rf_out_text(": ");
        i += spread ? 2 : 0;
    }
    rf_out_text("|\n");
}

static void print_csv(const figure *f, size_t n, const char *model, bool head) {
    char cell[CELL_BYTES];
    if (head)
        rf_out_text("model");
    else
        rf_bench_csv_text(model);
    for (size_t i = 0; i < n; i++) {
        text_of(&f[i], cell);
        rf_out_printf(",%s", head ? f[i].key : cell);
    }
    rf_out_text("\n");
}

static rf_status print_json(const rf_sim_result *results, size_t n, const char *model,
                            bool intrudes, rf_error *err) {
    json_t *rows = json_array();
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        figure f[N_FIGURES];
        size_t n_figures = figures_of(&results[i], intrudes, f);
        json_t *row = json_object();
        rf_json_set(row, "model", rf_json_str(rf_str_of(model)), &ok);
        for (size_t k = 0; k < n_figures; k++)
            rf_json_set(row, f[k].key,
                        isfinite(f[k].value) ? json_real(f[k].value) : json_string("inf"), &ok);
        rf_json_add(rows, row, &ok);
    }
    if (ok)
        rf_out_json(rows, JSON_INDENT(1));
    json_decref(rows);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the JSON");
}

rf_status rf_sim_report(const rf_sim_result *results, size_t n, const char *model, bool intrudes,
                        rf_bench_format format, rf_error *err) {
    if (format == RF_BENCH_FORMAT_JSON)
        return print_json(results, n, model, intrudes, err);
    for (size_t i = 0; i < n; i++) {
        figure f[N_FIGURES];
        size_t n_figures = figures_of(&results[i], intrudes, f);
        if (format == RF_BENCH_FORMAT_CSV) {
            if (i == 0)
                print_csv(f, n_figures, model, true);
            print_csv(f, n_figures, model, false);
            continue;
        }
        if (i == 0) {
            print_table_row(f, n_figures, true);
            print_rule(f, n_figures);
        }
        print_table_row(f, n_figures, false);
    }
    return rf_out_flush(err);
}
