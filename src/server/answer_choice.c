#include "server/answer_choice.h"

#include <jansson.h>

#include "base/alloc.h"
#include "chat/messages.h"
#include "server/answer.h"
#include "server/server_state.h"

static rf_status no_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the answer");
}

static rf_answer_item *add_item(rf_choice *choice, rf_reply_part kind) {
    if (choice->n_items == choice->n_items_max) {
        size_t n = choice->n_items_max ? choice->n_items_max * 2 : 1;
        rf_answer_item *grown = rf_realloc(choice->items, n * sizeof *grown);
        if (!grown)
            return NULL;
        choice->items = grown;
        choice->n_items_max = n;
    }
    rf_answer_item *item = &choice->items[choice->n_items++];
    size_t most = choice->answer->exchange->server->options.max_output_bytes;
    *item = (rf_answer_item){.kind = kind};
    rf_buf_init(&item->name, most);
    rf_buf_init(&item->text, most);
    return item;
}

/* The item that a part goes on with, or a further one. */
static rf_answer_item *item_of(rf_choice *choice, rf_reply_part part) {
    rf_answer_item *last = choice->n_items > 0 ? &choice->items[choice->n_items - 1] : NULL;
    if (part == RF_REPLY_ARGUMENTS || part == RF_REPLY_CALL_END)
        return last;
    if (last && last->kind == part && part != RF_REPLY_CALL)
        return last;
    return add_item(choice, part);
}

static rf_status add_part(void *user, rf_reply_part part, rf_str text, rf_error *err) {
    rf_choice *choice = user;
    rf_answer *answer = choice->answer;
    bool enough = choice->n_calls > 0 && answer->talk.one_call;
    if (enough || (text.len == 0 && part < RF_REPLY_CALL))
        return RF_OK;
    rf_answer_item *item = item_of(choice, part);
    if (!item)
        return no_memory(err);
    if (part == RF_REPLY_CALL) {
        rf_server_make_id(answer->form->call_id_prefix, item->id, sizeof item->id);
        rf_buf_str(&item->name, text);
    } else if (!answer->streams || answer->form->keeps) {
        rf_buf_str(&item->text, text);
    }
    choice->n_calls += part == RF_REPLY_CALL_END;
    if (item->name.failed || item->text.failed)
        return no_memory(err);
    if (answer->streams)
        answer->form->part(answer, choice, part, text);
    return RF_OK;
}

static bool is_tool(void *user, rf_str name) {
    const rf_choice *choice = user;
    return rf_talk_tool(&choice->answer->talk, name) != NULL;
}

static rf_param_kind param_kind(void *user, rf_str tool, rf_str param) {
    const rf_choice *choice = user;
    return rf_talk_param_kind(&choice->answer->talk, tool, param);
}

void rf_choice_init(rf_choice *choice, rf_answer *answer) {
    const rf_server_options *options = &answer->exchange->server->options;
    const rf_talk *talk = &answer->talk;
    choice->answer = answer;
    rf_answer_text_init(&choice->text, options->tokenizer,
                        (const char *const *)answer->sampling.stops, answer->sampling.n_stops,
                        answer->form->continues);
    choice->text.shown = rf_talk_shown(talk, answer->exchange->server);
    for (size_t l = 0; l < RF_LOGPROB_LISTS; l++)
        rf_buf_init(&choice->logprobs[l], options->max_output_bytes);
    rf_buf_init(&choice->ids, options->max_output_bytes);
    rf_reply_init(&choice->reply, &(rf_reply_options){.syntax = talk->syntax,
                                                      .reasoning = talk->reasoning,
                                                      .reasoning_open = talk->reasoning_open,
                                                      .on_part = add_part,
                                                      .is_tool = is_tool,
                                                      .param_kind = param_kind,
                                                      .user = choice});
}

void rf_choice_deinit(rf_choice *choice) {
    rf_answer_text_deinit(&choice->text);
    rf_reply_deinit(&choice->reply);
    for (size_t i = 0; i < choice->n_items; i++) {
        rf_buf_deinit(&choice->items[i].name);
        rf_buf_deinit(&choice->items[i].text);
    }
    rf_free(choice->items);
    rf_buf_deinit(&choice->ids);
    for (size_t l = 0; l < RF_LOGPROB_LISTS; l++)
        rf_buf_deinit(&choice->logprobs[l]);
}

static rf_status pass_on(rf_choice *choice, rf_error *err) {
    rf_str fresh = rf_buf_view(&choice->text.fresh);
    if (fresh.len == 0)
        return RF_OK;
    if (choice->answer->form->talks)
        return rf_reply_push(&choice->reply, fresh, err);
    return add_part(choice, RF_REPLY_TEXT, fresh, err);
}

rf_status rf_choice_push(rf_choice *choice, int32_t token, rf_error *err) {
    choice->n_reasoning += rf_reply_is_reasoning(&choice->reply);
    RF_TRY(rf_answer_text_push(&choice->text, token, err));
    return pass_on(choice, err);
}

static rf_status finish(rf_choice *choice, rf_error *err) {
    if (!choice->text.scan.found) {
        RF_TRY(rf_answer_text_finish(&choice->text, err));
        RF_TRY(pass_on(choice, err));
    }
    return choice->answer->form->talks ? rf_reply_finish(&choice->reply, err) : RF_OK;
}

/* A call whose arguments broke off: where nothing was sent yet, it is told as the text that it is.
 */
static rf_status tell_broken_calls(rf_choice *choice, rf_error *err) {
    for (size_t i = 0; i < choice->n_items; i++) {
        rf_answer_item *item = &choice->items[i];
        if (item->kind != RF_REPLY_CALL)
            continue;
        json_t *arguments = json_loadb(item->text.data ? item->text.data : "", item->text.len,
                                       JSON_REJECT_DUPLICATES, NULL);
        bool whole = json_is_object(arguments);
        json_decref(arguments);
        if (whole)
            continue;
        rf_buf text;
        rf_buf_init(&text, item->text.max_bytes);
        rf_buf_text(&text, "{\"name\": ");
        rf_json_append_string(&text, rf_buf_view(&item->name));
        rf_buf_text(&text, ", \"arguments\": ");
        rf_buf_str(&text, rf_buf_view(&item->text));
        rf_buf_deinit(&item->text);
        item->text = text;
        item->kind = RF_REPLY_TEXT;
        choice->n_calls--;
        if (text.failed)
            return no_memory(err);
    }
    return RF_OK;
}

rf_status rf_choice_close(rf_choice *choice, rf_choice_end end, rf_error *err) {
    RF_TRY(finish(choice, err));
    if (!choice->answer->streams && end != RF_CHOICE_LENGTH)
        RF_TRY(tell_broken_calls(choice, err));
    choice->end = end == RF_CHOICE_STOP && choice->n_calls > 0 ? RF_CHOICE_CALLS : end;
    return RF_OK;
}

rf_choice_end rf_choice_is_over(const rf_choice *choice) {
    if (choice->text.scan.found)
        return RF_CHOICE_STOP;
    return choice->n_calls > 0 && choice->answer->talk.one_call ? RF_CHOICE_CALLS : RF_CHOICE_OPEN;
}

void rf_choice_texts(const rf_choice *choice, rf_reply_part kind, rf_buf *out) {
    for (size_t i = 0; i < choice->n_items; i++)
        if (choice->items[i].kind == kind)
            rf_buf_str(out, rf_buf_view(&choice->items[i].text));
}

bool rf_choice_has(const rf_choice *choice, rf_reply_part kind) {
    for (size_t i = 0; i < choice->n_items; i++)
        if (choice->items[i].kind == kind)
            return true;
    return false;
}
