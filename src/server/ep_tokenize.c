/* Text to tokens and back, as llama-server has it. */
#include "base/utf8.h"
#include "chat/messages.h"
#include "server/prompt_fields.h"
#include "server/routes.h"
#include "server/server_state.h"
#include "server/talk.h"

enum { ANSWER_BYTES = 1 << 30 };

/* Text where the bytes are, else the bytes. */
static void write_piece(rf_str piece, rf_buf *out) {
    if (rf_utf8_valid_prefix(piece.ptr, piece.len) == piece.len) {
        rf_json_append_string(out, piece);
        return;
    }
    for (size_t i = 0; i < piece.len; i++)
        rf_buf_printf(out, "%c%d", i > 0 ? ',' : '[', (unsigned char)piece.ptr[i]);
    rf_buf_put(out, ']');
}

static bool tokenize(const rf_exchange *exchange, const rf_ask *ask, rf_buf *out,
                     rf_refusal *refusal) {
    const rf_tokenizer *tokenizer = exchange->server->options.tokenizer;
    rf_encode_options options = {.add_special = rf_ask_on(ask, RF_FIELD_ADD_SPECIAL),
                                 .parse_special = rf_ask_on(ask, RF_FIELD_PARSE_SPECIAL)};
    bool pieces = rf_ask_on(ask, RF_FIELD_WITH_PIECES);
    rf_tokens tokens = {0};
    rf_error err = {0};
    if (!rf_ask_given(ask, RF_FIELD_CONTENT))
        return rf_refuse(refusal, RF_REFUSE_MISSING, "content", "content: expected a text");
    rf_status status =
        rf_tokenizer_encode(tokenizer, rf_ask_text(ask, RF_FIELD_CONTENT), options, &tokens, &err);
    rf_buf_text(out, "{\"tokens\":[");
    for (size_t i = 0; status == RF_OK && i < tokens.n; i++) {
        rf_buf_printf(out, pieces ? "%s{\"id\":%d,\"piece\":" : "%s%d", i > 0 ? "," : "",
                      tokens.ids[i]);
        if (pieces) {
            write_piece(rf_tokenizer_piece(tokenizer, tokens.ids[i]), out);
            rf_buf_put(out, '}');
        }
    }
    rf_buf_text(out, "]}");
    rf_tokens_deinit(&tokens);
    return status == RF_OK || rf_refuse_status(refusal, "content", &err);
}

static bool detokenize(const rf_exchange *exchange, const rf_ask *ask, rf_buf *out,
                       rf_refusal *refusal) {
    const rf_tokenizer *tokenizer = exchange->server->options.tokenizer;
    const json_t *list = rf_ask_json(ask, RF_FIELD_TOKENS);
    rf_tokens tokens = {0};
    rf_error err = {0};
    if (!list)
        return rf_refuse(refusal, RF_REFUSE_MISSING, "tokens", "tokens: expected an array of ids");
    bool ok = rf_token_ids_take(list, tokenizer, "tokens", &tokens, refusal);
    rf_buf text;
    rf_buf_init(&text, ANSWER_BYTES);
    if (ok && rf_tokenizer_decode(tokenizer, tokens.ids, tokens.n, &text, &err) != RF_OK)
        ok = rf_refuse_status(refusal, "tokens", &err);
    rf_buf_text(out, "{\"content\":");
    rf_json_append_string(out, rf_buf_view(&text));
    rf_buf_put(out, '}');
    rf_buf_deinit(&text);
    rf_tokens_deinit(&tokens);
    return ok;
}

typedef bool (*answer_fn)(const rf_exchange *exchange, const rf_ask *ask, rf_buf *out,
                          rf_refusal *refusal);

static void answer(rf_exchange *exchange, rf_ask_endpoint endpoint, answer_fn write) {
    rf_ask ask;
    rf_refusal refusal = {0};
    rf_buf body;
    rf_buf_init(&body, ANSWER_BYTES);
    bool ok = rf_ask_init(&ask, endpoint, rf_buf_view(&exchange->body), &refusal) &&
              write(exchange, &ask, &body, &refusal);
    if (ok)
        rf_exchange_reply(exchange, "application/json", &body);
    else
        rf_exchange_refuse(exchange, &refusal);
    rf_buf_deinit(&body);
    rf_ask_deinit(&ask);
}

static bool apply_template(const rf_exchange *exchange, const rf_ask *ask, rf_buf *out,
                           rf_refusal *refusal) {
    rf_buf text;
    rf_buf_init(&text, ANSWER_BYTES);
    rf_talk talk = {0};
    bool ok = rf_talk_init_chat(&talk, ask, refusal) &&
              rf_talk_render(&talk, exchange->server, &text, refusal);
    rf_talk_deinit(&talk);
    rf_buf_text(out, "{\"prompt\":");
    rf_json_append_string(out, rf_buf_view(&text));
    rf_buf_put(out, '}');
    rf_buf_deinit(&text);
    return ok;
}

void rf_ep_tokenize(rf_exchange *exchange) { answer(exchange, RF_ASK_TOKENIZE, tokenize); }

void rf_ep_detokenize(rf_exchange *exchange) { answer(exchange, RF_ASK_DETOKENIZE, detokenize); }

void rf_ep_apply_template(rf_exchange *exchange) {
    answer(exchange, RF_ASK_TEMPLATE, apply_template);
}
