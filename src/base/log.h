/*
 * Log lines through one callback. Never to standard output. Any thread; the callback may be called
 * from several threads at once. Levels say how often a line may appear.
 */
#ifndef RF_BASE_LOG_H
#define RF_BASE_LOG_H

#include "base/status.h"

typedef enum rf_log_level {
    RF_LOG_ERROR, /* something failed */
    RF_LOG_WARN,  /* something is not as the user thinks; once a cause */
    RF_LOG_INFO,  /* once a process or a model */
    RF_LOG_DEBUG, /* once a request */
    RF_LOG_TRACE, /* once a step */
    RF_LOG_LEVEL_COUNT
} rf_log_level;

/* text: one line without its end, valid during the call. */
typedef void (*rf_log_fn)(void *user, rf_log_level level, const char *topic, const char *text);

/* At any time, as long as user stays the same or fn was NULL before: lines that are on their way
 * may still reach the former fn. NULL drops everything (the default). */
void rf_log_set(rf_log_fn fn, void *user, rf_log_level max_level);
void rf_log(rf_log_level level, const char *topic, const char *fmt, ...) RF_PRINTF(3, 4);
const char *rf_log_level_name(rf_log_level level);

#endif
