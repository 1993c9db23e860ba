/* OpenAI's embeddings: a vector for each prompt. */
#include "server/form_embeddings.h"

#include <string.h>

#include "chat/messages.h"
#include "server/answer_json.h"
#include "server/server_state.h"

/* Numbers of 32 bits, little endian, as this machine has them. */
static void write_base64(const float *vector, size_t n, rf_buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *bytes = (const unsigned char *)vector;
    size_t n_bytes = n * sizeof *vector;
    rf_buf_put(out, '"');
    for (size_t i = 0; i < n_bytes; i += 3) {
        uint32_t left = (uint32_t)(n_bytes - i < 3 ? n_bytes - i : 3), word = 0;
        for (uint32_t b = 0; b < 3; b++)
            word = word << 8 | (b < left ? bytes[i + b] : 0);
        for (uint32_t d = 0; d < 4; d++)
            rf_buf_put(out, d > left ? '=' : digits[word >> (18 - 6 * d) & 63]);
    }
    rf_buf_put(out, '"');
}

static void write_numbers(const float *vector, size_t n, rf_buf *out) {
    for (size_t i = 0; i < n; i++)
        rf_buf_printf(out, "%c%.9g", i > 0 ? ',' : '[', (double)vector[i]);
    rf_buf_put(out, ']');
}

static void whole(const rf_answer *answer, rf_buf *out) {
    const rf_server_options *options = &answer->exchange->server->options;
    size_t n_tokens = 0;
    rf_buf_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < answer->n_prompts; i++) {
        const rf_answer_prompt *prompt = &answer->prompts[i];
        n_tokens += prompt->n_tokens;
        rf_buf_printf(
            out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i > 0 ? "," : "", i);
        if (!prompt->vector) /* its client has left */
            rf_buf_text(out, "null");
        else if (answer->writes_base64)
            write_base64(prompt->vector, options->n_embd, out);
        else
            write_numbers(prompt->vector, options->n_embd, out);
        rf_buf_put(out, '}');
    }
    rf_buf_text(out, "],\"model\":");
    rf_json_append_string(out, rf_str_of(options->model_name));
    rf_buf_printf(out, ",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", n_tokens,
                  n_tokens);
}

const rf_answer_form rf_form_embeddings = {
    .id_prefix = "embd-",
    .prompt_field = "input",
    .embeds = true,
    .whole = whole,
};
