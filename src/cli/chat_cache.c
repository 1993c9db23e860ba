#include "cli/chat_cache.h"

#include <string.h>

#include "base/alloc.h"
#include "cli/output.h"
#include "engine/sequence_file.h"
#include "gguf/gguf_hash.h"

/* What rf_sequence_run's callee wants of the event. */
typedef struct taker {
    rf_sequence_take_fn take;
    void *user;
} taker;

static rf_status take_event(void *user, const rf_event *event, bool *enough, rf_error *err) {
    const taker *t = user;
    (void)enough;
    return t->take(t->user, event, err);
}

static rf_status run(void *user, const rf_request *request, rf_sequence_take_fn take,
                     void *take_user, rf_error *err) {
    rf_chat *chat = user;
    taker t = {take, take_user};
    return rf_session_run(&chat->session, request, 1, take_event, &t, err);
}

static rf_sequence_port port_of(rf_chat *chat) {
    return (rf_sequence_port){.engine = chat->session.engine,
                              .model_hash = rf_gguf_hash(chat->session.gguf),
                              .run = run,
                              .user = chat};
}

static rf_status cache_path(const char *path, rf_buf *out, rf_error *err) {
    rf_buf_text(out, path);
    rf_buf_text(out, ".kv");
    return out->failed ? rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a file name") : RF_OK;
}

static bool ends_command(rf_status status) {
    return status == RF_ERR_INTERRUPTED || status == RF_ERR_NO_MEMORY;
}

static rf_status save(rf_chat *chat, const char *path, rf_error *err) {
    rf_sequence_size size;
    char text[RF_SIZE_TEXT_BYTES];
    rf_error why = {0};
    if (chat->context.n == 0) {
        rf_note("nothing of it is in the cache");
        return RF_OK;
    }
    rf_sequence_port port = port_of(chat);
    rf_status status =
        rf_sequence_save(&port, path, chat->context.ids, (uint32_t)chat->context.n, &size, &why);
    if (ends_command(status))
        return rf_fail(err, status, "%s", why.text);
    if (status == RF_OK)
        rf_note("the cache of %u tokens: %s, %s", size.n_tokens, path,
                rf_size_text(size.n_bytes, text));
    else
        rf_note("the cache is not saved: %s", why.text);
    return RF_OK;
}

static rf_status load(rf_chat *chat, const char *path, rf_error *err) {
    rf_sequence_size size;
    int32_t *tokens = NULL;
    rf_error why = {0};
    rf_sequence_port port = port_of(chat);
    rf_status status = rf_sequence_load(&port, path, &tokens, &size, &why);
    if (ends_command(status))
        return rf_fail(err, status, "%s", why.text);
    if (status != RF_OK) {
        rf_note("the next answer reads the conversation anew: %s", why.text);
        return RF_OK;
    }
    rf_tokens_deinit(&chat->context);
    chat->context = (rf_tokens){.ids = tokens, .n = size.n_tokens, .cap = size.n_tokens};
    rf_note("%u tokens are in the cache", size.n_tokens);
    return RF_OK;
}

static rf_status with_path(rf_chat *chat, const char *path, rf_error *err,
                           rf_status (*fn)(rf_chat *, const char *, rf_error *)) {
    rf_buf name;
    rf_buf_init(&name, 1 << 20);
    rf_status status = cache_path(path, &name, err);
    if (status == RF_OK)
        status = fn(chat, name.data, err);
    rf_buf_deinit(&name);
    return status;
}

rf_status rf_chat_cache_save(rf_chat *chat, const char *path, rf_error *err) {
    return with_path(chat, path, err, save);
}

rf_status rf_chat_cache_load(rf_chat *chat, const char *path, rf_error *err) {
    chat->context.n = 0;
    return with_path(chat, path, err, load);
}
