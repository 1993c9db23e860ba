#include <signal.h>

#include "base/utf8.h"
#include "cli/chat_state.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "cli/output.h"

enum { LINE_MAX_BYTES = 16 << 20, ANSWER_MAX_BYTES = 256 << 20 };

static void release(rf_chat *chat) {
    rf_buf_deinit(&chat->answer);
    rf_tokens_deinit(&chat->context);
    rf_sampling_deinit(&chat->sampling);
    rf_conversation_deinit(&chat->conversation);
    rf_session_close(&chat->session);
}

static rf_status stream_text(void *user, rf_str text, rf_error *err) {
    rf_chat *chat = user;
    rf_buf_str(&chat->answer, text);
    rf_out_bytes(text.ptr, text.len);
    if (chat->answer.failed)
        return rf_fail(err, RF_ERR_LIMIT, "the answer is longer than %d bytes", ANSWER_MAX_BYTES);
    return rf_out_flush(err);
}

static rf_status no_memory(const rf_chat *chat, rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu tokens", chat->context.n);
}

static rf_status keep_prompt(rf_chat *chat, const rf_tokens *prompt, rf_error *err) {
    chat->context.n = 0;
    if (!rf_tokens_reserve(&chat->context, prompt->n))
        return no_memory(chat, err);
    for (size_t i = 0; i < prompt->n; i++)
        chat->context.ids[chat->context.n++] = prompt->ids[i];
    return RF_OK;
}

static rf_status keep_token(void *user, const rf_event *token, rf_error *err) {
    rf_chat *chat = user;
    return rf_tokens_push(&chat->context, token->token) ? RF_OK : no_memory(chat, err);
}

static rf_status run_answer(rf_chat *chat, const rf_tokens *prompt, rf_error *err) {
    const rf_options *options = &chat->cli->options;
    rf_generation_options generate = {
        .n_predict = rf_opt_int(options, RF_OPT_PREDICT),
        .stops = options->values[RF_OPT_STOP].list,
        .n_stops = options->values[RF_OPT_STOP].n_list,
        .on_text = stream_text,
        .on_token = keep_token,
        .user = chat,
    };
    if (prompt->n >= chat->session.n_ctx)
        return rf_fail(err, RF_ERR_LIMIT,
                       "the conversation has %zu tokens, expected less than the context of %u; "
                       "/reset starts anew, and --ctx-size gives more room",
                       prompt->n, chat->session.n_ctx);
    rf_buf_clear(&chat->answer);
    RF_TRY(keep_prompt(chat, prompt, err));
    RF_TRY(rf_generation_run(&chat->session, &chat->sampling, &generate, prompt, &chat->last, err));
    chat->n_answers++;
    chat->n_generated += chat->last.n_generated;
    chat->n_steps += rf_generation_n_steps(&chat->last);
    chat->steps_ns += rf_generation_steps_ns(&chat->last);
    return rf_conversation_add(&chat->conversation, "assistant", rf_buf_view(&chat->answer), err);
}

rf_status rf_chat_answer(rf_chat *chat, rf_error *err) {
    rf_tokens prompt = {0};
    rf_status status = rf_conversation_tokens(&chat->conversation, &prompt, err);
    if (status == RF_OK)
        status = run_answer(chat, &prompt, err);
    rf_tokens_deinit(&prompt);
    rf_out_text("\n");
    rf_error flush_err = {0};
    if (rf_out_flush(&flush_err) != RF_OK && status == RF_OK) {
        *err = flush_err;
        return flush_err.code;
    }
    if (status != RF_OK)
        return status;
    if (chat->last.finish == RF_ANSWER_INTERRUPTED)
        rf_note("(stopped)");
    else if (chat->last.finish == RF_ANSWER_CONTEXT_FULL)
        rf_note("(the context of %u tokens is full; /reset starts anew)", chat->session.n_ctx);
    if (rf_note_is_terminal() && !rf_opt_on(&chat->cli->options, RF_OPT_QUIET))
        rf_generation_note(&chat->session, &chat->last);
    return RF_OK;
}

static rf_status ask(rf_chat *chat, rf_str text, rf_error *err) {
    size_t n = rf_conversation_length(&chat->conversation);
    size_t valid = rf_utf8_valid_prefix(text.ptr, text.len);
    if (valid < text.len)
        return rf_fail(err, RF_ERR_INVALID,
                       "the message has byte 0x%02x at offset %zu, expected UTF-8 text",
                       (unsigned)(unsigned char)text.ptr[valid], valid);
    RF_TRY(rf_conversation_add(&chat->conversation, "user", text, err));
    rf_status status = rf_chat_answer(chat, err);
    if (status != RF_OK)
        rf_conversation_truncate(&chat->conversation, n);
    return status;
}

/* An error of one line is told and the chat goes on, unless nobody reads or the end was asked. */
static bool ends_chat(rf_status status, const rf_error *err) {
    return (status == RF_ERR_IO && err->text[0] == 0) || status == RF_ERR_INTERRUPTED;
}

static rf_status run_line(rf_chat *chat, rf_str line, rf_error *err) {
    bool blank = true;
    for (size_t i = 0; i < line.len; i++)
        blank = blank && (line.ptr[i] == ' ' || line.ptr[i] == '\t' || line.ptr[i] == '\r');
    if (blank)
        return RF_OK;
    return line.ptr[0] == '/' ? rf_chat_command(chat, line, err) : ask(chat, line, err);
}

/* True when a signal means the end: everything but Ctrl-C on a terminal. */
static bool told_to_leave(const rf_line_editor *editor) {
    return !rf_line_editor_is_terminal(editor) || rf_interrupt_exit_status() != 128 + SIGINT;
}

static rf_status talk(rf_chat *chat, rf_line_editor *editor, rf_buf *line, rf_error *err) {
    size_t n_failed = 0;
    while (!chat->leaving) {
        rf_line_end end;
        rf_error line_err = {0};
        rf_status status = rf_line_editor_read(editor, line, &end, &line_err);
        if (status == RF_OK && end == RF_LINE_END)
            break;
        if (status == RF_OK && end == RF_LINE_READ)
            status = run_line(chat, rf_buf_view(line), &line_err);
        if (rf_interrupted()) {
            bool waiting = end == RF_LINE_INTERRUPTED;
            if (rf_interrupt_exit_status() != 128 + SIGINT || (waiting && told_to_leave(editor)))
                return rf_fail(err, RF_ERR_INTERRUPTED, "interrupted");
            if (waiting)
                rf_note("(/exit or Ctrl-D leaves)");
            rf_interrupt_clear();
        }
        if (status == RF_OK)
            continue;
        if (ends_chat(status, &line_err)) {
            *err = line_err;
            return status;
        }
        rf_note("%serror:%s %s", rf_note_style(RF_STYLE_RED), rf_note_style(RF_STYLE_NONE),
                line_err.text);
        n_failed++;
    }
    if (n_failed > 0 && !rf_line_editor_is_terminal(editor))
        return rf_fail(err, RF_ERR_INVALID, "%zu line%s could not be answered", n_failed,
                       n_failed == 1 ? "" : "s");
    return RF_OK;
}

static rf_status prepare(rf_chat *chat, rf_error *err) {
    rf_cli *cli = chat->cli;
    RF_TRY(rf_generation_check_stops(&cli->options.values[RF_OPT_STOP], err));
    chat->session.may_draft = chat->session.may_constrain = true;
    RF_TRY(rf_session_open(cli, &chat->session, true, err));
    rf_status status = rf_conversation_init(&chat->conversation, cli, &chat->session, err);
    if (status == RF_ERR_NOT_FOUND && !rf_opt_given(&cli->options, RF_OPT_CHAT_TEMPLATE_FILE)) {
        const char *path = rf_opt_text(&cli->options, RF_OPT_MODEL);
        rf_cli_hint(cli, "rocmforge generate --raw -m %s -p \"text to continue\"", path);
        return rf_fail(err, RF_ERR_NOT_FOUND,
                       "%s: the model has no chat template, expected tokenizer.chat_template or "
                       "--chat-template-file",
                       path);
    }
    RF_TRY(status);
    RF_TRY(rf_sampling_init(&chat->sampling, &cli->options, chat->session.tokenizer, false, err));
    return rf_session_start(cli, &chat->session, err);
}

rf_status rf_cmd_chat(rf_cli *cli, rf_error *err) {
    rf_chat chat = {.cli = cli};
    rf_line_editor *editor = NULL;
    rf_buf line;
    rf_buf_init(&line, LINE_MAX_BYTES);
    rf_buf_init(&chat.answer, ANSWER_MAX_BYTES);
    rf_status status = prepare(&chat, err);
    if (status == RF_OK)
        status = rf_line_editor_create(&editor, err);
    if (status == RF_OK) {
        if (rf_line_editor_is_terminal(editor))
            rf_note("/help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves");
        rf_interrupt_patient(true);
        status = talk(&chat, editor, &line, err);
        rf_interrupt_patient(false);
    }
    rf_line_editor_destroy(editor);
    rf_buf_deinit(&line);
    release(&chat);
    return status;
}
