/*
 * How calls of the library fail: the thread's last error, the rules that callers break, and which
 * functions may be called from callbacks. Every public function that can fail enters first. All of
 * it belongs to the thread that calls.
 */
#ifndef RF_API_FAILURE_H
#define RF_API_FAILURE_H

#include <stdbool.h>

#include "base/status.h"
#include "rocmforge.h"

/* Which callback of the user's is running on this thread. */
typedef enum rf_api_callback {
    RF_API_NO_CALLBACK,
    RF_API_EVENT_CALLBACK, /* functions marked [callback] may be called */
    RF_API_BARE_CALLBACK   /* progress and log: none may */
} rf_api_callback;

/* Begins a call: forgets the last error, and fails where a callback of the user's is running.
 * in_event: the function may be called from an event callback. */
RF_NODISCARD rocmforge_status rf_api_enter(const char *function, bool in_event);

/* Brackets around a call of the user's callback; begin returns what end takes. */
rf_api_callback rf_api_callback_begin(rf_api_callback callback);
void rf_api_callback_end(rf_api_callback before);

/* Notes what failed and returns the status. */
rocmforge_status rf_api_misuse(rocmforge_rule rule, const char *fmt, ...) RF_PRINTF(2, 3);
rocmforge_status rf_api_fail(rocmforge_status status, const char *fmt, ...) RF_PRINTF(2, 3);
/* The same of an inner failure; RF_OK is ROCMFORGE_OK. */
rocmforge_status rf_api_result(rf_status status, const rf_error *err);
rocmforge_status rf_api_status(rf_status status);

#define RF_API_TRY(call)                          \
    do {                                          \
        rocmforge_status rf_api_status_ = (call); \
        if (rf_api_status_ != ROCMFORGE_OK)       \
            return rf_api_status_;                \
    } while (0)

/* Fails with ROCMFORGE_RULE_NULL when an argument is NULL. */
#define RF_API_NOT_NULL(argument)        \
    RF_API_TRY((argument) ? ROCMFORGE_OK \
                          : rf_api_misuse(ROCMFORGE_RULE_NULL, "%s is NULL", #argument))

#endif
