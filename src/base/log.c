#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static rf_log_fn sink;
static void *sink_user;
static rf_log_level sink_level;

void rf_log_set(rf_log_fn fn, void *user, rf_log_level max_level) {
    sink = fn;
    sink_user = user;
    sink_level = max_level;
}

void rf_log(rf_log_level level, const char *topic, const char *fmt, ...) {
    if (!sink || level > sink_level)
        return;
    char text[RF_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sink(sink_user, level, topic, text);
}

const char *rf_log_level_name(rf_log_level level) {
    static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
    return (unsigned)level < RF_LOG_LEVEL_COUNT ? names[level] : "unknown";
}
