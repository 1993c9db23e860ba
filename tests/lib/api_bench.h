/*
 * What the tests of the library share: the tiny golden model behind the public header. Test code;
 * what cannot be gone on from ends the program.
 */
#ifndef RF_TESTS_API_BENCH_H
#define RF_TESTS_API_BENCH_H

#include <stdbool.h>

#include "rocmforge.h"

#define API_MODEL "tests/golden/models/llama.gguf"
#define API_TEMPLATE                                                     \
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}" \
    "{% if add_generation_prompt %}[assistant]{% endif %}"

typedef struct api_bench {
    rocmforge_model *model;
    rocmforge_engine *engine;
} api_bench;

/* The one that a test's groups are set up with. */
extern api_bench bench;
int api_bench_setup(void **state);
int api_bench_teardown(void **state);

/* With room for 4 requests at once, 400 tokens of cache, one thread. */
void api_bench_open(api_bench *b);
void api_bench_close(api_bench *b);

/* Borrows text. */
rocmforge_prompt api_text_prompt(const char *text);
/* Greedy, past the end token; borrows prompt. */
rocmforge_request_options api_ask(const rocmforge_prompt *prompt, uint32_t n_tokens);

#define OK(call)                \
    if ((call) != ROCMFORGE_OK) \
    fail_msg("%s: %s", #call, rocmforge_last_error())

/* What a request gave, all choices together. */
typedef struct api_answer {
    char text[4][4096];
    int32_t tokens[4][256];
    uint32_t n_tokens[4];
    int32_t finish[4];
    rocmforge_event end; /* the last event; its pointers are not valid */
    uint32_t n_events;
} api_answer;

void api_answer_add(api_answer *answer, const rocmforge_event *event);
/* An event callback; user: the api_answer. */
int32_t api_answer_take(void *user, const rocmforge_event *event);

/* The status must be misuse of this rule; ends the test otherwise. */
void api_breaks(rocmforge_status status, rocmforge_rule rule, const char *where);

#endif
