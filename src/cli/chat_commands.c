#include <string.h>

#include "base/alloc.h"
#include "base/outfile.h"
#include "cli/chat_cache.h"
#include "cli/chat_state.h"
#include "cli/file_input.h"
#include "cli/output.h"
#include "cli/spelling.h"

enum { SAVED_MAX_BYTES = 64 << 20, WORD_BYTES = 32 };

typedef struct chat_command {
    const char *name, *argument, *what;
    rf_status (*run)(rf_chat *chat, const char *argument, rf_error *err);
} chat_command;

#define X(name, args, what) \
    static rf_status chat_##name(rf_chat *chat, const char *argument, rf_error *err);
#include "cli/chat_commands.def"
#undef X

static const chat_command commands[] = {
#define X(name, args, what) {#name, args, what, chat_##name},
#include "cli/chat_commands.def"
#undef X
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static rf_status refuse_argument(const char *name, const char *argument, rf_error *err) {
    if (argument[0] == 0)
        return RF_OK;
    return rf_fail(err, RF_ERR_USAGE, "/%s: found \"%.60s\", expected nothing after it", name,
                   argument);
}

static rf_status chat_help(rf_chat *chat, const char *argument, rf_error *err) {
    (void)chat;
    RF_TRY(refuse_argument("help", argument, err));
    for (int i = 0; i < N_COMMANDS; i++)
        rf_note("  /%-7s %-7s %s", commands[i].name, commands[i].argument, commands[i].what);
    rf_note("  Ctrl-C stops an answer");
    return RF_OK;
}

static rf_status chat_reset(rf_chat *chat, const char *argument, rf_error *err) {
    RF_TRY(refuse_argument("reset", argument, err));
    rf_conversation_truncate(&chat->conversation,
                             rf_conversation_has_system(&chat->conversation) ? 1 : 0);
    chat->context.n = 0;
    return RF_OK;
}

static rf_status chat_save(rf_chat *chat, const char *argument, rf_error *err) {
    if (argument[0] == 0)
        return rf_fail(err, RF_ERR_USAGE, "/save: found no file name, expected /save FILE");
    bool ok = true;
    json_t *object = json_object();
    rf_json_set(object, "messages", json_incref(chat->conversation.messages), &ok);
    char *text = ok ? json_dumps(object, JSON_INDENT(1)) : NULL;
    json_decref(object);
    if (!text)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the conversation");
    rf_outfile file;
    rf_status status = rf_outfile_open(&file, argument, err);
    if (status == RF_OK) {
        status = rf_outfile_write(&file, text, strlen(text), err);
        if (status == RF_OK)
            status = rf_outfile_write(&file, "\n", 1, err);
        if (status == RF_OK)
            status = rf_outfile_commit(&file, err);
        rf_outfile_discard(&file);
    }
    rf_free(text);
    return status == RF_OK ? rf_chat_cache_save(chat, argument, err) : status;
}

static rf_status check_messages(const json_t *messages, const char *path, rf_error *err) {
    size_t i;
    json_t *message;
    if (!json_is_array(messages))
        return rf_fail(err, RF_ERR_INVALID, "%s: expected an object with a list \"messages\"",
                       path);
    json_array_foreach(messages, i, message) {
        if (!json_is_string(json_object_get(message, "role")) ||
            !json_is_string(json_object_get(message, "content")))
            return rf_fail(err, RF_ERR_INVALID,
                           "%s: message %zu: expected an object with the texts \"role\" and "
                           "\"content\"",
                           path, i);
    }
    return RF_OK;
}

static rf_status chat_load(rf_chat *chat, const char *argument, rf_error *err) {
    if (argument[0] == 0)
        return rf_fail(err, RF_ERR_USAGE, "/load: found no file name, expected /load FILE");
    rf_buf bytes;
    rf_buf_init(&bytes, SAVED_MAX_BYTES);
    json_error_t where;
    json_t *object = NULL;
    rf_status status = rf_input_read(argument, &bytes, err);
    if (status == RF_OK) {
        object = json_loadb(bytes.data ? bytes.data : "", bytes.len, 0, &where);
        if (!object)
            status = rf_fail(err, RF_ERR_INVALID, "%s: line %d, column %d: %s", argument,
                             where.line, where.column, where.text);
    }
    json_t *messages = json_object_get(object, "messages");
    if (status == RF_OK)
        status = check_messages(messages, argument, err);
    if (status == RF_OK) {
        json_decref(chat->conversation.messages);
        chat->conversation.messages = json_incref(messages);
        rf_note("%zu messages", json_array_size(messages));
    }
    json_decref(object);
    rf_buf_deinit(&bytes);
    return status == RF_OK ? rf_chat_cache_load(chat, argument, err) : status;
}

static rf_status chat_system(rf_chat *chat, const char *argument, rf_error *err) {
    return rf_conversation_system(&chat->conversation, argument[0] ? argument : NULL, err);
}

static bool has_role(const rf_chat *chat, size_t i, const char *role) {
    const json_t *message = json_array_get(chat->conversation.messages, i);
    const char *text = json_string_value(json_object_get(message, "role"));
    return text && strcmp(text, role) == 0;
}

static rf_status chat_regen(rf_chat *chat, const char *argument, rf_error *err) {
    RF_TRY(refuse_argument("regen", argument, err));
    size_t n = rf_conversation_length(&chat->conversation);
    bool answered = n > 0 && has_role(chat, n - 1, "assistant");
    size_t n_asked = answered ? n - 1 : n;
    if (n_asked == 0 || !has_role(chat, n_asked - 1, "user"))
        return rf_fail(err, RF_ERR_USAGE, "/regen: nothing has been asked yet");
    json_t *old = answered ? json_incref(json_array_get(chat->conversation.messages, n - 1)) : NULL;
    rf_conversation_truncate(&chat->conversation, n_asked);
    rf_status status = rf_chat_answer(chat, err);
    if (status != RF_OK && old)
        (void)json_array_append(chat->conversation.messages, old);
    json_decref(old);
    return status;
}

static rf_status chat_stats(rf_chat *chat, const char *argument, rf_error *err) {
    RF_TRY(refuse_argument("stats", argument, err));
    rf_note("%zu messages, %zu of %u tokens of context in use",
            rf_conversation_length(&chat->conversation),
            chat->last.n_prompt + chat->last.n_generated, chat->session.n_ctx);
    rf_note("%zu answers, %zu tokens, %.1f tok/s", chat->n_answers, chat->n_generated,
            chat->steps_ns > 0 ? (double)chat->n_steps * 1e9 / (double)chat->steps_ns : 0);
    if (chat->n_answers > 0)
        rf_generation_note(&chat->session, &chat->last);
    return RF_OK;
}

static rf_status chat_exit(rf_chat *chat, const char *argument, rf_error *err) {
    RF_TRY(refuse_argument("exit", argument, err));
    chat->leaving = true;
    return RF_OK;
}

static rf_status unknown(const char *word, rf_error *err) {
    const char *best = NULL;
    size_t least = SIZE_MAX;
    for (int i = 0; i < N_COMMANDS; i++) {
        size_t distance = rf_spelling_distance(word, commands[i].name);
        if (distance < least) {
            least = distance;
            best = commands[i].name;
        }
    }
    if (best && rf_spelling_close(word, least))
        return rf_fail(err, RF_ERR_USAGE, "/%s: no such command; did you mean /%s?", word, best);
    return rf_fail(err, RF_ERR_USAGE, "/%s: no such command; /help lists them", word);
}

rf_status rf_chat_command(rf_chat *chat, rf_str line, rf_error *err) {
    char word[WORD_BYTES];
    rf_str rest = rf_str_sub(line, 1, line.len);
    size_t n = 0;
    while (n < rest.len && rest.ptr[n] != ' ')
        n++;
    size_t kept = n < sizeof word - 1 ? n : sizeof word - 1;
    memcpy(word, rest.ptr, kept);
    word[kept] = 0;
    while (n < rest.len && rest.ptr[n] == ' ')
        n++;
    rest = rf_str_sub(rest, n, rest.len);
    while (rest.len > 0 && rest.ptr[rest.len - 1] == ' ')
        rest.len--;
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, word) != 0)
            continue;
        char *argument = rf_strndup(rest.ptr, rest.len);
        if (!argument)
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the line");
        rf_status status = commands[i].run(chat, argument, err);
        rf_free(argument);
        return status;
    }
    return unknown(word, err);
}
