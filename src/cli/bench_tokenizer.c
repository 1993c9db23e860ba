#include "cli/bench_tokenizer.h"

#include "base/buf.h"
#include "base/clock.h"
#include "cli/file_input.h"
#include "cli/output.h"
#include "tokenizer/tokenizer.h"

enum { TEXT_MAX_BYTES = 256 << 20 };
/* A repetition goes through the text until it has seen so many bytes: the clock is read seldom. */
enum { REPETITION_MIN_BYTES = 1 << 20 };

/* Of the repetitions of one test. */
typedef struct speed {
    double sum, sum_of_squares;
    size_t n;
} speed;

static void add(speed *s, double value) {
    s->sum += value;
    s->sum_of_squares += value * value;
    s->n++;
}

static double mean(const speed *s) { return s->sum / (double)s->n; }

static double deviation(const speed *s) {
    return rf_bench_deviation(s->sum, s->sum_of_squares, s->n);
}

typedef struct result {
    const char *path, *model, *pre;
    size_t n_bytes, n_tokens;
    double load_ms;
    speed encode, decode; /* MB of text a second */
} result;

static double mb_per_second(size_t n_bytes, uint64_t ns) {
    return (double)n_bytes / ((double)(ns > 0 ? ns : 1) * 1e-3);
}

/* Takes the text n times and its ids back n times; tokens and back are scratch. */
static rf_status repeat(const rf_tokenizer *tokenizer, rf_str text, size_t n, rf_tokens *tokens,
                        rf_buf *back, result *r, rf_error *err) {
    const rf_encode_options options = {.add_special = false, .parse_special = false};
    uint64_t start = rf_clock_ns();
    for (size_t i = 0; i < n; i++) {
        tokens->n = 0;
        RF_TRY(rf_tokenizer_encode(tokenizer, text, options, tokens, err));
    }
    uint64_t encoded = rf_clock_ns();
    for (size_t i = 0; i < n; i++) {
        rf_buf_clear(back);
        RF_TRY(rf_tokenizer_decode(tokenizer, tokens->ids, tokens->n, back, err));
    }
    uint64_t decoded = rf_clock_ns();
    r->n_tokens = tokens->n;
    add(&r->encode, mb_per_second(n * text.len, encoded - start));
    add(&r->decode, mb_per_second(n * back->len, decoded - encoded));
    return RF_OK;
}

static rf_status measure(const rf_tokenizer *tokenizer, rf_str text, size_t repetitions, result *r,
                         rf_error *err) {
    rf_tokens tokens = {0};
    rf_buf back;
    rf_buf_init(&back, SIZE_MAX);
    size_t n = (REPETITION_MIN_BYTES + text.len - 1) / text.len;
    rf_status status = repeat(tokenizer, text, 1, &tokens, &back, r, err); /* warm-up */
    r->encode = r->decode = (speed){0};
    for (size_t i = 0; status == RF_OK && i < repetitions; i++)
        status = repeat(tokenizer, text, n, &tokens, &back, r, err);
    rf_buf_deinit(&back);
    rf_tokens_deinit(&tokens);
    return status;
}

static json_t *speed_json(const speed *s, bool *ok) {
    json_t *object = json_object();
    rf_json_set(object, "mean", json_real(mean(s)), ok);
    rf_json_set(object, "deviation", json_real(deviation(s)), ok);
    return object;
}

static void add_json(json_t *list, const result *r, bool *ok) {
    json_t *object = json_object();
    rf_json_set(object, "file", rf_json_str(rf_str_of(r->path)), ok);
    rf_json_set(object, "tokenizer", rf_json_str(rf_str_of(r->model)), ok);
    rf_json_set(object, "pre", rf_json_str(rf_str_of(r->pre)), ok);
    rf_json_set(object, "bytes", json_integer((json_int_t)r->n_bytes), ok);
    rf_json_set(object, "tokens", json_integer((json_int_t)r->n_tokens), ok);
    rf_json_set(object, "load_ms", json_real(r->load_ms), ok);
    rf_json_set(object, "repetitions", json_integer((json_int_t)r->encode.n), ok);
    rf_json_set(object, "encode_mb_per_second", speed_json(&r->encode, ok), ok);
    rf_json_set(object, "decode_mb_per_second", speed_json(&r->decode, ok), ok);
    rf_json_add(list, object, ok);
}

static void print_head(rf_bench_format format) {
    if (format == RF_BENCH_FORMAT_MD)
        rf_out_text("| file | tokenizer | bytes | tokens | load, ms | encode, MB/s | decode, MB/s "
                    "|\n|---|---|--:|--:|--:|--:|--:|\n");
    if (format == RF_BENCH_FORMAT_CSV)
        rf_out_text("file,tokenizer,pre,bytes,tokens,load_ms,repetitions,encode_mb_per_second,"
                    "encode_deviation,decode_mb_per_second,decode_deviation\n");
}

static void print_row(rf_bench_format format, const result *r) {
    if (format == RF_BENCH_FORMAT_MD) {
        rf_out_text("| ");
        rf_out_safe(rf_str_of(r->path), 200, false);
        rf_out_printf(" | %s, %s | %zu | %zu | %.1f | %.2f ± %.2f | %.2f ± %.2f |\n", r->model,
                      r->pre, r->n_bytes, r->n_tokens, r->load_ms, mean(&r->encode),
                      deviation(&r->encode), mean(&r->decode), deviation(&r->decode));
    } else if (format == RF_BENCH_FORMAT_CSV) {
        rf_bench_csv_text(r->path);
        rf_out_printf(",%s,%s,%zu,%zu,%.3f,%zu,%.3f,%.3f,%.3f,%.3f\n", r->model, r->pre, r->n_bytes,
                      r->n_tokens, r->load_ms, r->encode.n, mean(&r->encode), deviation(&r->encode),
                      mean(&r->decode), deviation(&r->decode));
    }
}

/* One file: json takes the result where that is the format. */
static rf_status run_file(const char *path, rf_str text, const rf_bench_tokenizer_args *args,
                          json_t *json, rf_error *err) {
    rf_gguf_open_options open = {.no_data = true};
    rf_gguf *gguf = NULL;
    rf_tokenizer *tokenizer = NULL;
    RF_TRY(rf_gguf_open(path, &open, &gguf, err));
    result r = {.path = path, .n_bytes = text.len};
    uint64_t start = rf_clock_ns();
    rf_status status = rf_tokenizer_create(gguf, &tokenizer, err);
    r.load_ms = (double)(rf_clock_ns() - start) * 1e-6;
    if (status == RF_OK)
        status = measure(tokenizer, text, args->repetitions, &r, err);
    if (status == RF_OK) {
        bool ok = true;
        r.model = rf_tokenizer_model(tokenizer);
        r.pre = rf_tokenizer_pre(tokenizer);
        if (args->format == RF_BENCH_FORMAT_JSON)
            add_json(json, &r, &ok);
        else
            print_row(args->format, &r);
        status = ok ? rf_out_flush(err) : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for JSON");
    }
    rf_tokenizer_destroy(tokenizer);
    rf_gguf_close(gguf);
    return status;
}

rf_status rf_bench_tokenizer(const rf_bench_tokenizer_args *args, rf_error *err) {
    rf_buf text;
    rf_buf_init(&text, TEXT_MAX_BYTES);
    json_t *json = json_array();
    rf_status status = rf_input_read(args->text, &text, err);
    if (status == RF_OK && text.len == 0)
        status = rf_fail(err, RF_ERR_USAGE, "%s: found an empty text, expected one to encode",
                         args->text);
    if (status == RF_OK)
        print_head(args->format);
    for (size_t i = 0; status == RF_OK && i < args->n_models; i++)
        status = run_file(args->models[i], rf_buf_view(&text), args, json, err);
    if (status == RF_OK && args->format == RF_BENCH_FORMAT_JSON) {
        rf_out_json(json, JSON_INDENT(1));
        status = rf_out_flush(err);
    }
    json_decref(json);
    rf_buf_deinit(&text);
    return status;
}
