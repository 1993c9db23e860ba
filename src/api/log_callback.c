/* Lines of the log on their way to the user's callback. */
#include <pthread.h>

#include "api/failure.h"
#include "base/log.h"

/* Readers are lines on their way: the writer waits until none is left. */
static struct {
    pthread_rwlock_t lock;
    rocmforge_log_fn callback;
    void *user;
} target = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static void forward(void *user, rf_log_level level, const char *topic, const char *text) {
    (void)user;
    pthread_rwlock_rdlock(&target.lock);
    if (target.callback) {
        rf_api_callback before = rf_api_callback_begin(RF_API_BARE_CALLBACK);
        target.callback(target.user, (int32_t)level, topic, text);
        rf_api_callback_end(before);
    }
    pthread_rwlock_unlock(&target.lock);
}

rocmforge_status rocmforge_log_set(rocmforge_log_fn callback, void *user, int32_t level) {
    RF_API_TRY(rf_api_enter(__func__, false));
    if (level < 0 || level >= (int32_t)RF_LOG_LEVEL_COUNT)
        return rf_api_misuse(ROCMFORGE_RULE_VALUE, "level %d, expected %d to %d", level,
                             ROCMFORGE_LOG_ERROR, ROCMFORGE_LOG_TRACE);
    pthread_rwlock_wrlock(&target.lock);
    target.callback = callback;
    target.user = user;
    rf_log_set(callback ? forward : NULL, NULL, (rf_log_level)level);
    pthread_rwlock_unlock(&target.lock);
    return ROCMFORGE_OK;
}
