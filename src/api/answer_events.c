/* What came from the engine becomes the events of rocmforge.h: whole characters, stop texts,
 * reasons to end. */
#include "api/request_handle.h"
#include "base/alloc.h"

const char *rocmforge_finish_name(int32_t finish) {
    static const char *const names[] = {"unknown", "stop",      "stop_text", "length", "context",
                                        "done",    "cancelled", "failed",    "closed"};
    int32_t n = sizeof names / sizeof *names;
    return names[finish > 0 && finish < n ? finish : 0];
}

static rocmforge_event *add(rf_api_request *request, int32_t kind, uint32_t choice) {
    rocmforge_event *event = &request->todo[request->n_todo++];
    *event = (rocmforge_event){.kind = kind,
                               .choice = choice,
                               .user = request->user,
                               .token = -1,
                               .text = "",
                               .error = "",
                               .n_prompt = request->n_prompt,
                               .n_generated = request->choices[choice].n_generated,
                               .seed = request->seed};
    return event;
}

static void add_text(rf_api_request *request, uint32_t choice, int32_t token) {
    const rf_api_note *note = request->note;
    rf_str text = rf_buf_view(&request->choices[choice].text.fresh);
    rocmforge_event *event = add(request, ROCMFORGE_EVENT_TOKEN, choice);
    event->text = text.len > 0 ? text.ptr : "";
    event->n_bytes = text.len;
    event->token = token;
    if (token < 0)
        return;
    event->logprob = note->logprob;
    event->n_top = note->n_top;
    event->top = (const rocmforge_token_logprob *)(const void *)note->payload;
}

static void add_finish(rf_api_request *request, uint32_t choice, int32_t finish, bool last) {
    rocmforge_event *event = add(request, ROCMFORGE_EVENT_FINISH, choice);
    event->finish = finish;
    event->last = last;
    if (request->note && request->note->kind == RF_EVENT_FINISH) {
        event->n_drafted = request->note->n_drafted;
        event->n_accepted = request->note->n_accepted;
    }
    event->n_cached = last && request->note ? request->note->n_cached : 0;
    if (finish == ROCMFORGE_FINISH_FAILED) {
        event->status = rf_api_status(request->err.code);
        event->error = request->err.text;
    }
    request->ended = request->ended || last;
}

/* The text that a choice still held back. */
static void flush(rf_api_request *request, uint32_t choice) {
    rf_error ignored;
    rf_api_choice *c = &request->choices[choice];
    if (request->kind != ROCMFORGE_GENERATE || c->done ||
        rf_answer_text_finish(&c->text, &ignored) != RF_OK || c->text.fresh.len == 0)
        return;
    add_text(request, choice, -1);
}

/* All of it ends as soon as the engine says so; true: the engine is to be told. */
static bool end_all(rf_api_request *request, uint32_t choice, int32_t finish) {
    if (request->finish != 0)
        return false;
    request->finish = finish;
    request->finish_choice = choice;
    for (uint32_t i = 0; i < request->n_choices; i++)
        request->choices[i].done = true;
    request->n_done = request->n_choices;
    return true;
}

/* A choice has ended; true: the engine is to be told, since it would go on. */
static bool end_choice(rf_api_request *request, uint32_t choice, int32_t finish, bool last) {
    request->choices[choice].done = true;
    request->n_done++;
    if (request->n_done == request->n_choices && !last)
        return end_all(request, choice, finish);
    add_finish(request, choice, finish, last);
    return false;
}

static bool answer_token(rf_api_request *request) {
    const rf_api_note *note = request->note;
    rf_api_choice *c = &request->choices[note->choice];
    if (c->done)
        return false;
    c->n_generated++;
    if (!request->ignore_end && rf_tokenizer_is_eog(c->text.tokenizer, note->token)) {
        rf_buf_clear(&c->text.fresh);
        add_text(request, note->choice, note->token);
        return false;
    }
    if (rf_answer_text_push(&c->text, note->token, &request->err) != RF_OK)
        return end_all(request, note->choice, ROCMFORGE_FINISH_FAILED);
    add_text(request, note->choice, note->token);
    return c->text.scan.found &&
           end_choice(request, note->choice, ROCMFORGE_FINISH_STOP_TEXT, false);
}

static void add_results(rf_api_request *request) {
    const rf_api_note *note = request->note;
    const void *payload = note->payload;
    if (note->has_embedding) {
        rocmforge_event *event = add(request, ROCMFORGE_EVENT_EMBEDDING, 0);
        event->embedding = payload;
        event->n_embedding = rf_model_get_info(request->engine->bound)->n_embd;
    }
    if (note->has_scores) {
        rocmforge_event *event = add(request, ROCMFORGE_EVENT_SCORES, 0);
        event->scores = payload;
        event->n_scores = request->n_prompt - request->scores_from;
        event->scores_stride = 1 + (size_t)request->n_top;
    }
}

/* Why a choice ended, in the header's words. */
static int32_t reason(const rf_api_request *request) {
    const rf_api_note *note = request->note;
    if (note->finish == RF_FINISH_STOP)
        return ROCMFORGE_FINISH_STOP;
    if (note->finish == RF_FINISH_ROWS)
        return ROCMFORGE_FINISH_DONE;
    return request->choices[note->choice].n_generated < request->n_new ? ROCMFORGE_FINISH_CONTEXT
                                                                       : ROCMFORGE_FINISH_LENGTH;
}

/* The whole request is over, or was over for its caller already. */
static void answer_end(rf_api_request *request) {
    const rf_api_note *note = request->note;
    int32_t finish = request->finish;
    if (finish == 0) {
        finish = ROCMFORGE_FINISH_CANCELLED;
        if (note->finish == RF_FINISH_FAILED) {
            finish = ROCMFORGE_FINISH_FAILED;
            (void)rf_fail(&request->err, note->status, "%s", (const char *)note->payload);
        }
        for (uint32_t i = 0; i < request->n_choices; i++)
            flush(request, i);
    }
    add_finish(request, request->finish_choice, finish, true);
}

/* An event that was lost leaves a gap: the answer fails, whatever comes after it. */
static void notice_loss(rf_api_request *request) {
    if (!request->lost || request->finish != 0)
        return;
    (void)rf_fail(&request->err, RF_ERR_NO_MEMORY, "out of memory for the events");
    (void)end_all(request, 0, ROCMFORGE_FINISH_FAILED);
}

bool rf_api_answer_note(rf_api_request *request, rf_api_note *note) {
    rf_free(request->note);
    request->note = note;
    request->n_todo = request->at_todo = 0;
    notice_loss(request);
    if (note->kind == RF_EVENT_TOKEN)
        return answer_token(request);
    bool whole = note->finish == RF_FINISH_CANCELLED || note->finish == RF_FINISH_FAILED;
    if (whole || (note->last && request->finish != 0)) {
        answer_end(request);
        return false;
    }
    if (request->choices[note->choice].done)
        return false;
    int32_t finish = reason(request);
    add_results(request);
    flush(request, note->choice);
    return end_choice(request, note->choice, finish, note->last);
}

void rf_api_answer_closed(rf_api_request *request) {
    rf_free(request->note);
    request->note = NULL;
    request->n_todo = request->at_todo = 0;
    notice_loss(request);
    int32_t finish = request->finish != 0 ? request->finish : ROCMFORGE_FINISH_CLOSED;
    add_finish(request, request->finish_choice, finish, true);
}
