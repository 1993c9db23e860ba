/*
 * Embeds texts, all at once, and prints how alike each is to the first.
 *     cc similar_texts.c $(pkg-config --cflags --libs rocmforge) -o similar_texts
 *     ./similar_texts model.gguf "a cat" "a kitten" "a tax form"
 */
#include <rocmforge.h>
#include <stdio.h>

enum { TEXTS_MAX = 64, WIDTH_MAX = 16384 };

static rocmforge_request *requests[TEXTS_MAX];
static float first[WIDTH_MAX];

static rocmforge_status compare(rocmforge_engine *engine, char **texts, int n) {
    rocmforge_status status = ROCMFORGE_OK;
    for (int i = 0; i < n && status == ROCMFORGE_OK; i++) {
        rocmforge_prompt prompt = rocmforge_prompt_init();
        rocmforge_request_options options = rocmforge_request_options_init();
        prompt.text = texts[i];
        options.prompt = &prompt;
        options.kind = ROCMFORGE_EMBED;
        options.normalise = 1;
        status = rocmforge_submit(engine, &options, &requests[i]);
    }
    for (int i = 0; i < n && status == ROCMFORGE_OK; i++) {
        rocmforge_event event = rocmforge_event_init();
        double product = 0;
        status = rocmforge_request_next(requests[i], &event, -1);
        if (status != ROCMFORGE_OK || event.kind != ROCMFORGE_EVENT_EMBEDDING)
            return status != ROCMFORGE_OK ? status : event.status;
        for (size_t d = 0; d < event.n_embedding && d < WIDTH_MAX; d++) {
            if (i == 0)
                first[d] = event.embedding[d];
            product += (double)first[d] * event.embedding[d];
        }
        printf("%.4f  %s\n", product, texts[i]);
    }
    return status;
}

int main(int argc, char **argv) {
    rocmforge_model *model = NULL;
    rocmforge_engine *engine = NULL;
    if (argc < 3 || argc > TEXTS_MAX + 2)
        return 2;
    rocmforge_status status = rocmforge_model_open(argv[1], NULL, &model);
    if (status == ROCMFORGE_OK)
        status = rocmforge_engine_open(model, NULL, &engine);
    if (status == ROCMFORGE_OK)
        status = compare(engine, argv + 2, argc - 2);
    if (status != ROCMFORGE_OK)
        fprintf(stderr, "error: %s\n", rocmforge_last_error());
    for (int i = 0; i < TEXTS_MAX && requests[i]; i++)
        rocmforge_request_close(requests[i]);
    rocmforge_engine_close(engine);
    rocmforge_model_close(model);
    return status == ROCMFORGE_OK ? 0 : 1;
}
