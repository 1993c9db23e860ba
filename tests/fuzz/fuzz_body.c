/* Any body for any endpoint: it is taken, or refused with a status below 500, a message, and, once
 * it is JSON, the field that is wrong. The first byte says the endpoint. */
#include <string.h>

#include "base/alloc.h"
#include "server/output_fields.h"
#include "server/prompt_fields.h"
#include "server/sampling_fields.h"
#include "server/server_state.h"
#include "server/talk.h"
#include "tests/lib/tiny_vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

static const char template_text[] =
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if tools %}<tool_call>{{ tools | tojson }}{% endif %}"
    "{% if add_generation_prompt %}<|assistant|><think>{% endif %}";

/* What requests are checked against; made once, as the server has it. */
static struct rf_server *the_server(void) {
    static struct rf_server server;
    static tiny_vocab vocab;
    static tiny_open open;
    static rf_template *tmpl;
    rf_error err = {0};
    if (open.tokenizer)
        return &server;
    json_set_alloc_funcs(rf_alloc, rf_free);
    tiny_vocab_init(&vocab);
    tiny_vocab_bpe(&vocab, "gpt-2");
    open = tiny_vocab_open(&vocab);
    rf_str source = rf_str_of(template_text);
    MUST(open.tokenizer && rf_template_compile(source, NULL, &tmpl, &err) == RF_OK);
    server.options = (rf_server_options){.model_name = "m",
                                         .tokenizer = open.tokenizer,
                                         .chat_template = tmpl,
                                         .sampling = rf_sample_params_default(),
                                         .n_ctx = 512};
    server.syntax = rf_call_syntax_of(source);
    server.reasoning = rf_reasoning_syntax_of(source);
    server.template_has_tools = true;
    return &server;
}

static bool take_prompts(const struct rf_server *server, const rf_ask *ask, rf_field field,
                         rf_refusal *refusal) {
    size_t n_prompts = rf_prompts_count(ask, field, RF_PROMPTS_MAX, refusal);
    bool ok = n_prompts > 0;
    for (size_t i = 0; i < n_prompts && ok; i++) {
        rf_tokens tokens = {0};
        ok = rf_prompts_take(server, ask, field, i, &tokens, refusal);
        for (size_t t = 0; ok && t < tokens.n; t++)
            MUST(tokens.ids[t] >= 0 &&
                 (uint32_t)tokens.ids[t] < rf_tokenizer_n_tokens(server->options.tokenizer));
        rf_tokens_deinit(&tokens);
    }
    return ok;
}

static bool take_talk(const struct rf_server *server, const rf_ask *ask, rf_talk *talk,
                      rf_refusal *refusal) {
    rf_tokens tokens = {0};
    bool ok =
        rf_talk_init_chat(talk, ask, refusal) && rf_talk_tokens(talk, server, &tokens, refusal);
    rf_tokens_deinit(&tokens);
    return ok;
}

static bool take_all(const struct rf_server *server, const rf_ask *ask, rf_talk *talk,
                     rf_refusal *refusal) {
    static const rf_field prompts[] = {RF_FIELD_PROMPT, RF_FIELD_MIXED_PROMPT, RF_FIELD_INPUT,
                                       RF_FIELD_MESSAGES};
    const rf_tokenizer *tokenizer = server->options.tokenizer;
    bool ok = true;
    for (size_t i = 0; i < 4 && ok; i++)
        if (rf_field_is_of(rf_field_at(prompts[i]), ask->endpoint))
            ok = i < 3 ? take_prompts(server, ask, prompts[i], refusal)
                       : take_talk(server, ask, talk, refusal);
    if (!ok || !rf_ask_endpoint_samples(ask->endpoint))
        return ok;
    rf_sampling_ask sampling;
    rf_automaton *constraint = NULL;
    ok = rf_sampling_ask_init(&sampling, ask, &server->options.sampling, tokenizer, refusal) &&
         rf_output_fields_take(ask, talk, tokenizer, ask->endpoint != RF_ASK_CHAT, &constraint,
                               refusal);
    rf_free(constraint);
    rf_sampling_ask_deinit(&sampling);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    const struct rf_server *server = the_server();
    if (n == 0 || n > 20000)
        return 0;
    size_t live = rf_alloc_live_bytes();
    rf_ask ask;
    rf_talk talk = {0};
    rf_refusal refusal = {0};
    rf_str body = {(const char *)bytes + 1, n - 1};
    bool ok = rf_ask_init(&ask, (rf_ask_endpoint)(bytes[0] % RF_ASK_COUNT), body, &refusal) &&
              take_all(server, &ask, &talk, &refusal);
    MUST(ok == (refusal.kind == RF_REFUSE_NOTHING));
    if (!ok) {
        MUST(rf_refusal_http_status(refusal.kind) / 100 == 4 && refusal.error.text[0]);
        MUST(refusal.kind == RF_REFUSE_JSON || refusal.param[0]);
        rf_buf text;
        rf_buf_init(&text, 1 << 16);
        rf_refusal_write(&refusal, &text);
        json_t *json = json_loadb(text.data, text.len, 0, NULL);
        MUST(json_is_object(json_object_get(json, "error")));
        json_decref(json);
        rf_buf_deinit(&text);
    }
    rf_talk_deinit(&talk);
    rf_ask_deinit(&ask);
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
