/* Any answer of any family, cut anywhere: calls begin and end in turn, their arguments stop being a
 * JSON object only where the answer breaks off, and the parts do not depend on the cuts. */
#include <string.h>

#include "base/alloc.h"
#include "chat/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

static const char *const names[] = {"hermes",      "llama3",   "mistral",  "mistral-args",
                                    "functionary", "gpt-oss",  "deepseek", "deepseek-v3.1",
                                    "qwen3-coder", "glm",      "minimax",  "kimi",
                                    "json",        "command-r"};
enum { N_NAMES = sizeof names / sizeof *names };

typedef struct parts {
    rf_buf all;
    bool in_call;
    rf_reply_part last;
} parts;

static rf_status on_part(void *user, rf_reply_part part, rf_str text, rf_error *err) {
    parts *p = user;
    (void)err;
    MUST(part == RF_REPLY_CALL ? !p->in_call : true);
    MUST(part == RF_REPLY_ARGUMENTS || part == RF_REPLY_CALL_END ? p->in_call : !p->in_call);
    p->in_call = part == RF_REPLY_CALL || part == RF_REPLY_ARGUMENTS;
    if (part != p->last || part == RF_REPLY_CALL)
        rf_buf_put(&p->all, (char)('A' + (int)part));
    p->last = part;
    rf_buf_str(&p->all, text);
    return RF_OK;
}

static void take(parts *p, const rf_reply_options *options, rf_str answer, size_t piece) {
    rf_reply_options o = *options;
    rf_reply reply;
    rf_error err = {0};
    *p = (parts){.last = RF_REPLY_CALL_END};
    rf_buf_init(&p->all, 1 << 26);
    o.on_part = on_part;
    o.user = p;
    rf_reply_init(&reply, &o);
    for (size_t at = 0; at < answer.len; at += piece)
        MUST(rf_reply_push(&reply, rf_str_sub(answer, at, at + piece), &err) == RF_OK);
    MUST(rf_reply_finish(&reply, &err) == RF_OK);
    MUST(!p->in_call);
    rf_reply_deinit(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    if (n < 2)
        return 0;
    size_t live = rf_alloc_live_bytes();
    rf_reply_options options = {.syntax = rf_call_syntax_named(names[bytes[0] % N_NAMES]),
                                .reasoning = rf_reasoning_syntax_of(RF_STR("</think>")),
                                .reasoning_open = bytes[0] >= 128};
    rf_str answer = {(const char *)bytes + 2, n - 2};
    parts whole, cut;
    take(&whole, &options, answer, answer.len ? answer.len : 1);
    take(&cut, &options, answer, 1 + bytes[1] % 16);
    MUST(rf_str_eq(rf_buf_view(&whole.all), rf_buf_view(&cut.all)));
    rf_buf_deinit(&whole.all);
    rf_buf_deinit(&cut.all);
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
