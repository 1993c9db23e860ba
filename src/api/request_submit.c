/* What is asked of a request becomes an order to the engine. */
#include <math.h>

#include "api/request_handle.h"
#include "api/sized_struct.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "text/answer_constraint.h"
#include "text/breakers.h"
#include "text/sampling_text.h"

enum { STOPS_MAX_BYTES = 16 << 20, MAX_CHOICES = 65536 };

/* What lives until the engine has its copy. */
typedef struct order {
    rf_request request;
    rf_tokens prompt;
    rf_sample_params params;
    rf_logit_bias *biases; /* owned */
    rf_breakers breakers;
    rf_automaton *constraint; /* owned, or NULL */
} order;

static void order_deinit(order *o) {
    rf_tokens_deinit(&o->prompt);
    rf_breakers_deinit(&o->breakers);
    rf_free(o->biases);
    rf_free(o->constraint);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static rocmforge_status check_list(const char *const *texts, size_t n, const char *name) {
    if (n > 0 && !texts)
        return rf_api_misuse(ROCMFORGE_RULE_NULL, "%s is NULL and has %zu items", name, n);
    for (size_t i = 0; i < n; i++)
        if (!texts[i])
            return rf_api_misuse(ROCMFORGE_RULE_NULL, "%s[%zu] is NULL", name, i);
    return ROCMFORGE_OK;
}

static rocmforge_status check(const rocmforge_request_options *options) {
    if (options->kind < ROCMFORGE_GENERATE || options->kind > ROCMFORGE_SCORE)
        return rf_api_misuse(ROCMFORGE_RULE_VALUE, "kind %d, expected %d to %d", options->kind,
                             ROCMFORGE_GENERATE, ROCMFORGE_SCORE);
    if (options->pooling < ROCMFORGE_POOL_MEAN || options->pooling > ROCMFORGE_POOL_CLS)
        return rf_api_misuse(ROCMFORGE_RULE_VALUE, "pooling %d, expected %d to %d",
                             options->pooling, ROCMFORGE_POOL_MEAN, ROCMFORGE_POOL_CLS);
    if (options->n_biases > 0 && !options->biases)
        return rf_api_misuse(ROCMFORGE_RULE_NULL, "biases is NULL and has %zu items",
                             options->n_biases);
    if (options->draft < ROCMFORGE_DRAFT_DEFAULT || options->draft > ROCMFORGE_DRAFT_LOOKUP)
        return rf_api_misuse(ROCMFORGE_RULE_VALUE, "draft %d, expected %d to %d", options->draft,
                             ROCMFORGE_DRAFT_DEFAULT, ROCMFORGE_DRAFT_LOOKUP);
    RF_API_TRY(check_list(options->stops, options->n_stops, "stops"));
    RF_API_TRY(check_list(options->one_of, options->n_one_of, "one_of"));
    return check_list(options->dry_breakers, options->n_dry_breakers, "dry_breakers");
}

static rf_status check_constraint(const rocmforge_request_options *options, rf_error *err) {
    const struct {
        const char *name, *text;
        bool given;
    } kinds[] = {{"regex", NULL, options->regex != NULL},
                 {"one_of", NULL, options->n_one_of > 0},
                 {"grammar", options->grammar, options->grammar != NULL},
                 {"json_schema", options->json_schema, options->json_schema != NULL}};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!kinds[i].given)
            continue;
        if (found)
            return rf_fail(err, RF_ERR_INVALID, "found %s and %s, expected one of them", found,
                           kinds[i].name);
        found = kinds[i].name;
        if (kinds[i].text && !kinds[i].text[0])
            return rf_fail(err, RF_ERR_INVALID, "%s is an empty text", found);
    }
    return RF_OK;
}

static rf_status check_bounds(const rocmforge_request_options *options, rf_error *err) {
    if (options->n_top > RF_SAMPLE_MAX_PROBS)
        return rf_fail(err, RF_ERR_INVALID, "n_top is %u, expected at most %d", options->n_top,
                       RF_SAMPLE_MAX_PROBS);
    if (options->n_choices > MAX_CHOICES)
        return rf_fail(err, RF_ERR_INVALID, "n_choices is %u, expected at most %d",
                       options->n_choices, MAX_CHOICES);
    if (options->n_biases > RF_SAMPLE_MAX_BIASES)
        return rf_fail(err, RF_ERR_INVALID, "%zu biases, expected at most %d", options->n_biases,
                       RF_SAMPLE_MAX_BIASES);
    RF_TRY(check_constraint(options, err));
    for (size_t i = 0; i < options->n_stops; i++) {
        size_t n = strlen(options->stops[i]);
        if (n == 0 || rf_utf8_valid_prefix(options->stops[i], n) < n)
            return rf_fail(err, RF_ERR_INVALID, "stops[%zu] is %s, expected UTF-8 text", i,
                           n == 0 ? "empty" : "no UTF-8");
    }
    return RF_OK;
}

/* ---- sampling -------------------------------------------------------------------------------- */

static rf_status take_biases(order *o, const rf_api_model *model,
                             const rocmforge_request_options *options, rf_error *err) {
    size_t n_ends = 0, n = options->n_biases;
    const int32_t *ends = rf_tokenizer_eog(model->tokenizer, &n_ends);
    if (!options->ignore_end)
        n_ends = 0;
    if (n + n_ends == 0)
        return RF_OK;
    o->biases = rf_calloc(n + n_ends, sizeof *o->biases);
    if (!o->biases)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu biases", n + n_ends);
    for (size_t i = 0; i < n; i++)
        o->biases[i] = (rf_logit_bias){options->biases[i].token, options->biases[i].bias};
    for (size_t i = 0; i < n_ends; i++)
        o->biases[n + i] = (rf_logit_bias){ends[i], -INFINITY};
    o->params.logit_bias = o->biases;
    o->params.n_logit_bias = (uint32_t)(n + n_ends);
    return RF_OK;
}

static rf_status take_sampling(order *o, const rf_api_model *model,
                               const rocmforge_request_options *options, rf_error *err) {
    o->params = rf_sample_params_default();
    locale_t before = rf_api_numbers_enter(model);
    rf_status status = rf_sampling_text_apply(rf_str_of(options->sampling), &o->params, err);
    rf_api_numbers_leave(before);
    RF_TRY(status);
    o->params.n_probs = options->n_top;
    if (o->params.seed < 0)
        o->params.seed = rf_sample_draw_seed();
    if (o->params.dry_multiplier > 0) {
        if (rf_breakers_init(&o->breakers, options->dry_breakers, options->n_dry_breakers,
                             model->tokenizer, err) != RF_OK)
            return rf_fail_prefix(err, "dry_breakers");
        o->params.dry_breakers = o->breakers.spans;
        o->params.n_dry_breakers = o->breakers.n;
    }
    return take_biases(o, model, options, err);
}

static bool continues(const rocmforge_request_options *options) {
    return !options->prompt->messages && !options->prompt->messages_json;
}

static rf_status take_constraint(order *o, const rf_api_model *model,
                                 const rocmforge_request_options *options, rf_error *err) {
    rf_answer_spec spec = {
        .pattern = options->regex, .choices = options->one_of, .n_choices = options->n_one_of};
    if (options->grammar)
        spec.grammar = rf_str_of(options->grammar);
    if (options->json_schema)
        spec.schema_text = rf_str_of(options->json_schema);
    locale_t before = rf_api_numbers_enter(model);
    rf_status status = rf_answer_constraint_compile(&spec, model->tokenizer, continues(options),
                                                    &o->constraint, err);
    rf_api_numbers_leave(before);
    RF_TRY(status);
    o->request.constraint = o->constraint;
    return RF_OK;
}

/* ---- the request ----------------------------------------------------------------------------- */

static void fill_order(order *o, const rf_api_engine *engine,
                       const rocmforge_request_options *options) {
    static const rf_request_kind kinds[] = {RF_REQUEST_GENERATE, RF_REQUEST_EMBED,
                                            RF_REQUEST_SCORE};
    static const rf_pooling poolings[] = {RF_POOL_MEAN, RF_POOL_LAST, RF_POOL_CLS};
    size_t n_ends = 0;
    o->request = (rf_request){.kind = kinds[options->kind],
                              .tokens = o->prompt.ids,
                              .n_tokens = (uint32_t)o->prompt.n,
                              .priority = options->priority,
                              .salt = options->cache_salt,
                              .keeps_private = options->keeps_private != 0,
                              .n_new = options->n_tokens ? options->n_tokens : RF_NEW_TOKENS_MAX,
                              .n_choices = options->n_choices,
                              .scores_from = options->scores_from,
                              .n_top = options->n_top,
                              .pooling = poolings[options->pooling],
                              .normalise = options->normalise != 0};
    if (options->kind == ROCMFORGE_GENERATE)
        o->request.params = &o->params;
    if (options->draft == ROCMFORGE_DRAFT_LOOKUP)
        o->request.draft = RF_DRAFT_LOOKUP;
    else if (options->draft == ROCMFORGE_DRAFT_DEFAULT && engine->draft)
        o->request.draft = RF_DRAFT_MODEL;
    if (options->kind == ROCMFORGE_GENERATE && !options->ignore_end) {
        o->request.stop_tokens = rf_tokenizer_eog(engine->model->tokenizer, &n_ends);
        o->request.n_stop = (uint32_t)n_ends;
    }
}

static rf_status make_choices(rf_api_request *request, const rocmforge_request_options *options,
                              rf_error *err) {
    uint32_t n = request->n_choices;
    rf_arena_init(&request->texts, STOPS_MAX_BYTES);
    const char **stops = RF_ARENA_ARRAY(&request->texts, const char *, options->n_stops + 1);
    request->choices = rf_calloc(n, sizeof *request->choices);
    request->todo = rf_calloc((size_t)n + 3, sizeof *request->todo);
    bool ok = stops && request->choices && request->todo;
    for (size_t i = 0; ok && i < options->n_stops; i++) {
        stops[i] = rf_arena_str(&request->texts, rf_str_of(options->stops[i])).ptr;
        ok = stops[i] != NULL;
    }
    for (uint32_t i = 0; request->choices && i < n; i++)
        rf_answer_text_init(&request->choices[i].text, request->engine->model->tokenizer, stops,
                            options->n_stops, continues(options));
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u choices", n);
}

static rf_status prepare(rf_api_request *request, order *o,
                         const rocmforge_request_options *options, rf_error *err) {
    RF_TRY(check_bounds(options, err));
    bool generates = options->kind == ROCMFORGE_GENERATE;
    fill_order(o, request->engine, options);
    if (generates)
        RF_TRY(take_sampling(o, request->engine->model, options, err));
    if (generates)
        RF_TRY(take_constraint(o, request->engine->model, options, err));
    request->kind = options->kind;
    request->n_new = o->request.n_new;
    request->n_choices = generates && options->n_choices > 1 ? options->n_choices : 1;
    request->n_prompt = o->request.n_tokens;
    request->n_top = options->n_top;
    request->scores_from = options->scores_from > 0 ? options->scores_from : 1;
    request->ignore_end = options->ignore_end != 0;
    request->seed = o->params.seed;
    request->user = options->user;
    return make_choices(request, options, err);
}

static rocmforge_status send(rf_api_request *request, const order *o) {
    rf_api_engine *engine = request->engine;
    rf_error err = {0};
    pthread_mutex_lock(&engine->lock);
    rocmforge_status status =
        engine->engine && !engine->closing
            ? rf_api_result(rf_api_engine_submit(engine, request, &o->request, &err), &err)
            : rf_api_misuse(ROCMFORGE_RULE_HANDLE_CLOSED, "the engine was closed meanwhile");
    pthread_mutex_unlock(&engine->lock);
    return status;
}

/* Makes a request that runs, with one holder; has_handle: with a handle, which is *out_handle. */
static rocmforge_status start(rf_api_engine *engine, const rocmforge_request_options *given,
                              bool has_handle, rf_api_request **out) {
    rocmforge_request_options options;
    void *handle = NULL;
    order o = {0};
    rf_error err = {0};
    RF_API_NOT_NULL(given);
    RF_API_TRY(rf_api_struct_read(RF_API_STRUCT_request_options, given, &options));
    RF_API_TRY(check(&options));
    rf_api_request *request = rf_api_request_new(engine);
    if (!request)
        return rf_api_fail(ROCMFORGE_NO_MEMORY, "out of memory for the request");
    rocmforge_status status = rf_api_prompt_tokens(engine->model, options.prompt, &o.prompt);
    if (status == ROCMFORGE_OK)
        status = rf_api_result(prepare(request, &o, &options, &err), &err);
    if (status == ROCMFORGE_OK && has_handle)
        status = rf_handle_make(&request->object, &handle);
    request->handle = handle;
    if (status == ROCMFORGE_OK)
        status = send(request, &o);
    order_deinit(&o);
    if (status != ROCMFORGE_OK) {
        rf_object *closed = NULL;
        if (handle && rf_handle_close(handle, RF_HANDLE_REQUEST, &closed) == ROCMFORGE_OK)
            rf_object_drop(closed);
        rf_object_drop(&request->object);
        return status;
    }
    *out = request;
    return ROCMFORGE_OK;
}

/* ---- public ---------------------------------------------------------------------------------- */

rocmforge_status rocmforge_submit(rocmforge_engine *handle,
                                  const rocmforge_request_options *options,
                                  rocmforge_request **out) {
    rf_api_engine *engine;
    rf_api_request *request;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_NOT_NULL(out);
    *out = NULL;
    RF_API_TRY(rf_api_engine_take(handle, &engine));
    rocmforge_status status = start(engine, options, true, &request);
    if (status == ROCMFORGE_OK) {
        *out = request->handle;
        rf_object_drop(&request->object);
    }
    rf_object_drop(&engine->object);
    return status;
}

/* Hands every event to the callback. */
static rocmforge_status run(rf_api_request *request, rocmforge_event_fn on_event, void *user) {
    rocmforge_event event = {0};
    while (!event.last) {
        RF_API_TRY(rf_api_request_await(request, &event, -1));
        event.struct_size = sizeof event;
        rf_api_callback before = rf_api_callback_begin(RF_API_EVENT_CALLBACK);
        bool enough = on_event && on_event(user, &event) != 0;
        rf_api_callback_end(before);
        if (enough && !event.last)
            return rf_api_fail(ROCMFORGE_CANCELLED, "the callback wanted no more");
    }
    if (event.finish == ROCMFORGE_FINISH_FAILED)
        return rf_api_fail(event.status, "%s", event.error);
    if (event.finish == ROCMFORGE_FINISH_CLOSED)
        return rf_api_fail(ROCMFORGE_CANCELLED, "the engine was closed meanwhile");
    return ROCMFORGE_OK;
}

rocmforge_status rocmforge_run(rocmforge_engine *handle, const rocmforge_request_options *options,
                               rocmforge_event_fn on_event, void *user) {
    rf_api_engine *engine;
    rf_api_request *request;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_TRY(rf_api_engine_take(handle, &engine));
    rocmforge_status status = start(engine, options, false, &request);
    if (status == ROCMFORGE_OK) {
        status = run(request, on_event, user);
        rf_api_request_end(request);
    }
    rf_object_drop(&engine->object);
    return status;
}
