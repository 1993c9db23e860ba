/* OpenAI's chat completions. */
#include "chat/messages.h"
#include "server/answer_json.h"

static void begin(rf_answer *answer) {
    rf_buf_text(&answer->head, "data: ");
    rf_answer_json_head(answer, "chat.completion.chunk", &answer->head);
}

/* The first chunk of a choice names who speaks. */
static void begin_choice(rf_answer *answer, rf_choice *choice) {
    if (choice->has_begun)
        return;
    choice->has_begun = true;
    rf_chunk_begin(answer, choice);
    rf_buf_text(&answer->sent,
                "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null");
    rf_chunk_end(answer, RF_CHOICE_OPEN);
}

static void write_call(rf_buf *out, const rf_answer_item *call) {
    rf_buf_printf(out, "\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", call->id);
    rf_json_append_string(out, rf_buf_view(&call->name));
    rf_buf_text(out, ",\"arguments\":");
    rf_json_append_string(out, rf_buf_view(&call->text));
    rf_buf_put(out, '}');
}

/* The index of a call counts those before it. */
static void write_delta(rf_choice *choice, rf_reply_part kind, rf_str text, rf_buf *out) {
    const rf_answer_item *item = &choice->items[choice->n_items - 1];
    switch (kind) {
    case RF_REPLY_REASONING: rf_buf_text(out, "\"delta\":{\"reasoning_content\":"); break;
    case RF_REPLY_CALL:
        rf_buf_printf(out, "\"delta\":{\"tool_calls\":[{\"index\":%zu,", choice->n_calls);
        write_call(out, item);
        rf_buf_text(out, "}]}");
        return;
    case RF_REPLY_ARGUMENTS:
        rf_buf_printf(out, "\"delta\":{\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":",
                      choice->n_calls);
        rf_json_append_string(out, text);
        rf_buf_text(out, "}}]}");
        return;
    default: rf_buf_text(out, "\"delta\":{\"content\":");
    }
    rf_json_append_string(out, text);
    rf_buf_put(out, '}');
}

static void part(rf_answer *answer, rf_choice *choice, rf_reply_part kind, rf_str text) {
    if (kind == RF_REPLY_CALL_END)
        return;
    begin_choice(answer, choice);
    rf_chunk_begin(answer, choice);
    write_delta(choice, kind, text, &answer->sent);
    rf_chunk_logprobs(answer, choice);
    rf_chunk_end(answer, RF_CHOICE_OPEN);
}

static void finish(rf_answer *answer, rf_choice *choice) {
    begin_choice(answer, choice);
    rf_chunk_begin(answer, choice);
    rf_buf_text(&answer->sent, "\"delta\":{}");
    rf_chunk_logprobs(answer, choice);
    rf_chunk_end(answer, choice->end);
}

static void write_text(const rf_choice *choice, rf_reply_part kind, rf_buf *out) {
    rf_buf text;
    rf_buf_init(&text, SIZE_MAX / 2);
    rf_choice_texts(choice, kind, &text);
    out->failed |= text.failed;
    rf_json_append_string(out, rf_buf_view(&text));
    rf_buf_deinit(&text);
}

static void write_calls(const rf_choice *choice, rf_buf *out) {
    const char *between = ",\"tool_calls\":[{";
    for (size_t i = 0; i < choice->n_items; i++) {
        if (choice->items[i].kind != RF_REPLY_CALL)
            continue;
        rf_buf_text(out, between);
        write_call(out, &choice->items[i]);
        rf_buf_put(out, '}');
        between = ",{";
    }
    rf_buf_put(out, ']');
}

static void write_choice(const rf_answer *answer, const rf_choice *choice, rf_buf *out) {
    size_t i = rf_answer_index(choice);
    bool calls = rf_choice_has(choice, RF_REPLY_CALL);
    rf_buf_printf(out, "%s{\"index\":%zu,\"message\":{\"role\":\"assistant\",\"content\":",
                  i > 0 ? "," : "", i);
    if (calls && !rf_choice_has(choice, RF_REPLY_TEXT))
        rf_buf_text(out, "null");
    else
        write_text(choice, RF_REPLY_TEXT, out);
    if (rf_choice_has(choice, RF_REPLY_REASONING)) {
        rf_buf_text(out, ",\"reasoning_content\":");
        write_text(choice, RF_REPLY_REASONING, out);
    }
    if (calls)
        write_calls(choice, out);
    rf_buf_text(out, ",\"refusal\":null},\"logprobs\":");
    rf_logprobs_write(answer, choice, out);
    rf_buf_printf(out, ",\"finish_reason\":\"%s\"}", rf_finish_name(choice->end));
}

static void whole(const rf_answer *answer, rf_buf *out) {
    rf_answer_json_head(answer, "chat.completion", out);
    rf_buf_text(out, ",\"choices\":[");
    for (size_t i = 0; i < answer->n_prompts * answer->n_choices; i++)
        write_choice(answer, &answer->choices[i], out);
    rf_buf_text(out, "],");
    rf_answer_json_end(answer, out);
}

const rf_answer_form rf_form_chat = {
    .id_prefix = "chatcmpl-",
    .call_id_prefix = "call_",
    .prompt_field = "messages",
    .talks = true,
    .begin = begin,
    .part = part,
    .finish = finish,
    .end = rf_chunks_end,
    .whole = whole,
};
