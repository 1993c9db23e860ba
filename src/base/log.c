#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic(rf_log_fn) sink;
static _Atomic(void *) sink_user;
static atomic_int sink_level;

void rf_log_set(rf_log_fn fn, void *user, rf_log_level max_level) {
    atomic_store(&sink_user, user);
    atomic_store(&sink_level, (int)max_level);
    atomic_store(&sink, fn);
}

void rf_log(rf_log_level level, const char *topic, const char *fmt, ...) {
    rf_log_fn fn = atomic_load_explicit(&sink, memory_order_acquire);
    if (!fn || (int)level > atomic_load_explicit(&sink_level, memory_order_relaxed))
        return;
    char text[RF_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fn(atomic_load(&sink_user), level, topic, text);
}

const char *rf_log_level_name(rf_log_level level) {
    static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
    return (unsigned)level < RF_LOG_LEVEL_COUNT ? names[level] : "unknown";
}
