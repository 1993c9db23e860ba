#include "tests/lib/api_bench.h"

#include <stdio.h>
#include <stdlib.h>

void api_bench_open(api_bench *b) {
    rocmforge_model_options options = rocmforge_model_options_init();
    rocmforge_engine_options engine = rocmforge_engine_options_init();
    options.chat_template = API_TEMPLATE;
    engine.n_ctx = 256;
    engine.kv_tokens = 400;
    engine.max_requests = 4;
    engine.n_threads = 1;
    if (rocmforge_model_open(API_MODEL, &options, &b->model) == ROCMFORGE_OK &&
        rocmforge_engine_open(b->model, &engine, &b->engine) == ROCMFORGE_OK)
        return;
    (void)fprintf(stderr, "api_bench: %s\n", rocmforge_last_error());
    abort();
}

void api_bench_close(api_bench *b) {
    if (rocmforge_engine_close(b->engine) == ROCMFORGE_OK &&
        rocmforge_model_close(b->model) == ROCMFORGE_OK)
        return;
    (void)fprintf(stderr, "api_bench: %s\n", rocmforge_last_error());
    abort();
}

void api_answer_add(api_answer *answer, const rocmforge_event *event) {
    uint32_t c = event->choice;
    answer->n_events++;
    if (event->kind == ROCMFORGE_EVENT_TOKEN) {
        size_t n = strlen(answer->text[c]);
        if (n + event->n_bytes < sizeof answer->text[c])
            memcpy(answer->text[c] + n, event->text, event->n_bytes + 1);
        if (event->token >= 0 && answer->n_tokens[c] < 256)
            answer->tokens[c][answer->n_tokens[c]++] = event->token;
    }
    if (event->kind == ROCMFORGE_EVENT_FINISH)
        answer->finish[c] = event->finish;
    if (event->last)
        answer->end = *event;
}

int32_t api_answer_take(void *user, const rocmforge_event *event) {
    api_answer_add(user, event);
    return 0;
}

void api_breaks(rocmforge_status status, rocmforge_rule rule, const char *where) {
    char name[64];
    (void)snprintf(name, sizeof name, "rule %s:", rocmforge_rule_name(rule));
    if (status == ROCMFORGE_MISUSE && rocmforge_last_rule() == rule &&
        strstr(rocmforge_last_error(), name))
        return;
    (void)fprintf(stderr, "%s: found status %s, rule %s (%s), expected rule %s\n", where,
                  rocmforge_status_name(status), rocmforge_rule_name(rocmforge_last_rule()),
                  rocmforge_last_error(), rocmforge_rule_name(rule));
    abort();
}

api_bench bench;

int api_bench_setup(void **state) {
    (void)state;
    api_bench_open(&bench);
    return 0;
}

int api_bench_teardown(void **state) {
    (void)state;
    api_bench_close(&bench);
    return 0;
}

rocmforge_prompt api_text_prompt(const char *text) {
    rocmforge_prompt prompt = rocmforge_prompt_init();
    prompt.text = text;
    return prompt;
}

rocmforge_request_options api_ask(const rocmforge_prompt *prompt, uint32_t n_tokens) {
    rocmforge_request_options options = rocmforge_request_options_init();
    options.prompt = prompt;
    options.n_tokens = n_tokens;
    options.sampling = "temperature=0";
    options.ignore_end = 1;
    return options;
}
