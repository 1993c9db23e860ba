#include "server/pump.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/http_loop.h"
#include "server/server_state.h"

enum { N_BUCKETS = 4096, EMBEDDINGS_AT_ONCE = 16, WAIT_NS = 100000000, RETRY_NS = 1000000 };

struct rf_pump {
    struct rf_server *server;
    pthread_t thread;
    bool has_thread;
    atomic_bool stops;
    pthread_mutex_t lock;                 /* of all below */
    rf_answer_prompt *buckets[N_BUCKETS]; /* by the engine's id */
    rf_answer *retries;                   /* the engine had no room for their cancels */
};

/* ---- behind the lock ----------------------------------------------------------------------- */

static void insert(rf_pump *pump, rf_answer_prompt *prompt) {
    rf_answer_prompt **bucket = &pump->buckets[prompt->id % N_BUCKETS];
    prompt->next = *bucket;
    *bucket = prompt;
    prompt->lives = true;
    prompt->answer->n_live++;
    (void)atomic_fetch_add(&pump->server->n_in_engine, 1);
}

static rf_answer_prompt *find(const rf_pump *pump, uint64_t id) {
    rf_answer_prompt *prompt = pump->buckets[id % N_BUCKETS];
    while (prompt && prompt->id != id)
        prompt = prompt->next;
    return prompt;
}

static void drop(rf_pump *pump, rf_answer_prompt *prompt) {
    rf_answer_prompt **at = &pump->buckets[prompt->id % N_BUCKETS];
    while (*at != prompt)
        at = &(*at)->next;
    *at = prompt->next;
    prompt->lives = false;
    prompt->answer->n_live--;
    (void)atomic_fetch_sub(&pump->server->n_in_engine, 1);
}

static void retry_later(rf_pump *pump, rf_answer *answer) {
    if (answer->retries_cancel)
        return;
    answer->retries_cancel = true;
    answer->next_retry = pump->retries;
    pump->retries = answer;
}

static void forget_retry(rf_pump *pump, const rf_answer *answer) {
    rf_answer **at = &pump->retries;
    while (*at && *at != answer)
        at = &(*at)->next_retry;
    if (*at)
        *at = answer->next_retry;
}

static void cancel_prompt(rf_pump *pump, rf_answer_prompt *prompt) {
    rf_error ignored = {0};
    if (!prompt->lives || prompt->cancelled)
        return;
    prompt->cancelled =
        rf_engine_cancel(pump->server->options.engine, prompt->id, &ignored) == RF_OK;
    if (!prompt->cancelled)
        retry_later(pump, prompt->answer);
}

static void cancel_all(rf_pump *pump, rf_answer *answer) {
    for (size_t i = 0; i < answer->n_prompts; i++)
        cancel_prompt(pump, &answer->prompts[i]);
}

static void retry_cancels(rf_pump *pump) {
    rf_answer *list = pump->retries;
    pump->retries = NULL;
    while (list) {
        rf_answer *answer = list;
        list = answer->next_retry;
        answer->retries_cancel = false;
        for (size_t i = 0; i < answer->n_prompts; i++)
            if (answer->abandoned || answer->prompts[i].n_open == 0)
                cancel_prompt(pump, &answer->prompts[i]);
    }
}

/* ---- any thread ---------------------------------------------------------------------------- */

static rf_status submit_prompt(rf_pump *pump, rf_answer *answer, size_t i, rf_error *err) {
    rf_answer_prompt *prompt = &answer->prompts[i];
    const rf_tokenizer *tokenizer = pump->server->options.tokenizer;
    size_t n_eog;
    const int32_t *eog = rf_tokenizer_eog(tokenizer, &n_eog);
    uint32_t room = pump->server->options.n_ctx - (uint32_t)prompt->n_tokens;
    bool scores = rf_answer_scores_next(answer, prompt);
    rf_request request = {
        .kind = answer->form->embeds ? RF_REQUEST_EMBED
                : scores             ? RF_REQUEST_SCORE
                                     : RF_REQUEST_GENERATE,
        .tokens = prompt->tokens.ids,
        .n_tokens = (uint32_t)prompt->n_tokens,
        /* More than fits is as much as fits: it ends with "length". */
        .n_new = answer->n_new == 0      ? 1
                 : answer->n_new <= room ? answer->n_new
                                         : RF_NEW_TOKENS_MAX,
        .n_choices = scores ? 1 : answer->n_choices,
        .n_top = answer->sampling.n_top,
        .params = &answer->sampling.params,
        .priority = answer->priority,
        .salt = answer->salt,
        .keeps_private = answer->keeps_private,
        .more_follow = !answer->form->embeds && i + 1 < answer->n_prompts,
        .constraint = answer->constraint,
        .stop_tokens = eog,
        .pooling = pump->server->options.pooling,
        .normalise = true,
        .n_stop = answer->sampling.ignore_eos ? 0 : (uint32_t)n_eog,
    };
    RF_TRY(rf_engine_submit(pump->server->options.engine, &request, &prompt->id, err));
    if (!scores)
        rf_tokens_deinit(&prompt->tokens);
    insert(pump, prompt);
    return RF_OK;
}

/* Embeddings come in long lists: some at a time, so that others have room beside them. */
static rf_status submit_more(rf_pump *pump, rf_answer *answer, rf_error *err) {
    bool embeds = answer->form->embeds;
    while (answer->n_submitted < answer->n_prompts &&
           !(embeds && answer->n_live >= EMBEDDINGS_AT_ONCE)) {
        rf_status status = submit_prompt(pump, answer, answer->n_submitted, err);
        if (embeds && status == RF_ERR_LIMIT && answer->n_live > 0)
            break; /* the end of one that is there brings it here again */
        if (status != RF_OK)
            return status;
        answer->n_submitted++;
    }
    return RF_OK;
}

/* What follows the last event of one of its prompts: the prompt itself, which was scored, or others
 * that had no room. */
static rf_status go_on(rf_pump *pump, rf_answer *answer, rf_answer_prompt *prompt, rf_error *err) {
    if (prompt->scored && prompt->tokens.n > 0 && prompt->n_open > 0)
        RF_TRY(submit_prompt(pump, answer, prompt->i_prompt, err));
    return submit_more(pump, answer, err);
}

rf_status rf_pump_submit(rf_pump *pump, rf_answer *answer, rf_error *err) {
    rf_status status = RF_OK;
    pthread_mutex_lock(&pump->lock);
    if (answer->abandoned) /* since it was attached: it ends as if it had been cancelled */
        status = rf_fail(err, RF_ERR_INTERRUPTED, "the client has left");
    else
        status = submit_more(pump, answer, err);
    if (status != RF_OK && answer->n_live > 0) { /* the others' last events end the answer */
        (void)rf_refuse(&answer->failure,
                        status == RF_ERR_LIMIT ? RF_REFUSE_BUSY : RF_REFUSE_FAILED, NULL,
                        "the queue is full: %s", err->text);
        answer->abandoned = true;
        cancel_all(pump, answer);
        status = RF_OK;
    }
    pthread_mutex_unlock(&pump->lock);
    return status;
}

void rf_pump_cancel(rf_pump *pump, rf_answer *answer, bool timed_out) {
    pthread_mutex_lock(&pump->lock);
    answer->abandoned = true;
    answer->timed_out |= timed_out;
    cancel_all(pump, answer);
    pthread_mutex_unlock(&pump->lock);
}

size_t rf_pump_list(rf_pump *pump, rf_pump_task *out, size_t n) {
    size_t found = 0;
    pthread_mutex_lock(&pump->lock);
    for (size_t i = 0; i < N_BUCKETS; i++)
        for (const rf_answer_prompt *p = pump->buckets[i]; p && found < n; p = p->next) {
            rf_pump_task *task = &out[found++];
            *task = (rf_pump_task){.id = p->id, .n_tokens = p->n_tokens};
            memcpy(task->request_id, p->answer->exchange->id, sizeof task->request_id);
        }
    pthread_mutex_unlock(&pump->lock);
    return found;
}

/* ---- the pump's thread --------------------------------------------------------------------- */

static void take(rf_pump *pump, const rf_event *event) {
    pthread_mutex_lock(&pump->lock);
    rf_answer_prompt *prompt = find(pump, event->id);
    pthread_mutex_unlock(&pump->lock);
    if (!prompt)
        return;
    rf_answer *answer = prompt->answer;
    bool enough = rf_answer_take(answer, prompt, event);
    bool last = event->kind == RF_EVENT_FINISH && event->last;
    if (!enough && !last)
        return;
    pthread_mutex_lock(&pump->lock);
    if (last)
        drop(pump, prompt);
    else if (answer->failure.kind != RF_REFUSE_NOTHING)
        cancel_all(pump, answer);
    else
        cancel_prompt(pump, prompt);
    rf_error err = {0};
    if (last && !answer->abandoned && answer->failure.kind == RF_REFUSE_NOTHING &&
        go_on(pump, answer, prompt, &err) != RF_OK)
        (void)rf_refuse(&answer->failure,
                        err.code == RF_ERR_LIMIT ? RF_REFUSE_BUSY : RF_REFUSE_FAILED, NULL,
                        "the queue is full: %s", err.text);
    bool over = answer->n_live == 0;
    pthread_mutex_unlock(&pump->lock);
    if (!over)
        return;
    rf_answer_finish(answer);
    pthread_mutex_lock(&pump->lock);
    forget_retry(pump, answer);
    pthread_mutex_unlock(&pump->lock);
    rf_answer_destroy(answer);
}

static void *run(void *user) {
    rf_pump *pump = user;
    rf_engine *engine = pump->server->options.engine;
    static _Thread_local rf_event event;
    while (!atomic_load(&pump->stops)) {
        pthread_mutex_lock(&pump->lock);
        retry_cancels(pump);
        bool waits_short = pump->retries != NULL;
        pthread_mutex_unlock(&pump->lock);
        if (!rf_engine_next(engine, &event, waits_short ? RETRY_NS : WAIT_NS))
            continue;
        do
            take(pump, &event);
        while (rf_engine_next(engine, &event, 0));
        rf_loop_wake(pump->server->loop);
    }
    return NULL;
}

rf_status rf_pump_create(struct rf_server *server, rf_pump **out, rf_error *err) {
    rf_pump *pump = rf_calloc(1, sizeof *pump);
    if (!pump || pthread_mutex_init(&pump->lock, NULL) != 0) {
        rf_free(pump);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the server");
    }
    pump->server = server;
    *out = pump;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&pump->thread, NULL, run, pump);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    pump->has_thread = failed == 0;
    return failed ? rf_fail(err, RF_ERR_IO, "no thread for the server: %s", strerror(failed))
                  : RF_OK;
}

void rf_pump_stop(rf_pump *pump) {
    if (!pump || !pump->has_thread)
        return;
    atomic_store(&pump->stops, true);
    (void)pthread_join(pump->thread, NULL);
    pump->has_thread = false;
}

void rf_pump_destroy(rf_pump *pump) {
    if (!pump)
        return;
    rf_pump_stop(pump);
    for (size_t i = 0; i < N_BUCKETS; i++) {
        while (pump->buckets[i]) {
            rf_answer *answer = pump->buckets[i]->answer;
            for (size_t p = 0; p < answer->n_prompts; p++)
                if (answer->prompts[p].lives)
                    drop(pump, &answer->prompts[p]);
            rf_exchange_detach(answer->exchange);
            rf_answer_destroy(answer);
        }
    }
    (void)pthread_mutex_destroy(&pump->lock);
    rf_free(pump);
}
