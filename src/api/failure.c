#include "api/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = RF_ERROR_TEXT_BYTES + 256 };

static _Thread_local struct {
    const char *function; /* the call that runs, or ran last */
    rf_api_callback callback;
    const char *callback_of; /* the call that runs it; NULL: a line of the log */
    rocmforge_rule rule;
    char text[TEXT_BYTES];
} call;

static const char *const rule_names[] = {
#define X(id, name, sentence) [ROCMFORGE_RULE_##id] = name,
#include "api/rules.def"
#undef X
};

static const char *const rule_sentences[] = {
#define X(id, name, sentence) [ROCMFORGE_RULE_##id] = sentence,
#include "api/rules.def"
#undef X
};

enum { N_RULES = sizeof rule_names / sizeof *rule_names };

static const struct {
    rocmforge_status status;
    const char *name;
    rf_status inner;
} codes[] = {
#define X(id, name, inner) {ROCMFORGE_##id, name, inner},
#include "api/codes.def"
#undef X
};

enum { N_CODES = sizeof codes / sizeof *codes };

static void say(const char *fmt, va_list args) {
    int n = snprintf(call.text, sizeof call.text, "%s: ", call.function ? call.function : "");
    (void)vsnprintf(call.text + n, sizeof call.text - (size_t)n, fmt, args);
}

rocmforge_status rf_api_fail(rocmforge_status status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    call.rule = ROCMFORGE_RULE_NONE;
    return status;
}

rocmforge_status rf_api_misuse(rocmforge_rule rule, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    size_t n = strlen(call.text);
    (void)snprintf(call.text + n, sizeof call.text - n, " (rule %s: %s)", rule_names[rule],
                   rule_sentences[rule]);
    call.rule = rule;
    return ROCMFORGE_MISUSE;
}

rocmforge_status rf_api_status(rf_status status) {
    for (size_t i = 0; i < N_CODES; i++)
        if (codes[i].inner == status)
            return codes[i].status;
    return status == RF_ERR_USAGE ? ROCMFORGE_INVALID : ROCMFORGE_INTERNAL;
}

rocmforge_status rf_api_result(rf_status status, const rf_error *err) {
    return status == RF_OK ? ROCMFORGE_OK : rf_api_fail(rf_api_status(status), "%s", err->text);
}

rocmforge_status rf_api_enter(const char *function, bool in_event) {
    static const char *const names[] = {"no", "an event", "a progress or log"};
    const char *of = call.callback_of;
    call.function = function;
    if (call.callback != RF_API_NO_CALLBACK &&
        !(call.callback == RF_API_EVENT_CALLBACK && in_event))
        return rf_api_misuse(ROCMFORGE_RULE_CALLBACK, "called from %s callback%s%s",
                             names[call.callback], of ? " of " : "", of ? of : "");
    call.rule = ROCMFORGE_RULE_NONE;
    call.text[0] = 0;
    return ROCMFORGE_OK;
}

rf_api_callback rf_api_callback_begin(rf_api_callback callback) {
    rf_api_callback before = call.callback;
    if (callback > before) {
        call.callback = callback;
        call.callback_of = before == RF_API_NO_CALLBACK ? call.function : call.callback_of;
    }
    return before;
}

void rf_api_callback_end(rf_api_callback before) {
    call.callback = before;
    if (before == RF_API_NO_CALLBACK)
        call.function = call.callback_of;
}

/* ---- public ---------------------------------------------------------------------------------- */

const char *rocmforge_version(void) { return ROCMFORGE_VERSION; }

int32_t rocmforge_version_number(void) {
    return ROCMFORGE_VERSION_MAJOR * 10000 + ROCMFORGE_VERSION_MINOR * 100 +
           ROCMFORGE_VERSION_PATCH;
}

const char *rocmforge_last_error(void) { return call.text; }
rocmforge_rule rocmforge_last_rule(void) { return call.rule; }

const char *rocmforge_status_name(rocmforge_status status) {
    for (size_t i = 0; i < N_CODES; i++)
        if (codes[i].status == status)
            return codes[i].name;
    return "unknown";
}

const char *rocmforge_rule_name(rocmforge_rule rule) {
    return rule >= 0 && rule < N_RULES ? rule_names[rule] : "unknown";
}
