/*
 * Asks a model a question and prints the answer as it comes.
 *     cc stream_answer.c $(pkg-config --cflags --libs rocmforge) -o stream_answer
 *     ./stream_answer model.gguf "Why is the sky blue?"
 */
#include <rocmforge.h>
#include <stdio.h>

static int32_t show(void *user, const rocmforge_event *event) {
    (void)user;
    if (event->kind == ROCMFORGE_EVENT_TOKEN) {
        fwrite(event->text, 1, event->n_bytes, stdout);
        fflush(stdout);
    } else if (event->last) {
        fprintf(stderr, "\n%u tokens after %u, ended by %s\n", event->n_generated, event->n_prompt,
                rocmforge_finish_name(event->finish));
    }
    return ferror(stdout); /* anything but 0 ends the answer */
}

static rocmforge_status answer(rocmforge_model *model, rocmforge_engine *engine, const char *text) {
    rocmforge_model_info info = rocmforge_model_info_init();
    rocmforge_prompt prompt = rocmforge_prompt_init();
    rocmforge_request_options options = rocmforge_request_options_init();
    rocmforge_message message = {"user", text};
    rocmforge_status status = rocmforge_model_get_info(model, &info);
    if (status != ROCMFORGE_OK)
        return status;
    if (info.has_chat_template) {
        prompt.messages = &message;
        prompt.n_messages = 1;
    } else {
        prompt.text = text;
    }
    options.prompt = &prompt;
    options.n_tokens = 128;
    options.sampling = "temperature=0";
    return rocmforge_run(engine, &options, show, NULL);
}

int main(int argc, char **argv) {
    rocmforge_model *model = NULL;
    rocmforge_engine *engine = NULL;
    if (argc != 3)
        return 2;
    rocmforge_status status = rocmforge_model_open(argv[1], NULL, &model);
    if (status == ROCMFORGE_OK)
        status = rocmforge_engine_open(model, NULL, &engine);
    if (status == ROCMFORGE_OK)
        status = answer(model, engine, argv[2]);
    if (status != ROCMFORGE_OK)
        fprintf(stderr, "error: %s\n", rocmforge_last_error());
    if (engine)
        rocmforge_engine_close(engine);
    if (model)
        rocmforge_model_close(model);
    return status == ROCMFORGE_OK ? 0 : 1;
}
