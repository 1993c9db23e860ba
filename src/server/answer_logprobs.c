/* Log-probabilities in both of OpenAI's shapes. */
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "chat/messages.h"
#include "server/answer_json.h"
#include "server/server_state.h"

enum { LEAST = -9999 }; /* OpenAI's number for a token that cannot come */

static rf_str piece_of(const rf_answer *answer, int32_t token) {
    return rf_tokenizer_piece(answer->exchange->server->options.tokenizer, token);
}

/* A piece that is no text alone is spelt as OpenAI does: bytes:\xe2\x82. */
static void write_token(rf_str piece, rf_buf *out) {
    if (rf_utf8_valid_prefix(piece.ptr, piece.len) == piece.len) {
        rf_json_append_string(out, piece);
        return;
    }
    rf_buf_text(out, "\"bytes:");
    for (size_t i = 0; i < piece.len; i++)
        rf_buf_printf(out, "\\\\x%02x", (unsigned char)piece.ptr[i]);
    rf_buf_put(out, '"');
}

static void write_number(rf_buf *out, float logprob) {
    rf_buf_printf(out, "%.6g", isfinite(logprob) ? (double)logprob : (double)LEAST);
}

/* {"token", "logprob", "bytes" without the closing brace: alternatives may follow. */
static void write_entry(const rf_answer *answer, int32_t token, float logprob, rf_buf *out) {
    rf_str piece = piece_of(answer, token);
    rf_buf_put(out, '{');
    if (answer->form->shows_ids)
        rf_buf_printf(out, "\"id\":%d,", token);
    rf_buf_text(out, "\"token\":");
    write_token(piece, out);
    rf_buf_text(out, ",\"logprob\":");
    write_number(out, logprob);
    rf_buf_text(out, ",\"bytes\":[");
    for (size_t i = 0; i < piece.len; i++)
        rf_buf_printf(out, "%s%d", i > 0 ? "," : "", (unsigned char)piece.ptr[i]);
    rf_buf_put(out, ']');
}

static uint32_t n_shown(const rf_answer *answer, const rf_event *event) {
    uint32_t most = answer->sampling.n_top;
    return event->n_top < most ? event->n_top : most;
}

static void add_chat(const rf_answer *answer, rf_choice *choice, const rf_event *event) {
    rf_buf *out = &choice->logprobs[RF_LOGPROB_CONTENT];
    if (out->len > 0)
        rf_buf_put(out, ',');
    write_entry(answer, event->token, event->logprob, out);
    rf_buf_text(out, ",\"top_logprobs\":[");
    for (uint32_t i = 0; i < n_shown(answer, event); i++) {
        if (i > 0)
            rf_buf_put(out, ',');
        write_entry(answer, event->top[i].token, event->top[i].logprob, out);
        rf_buf_put(out, '}');
    }
    rf_buf_text(out, "]}");
}

static size_t n_characters(rf_str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static void add_legacy(const rf_answer *answer, rf_choice *choice, const rf_event *event) {
    rf_buf *lists = choice->logprobs;
    rf_str piece = piece_of(answer, event->token);
    for (size_t l = 0; l < RF_LOGPROB_LISTS; l++)
        if (lists[l].len > 0)
            rf_buf_put(&lists[l], ',');
    write_token(piece, &lists[RF_LOGPROB_TOKENS]);
    write_number(&lists[RF_LOGPROB_VALUES], event->logprob);
    rf_buf_printf(&lists[RF_LOGPROB_OFFSETS], "%zu", choice->n_characters);
    choice->n_characters += n_characters(piece);
    rf_buf *tops = &lists[RF_LOGPROB_TOPS];
    rf_buf_put(tops, '{');
    for (uint32_t i = 0; i < n_shown(answer, event); i++) {
        if (i > 0)
            rf_buf_put(tops, ',');
        write_token(piece_of(answer, event->top[i].token), tops);
        rf_buf_put(tops, ':');
        write_number(tops, event->top[i].logprob);
    }
    rf_buf_put(tops, '}');
}

/* The first token of a prompt follows nothing. Where it is the tokenizer's own it has no text. */
static void add_first(const rf_answer *answer, rf_choice *choice, int32_t token) {
    const rf_tokenizer *tokenizer = answer->exchange->server->options.tokenizer;
    rf_str piece = piece_of(answer, token);
    write_token(piece, &choice->logprobs[RF_LOGPROB_TOKENS]);
    rf_buf_text(&choice->logprobs[RF_LOGPROB_VALUES], "null");
    rf_buf_text(&choice->logprobs[RF_LOGPROB_TOPS], "null");
    rf_buf_put(&choice->logprobs[RF_LOGPROB_OFFSETS], '0');
    if (token != rf_tokenizer_roles(tokenizer)->bos)
        choice->n_characters += n_characters(piece);
}

void rf_answer_json_scores(const rf_answer *answer, const rf_answer_prompt *prompt,
                           rf_choice *choice, const rf_token_logprob *scores) {
    static _Thread_local rf_event event;
    uint32_t n_top = answer->sampling.n_top;
    add_first(answer, choice, prompt->tokens.ids[0]);
    for (size_t i = 1; i < prompt->n_tokens; i++) {
        const rf_token_logprob *row = &scores[(i - 1) * (1 + n_top)];
        event.token = row->token;
        event.logprob = row->logprob;
        event.n_top = n_top;
        memcpy(event.top, row + 1, n_top * sizeof *row);
        add_legacy(answer, choice, &event);
    }
}

void rf_answer_json_logprob(const rf_answer *answer, rf_choice *choice, const rf_event *event) {
    if (!answer->form->lists_logprobs)
        add_chat(answer, choice, event);
    else
        add_legacy(answer, choice, event);
}

void rf_logprobs_clear(rf_choice *choice) {
    for (size_t l = 0; l < RF_LOGPROB_LISTS; l++)
        rf_buf_clear(&choice->logprobs[l]);
}

void rf_logprobs_write(const rf_answer *answer, const rf_choice *choice, rf_buf *out) {
    static const char *const names[RF_LOGPROB_LISTS] = {"tokens", "token_logprobs", "top_logprobs",
                                                        "text_offset"};
    bool chat = !answer->form->lists_logprobs;
    if (!answer->sampling.logprobs) {
        rf_buf_text(out, "null");
        return;
    }
    for (size_t l = 0; l < (chat ? 1 : RF_LOGPROB_LISTS); l++) {
        out->failed |= choice->logprobs[l].failed;
        rf_buf_printf(out, "%s\"%s\":[", l > 0 ? "," : "{", chat ? "content" : names[l]);
        rf_buf_str(out, rf_buf_view(&choice->logprobs[l]));
        rf_buf_put(out, ']');
    }
    rf_buf_text(out, chat ? ",\"refusal\":null}" : "}");
}
