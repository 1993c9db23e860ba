#include "server/talk.h"

#include "base/alloc.h"
#include "server/server_state.h"
#include "server/talk_build.h"
#include "text/chat_prompt.h"

enum { PROMPT_BYTES = 64 << 20 };

void rf_talk_deinit(rf_talk *talk) {
    json_decref(talk->messages);
    json_decref(talk->tools);
    json_decref(talk->kwargs);
    rf_free(talk->settings);
    *talk = (rf_talk){0};
}

static bool no_memory(rf_refusal *refusal) {
    return rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the messages");
}

bool rf_talk_init_chat(rf_talk *talk, const rf_ask *ask, rf_refusal *refusal) {
    json_t *messages = rf_ask_json(ask, RF_FIELD_MESSAGES);
    if (!messages)
        return rf_refuse(refusal, RF_REFUSE_MISSING, "messages", "messages: expected an array");
    bool goes_on = rf_ask_on(ask, RF_FIELD_CONTINUE_FINAL);
    *talk = (rf_talk){
        .messages = json_incref(messages),
        .kwargs = json_incref(rf_ask_json(ask, RF_FIELD_TEMPLATE_KWARGS)),
        .adds_prompt = rf_ask_on(ask, RF_FIELD_GENERATION_PROMPT) && !goes_on,
        .continues_last = goes_on,
        .field = "messages",
    };
    rf_str effort = rf_ask_text(ask, RF_FIELD_REASONING_EFFORT);
    if (effort.len > 0 && !rf_talk_set_effort(talk, effort))
        return no_memory(refusal);
    return rf_talk_check_messages(messages, refusal) && rf_talk_take_tools(talk, ask, refusal);
}

static bool template_failed(const rf_talk *talk, rf_refusal *refusal, const rf_error *err) {
    if (err->code == RF_ERR_NO_MEMORY)
        return rf_refuse_status(refusal, NULL, err);
    return rf_refuse(refusal, RF_REFUSE_TEMPLATE, talk->field, "%s", err->text);
}

/* One attempt. */
static rf_status render_once(const rf_talk *talk, const rf_server_options *options,
                             const json_t *messages, const char *tools, const char *kwargs,
                             rf_buf *out, rf_error *err) {
    char *text = json_dumps(messages, JSON_COMPACT);
    if (!text)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the messages");
    rf_prompt_request request = {
        .messages = rf_str_of(text),
        .tools = rf_str_of(tools),
        .kwargs = rf_str_of(kwargs),
        .add_generation_prompt = talk->adds_prompt,
        .continue_final_message = talk->continues_last,
    };
    rf_status status =
        rf_chat_prompt_render(options->chat_template, options->tokenizer, &request, out, err);
    rf_free(text);
    return status;
}

/* Some templates want arguments of past calls as objects, some as the text that they came as:
 * those that cannot take the first are given the second. */
static bool render(const rf_talk *talk, const struct rf_server *server, const char *tools,
                   const char *kwargs, rf_buf *out, rf_refusal *refusal) {
    const rf_server_options *options = &server->options;
    json_t *messages = json_deep_copy(talk->messages);
    bool changed = false;
    bool ok = messages && rf_talk_open_arguments(messages, &changed);
    if (ok && talk->tools && !server->template_has_tools)
        ok = rf_talk_tell_tools(messages, tools ? talk->tools : NULL);
    rf_error err = {0}, again = {0};
    rf_status status = RF_OK;
    size_t at = out->len;
    if (ok)
        status = render_once(talk, options, messages, tools, kwargs, out, &err);
    if (ok && status != RF_OK && changed) {
        out->len = at;
        out->failed = false;
        if (render_once(talk, options, talk->messages, tools, kwargs, out, &again) == RF_OK)
            status = RF_OK;
    }
    json_decref(messages);
    if (!ok)
        return no_memory(refusal);
    return status == RF_OK || template_failed(talk, refusal, &err);
}

/* How what the model will write is taken apart. */
static void learn_reply(rf_talk *talk, const struct rf_server *server, rf_str prompt) {
    talk->syntax = talk->tools && talk->tool_choice != RF_TOOLS_NONE ? server->syntax : NULL;
    if (server->syntax && server->syntax->form == RF_CALL_CHANNELS)
        talk->syntax = server->syntax; /* its text has headers too */
    talk->reasoning = server->reasoning;
    talk->reasoning_open = rf_reasoning_is_open(server->reasoning, prompt);
}

bool rf_talk_render(rf_talk *talk, const struct rf_server *server, rf_buf *out,
                    rf_refusal *refusal) {
    if (!server->options.chat_template)
        return rf_refuse(refusal, RF_REFUSE_TEMPLATE, talk->field,
                         "the model has no chat template; /v1/completions takes plain prompts");
    bool with_tools = talk->tools && talk->tool_choice != RF_TOOLS_NONE;
    char *tools = with_tools ? json_dumps(talk->tools, JSON_COMPACT) : NULL;
    char *kwargs = talk->kwargs ? json_dumps(talk->kwargs, JSON_COMPACT) : NULL;
    bool ok = (tools || !with_tools) && (kwargs || !talk->kwargs)
                  ? render(talk, server, tools, kwargs, out, refusal)
                  : no_memory(refusal);
    rf_free(tools);
    rf_free(kwargs);
    if (ok)
        learn_reply(talk, server, rf_buf_view(out));
    return ok;
}

bool rf_talk_tokens(rf_talk *talk, const struct rf_server *server, rf_tokens *out,
                    rf_refusal *refusal) {
    rf_error err = {0};
    rf_buf text;
    rf_buf_init(&text, PROMPT_BYTES);
    bool ok = rf_talk_render(talk, server, &text, refusal);
    if (ok &&
        rf_chat_prompt_encode(server->options.tokenizer, rf_buf_view(&text), out, &err) != RF_OK)
        ok = template_failed(talk, refusal, &err);
    rf_buf_deinit(&text);
    return ok;
}

const uint32_t *rf_talk_shown(const rf_talk *talk, const struct rf_server *server) {
    return talk->syntax ? server->shown_calls : talk->reasoning ? server->shown_reasoning : NULL;
}
