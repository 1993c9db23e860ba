/* OpenAI's completions. */
#include "chat/messages.h"
#include "server/answer_json.h"

static const rf_answer_prompt *prompt_of(const rf_choice *choice) {
    return &choice->answer->prompts[rf_answer_index(choice) / choice->answer->n_wanted];
}

static void begin(rf_answer *answer) {
    rf_buf_text(&answer->head, "data: ");
    rf_answer_json_head(answer, "text_completion", &answer->head);
}

/* Prompts are echoed when a choice begins. */
static void begin_choice(rf_answer *answer, rf_choice *choice) {
    if (choice->has_begun)
        return;
    choice->has_begun = true;
    if (!answer->echoes)
        return;
    rf_chunk_begin(answer, choice);
    rf_buf_text(&answer->sent, "\"text\":");
    rf_json_append_string(&answer->sent, rf_buf_view(&prompt_of(choice)->echo));
    rf_chunk_logprobs(answer, choice);
    rf_chunk_end(answer, RF_CHOICE_OPEN);
}

static void part(rf_answer *answer, rf_choice *choice, rf_reply_part kind, rf_str text) {
    (void)kind; /* it is all text */
    begin_choice(answer, choice);
    rf_chunk_begin(answer, choice);
    rf_buf_text(&answer->sent, "\"text\":");
    rf_json_append_string(&answer->sent, text);
    rf_chunk_logprobs(answer, choice);
    rf_chunk_end(answer, RF_CHOICE_OPEN);
}

static void finish(rf_answer *answer, rf_choice *choice) {
    begin_choice(answer, choice);
    rf_chunk_begin(answer, choice);
    rf_buf_text(&answer->sent, "\"text\":\"\"");
    rf_chunk_logprobs(answer, choice);
    rf_chunk_end(answer, choice->end);
}

static void write_choice(const rf_answer *answer, const rf_choice *choice, rf_buf *out) {
    size_t i = rf_answer_index(choice);
    rf_buf text;
    rf_buf_init(&text, SIZE_MAX / 2);
    if (answer->echoes)
        rf_buf_str(&text, rf_buf_view(&prompt_of(choice)->echo));
    rf_choice_texts(choice, RF_REPLY_TEXT, &text);
    out->failed |= text.failed;
    rf_buf_printf(out, "%s{\"index\":%zu,\"text\":", i > 0 ? "," : "", i);
    rf_json_append_string(out, rf_buf_view(&text));
    rf_buf_deinit(&text);
    rf_buf_text(out, ",\"logprobs\":");
    rf_logprobs_write(answer, choice, out);
    rf_buf_printf(out, ",\"finish_reason\":\"%s\"}", rf_finish_name(choice->end));
}

static void whole(const rf_answer *answer, rf_buf *out) {
    rf_answer_json_head(answer, "text_completion", out);
    rf_buf_text(out, ",\"choices\":[");
    for (size_t i = 0; i < answer->n_prompts * answer->n_wanted; i++)
        write_choice(answer, &answer->choices[i], out);
    rf_buf_text(out, "],");
    rf_answer_json_end(answer, out);
}

const rf_answer_form rf_form_completion = {
    .id_prefix = "cmpl-",
    .prompt_field = "prompt",
    .continues = true,
    .lists_logprobs = true,
    .n_predict = 16, /* OpenAI's default */
    .begin = begin,
    .part = part,
    .finish = finish,
    .end = rf_chunks_end,
    .whole = whole,
};
