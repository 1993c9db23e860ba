#include "chat/messages.h"

#include <jansson.h>

#include "base/utf8.h"
#include "chat/jinja_chars.h"

/* transformers marks the end of the final message with this and looks for it in the text. */
#define FINAL_TAG "CONTINUE_FINAL_MESSAGE_TAG "

void rf_json_append_string(rf_buf *out, rf_str s) {
    rf_buf_put(out, '"');
    for (size_t i = 0; i < s.len;) {
        uint32_t code;
        size_t n = rf_utf8_decode(s.ptr + i, s.len - i, &code);
        if (n == 0)
            rf_buf_text(out, "\xef\xbf\xbd");
        else if (code == '"' || code == '\\')
            rf_buf_printf(out, "\\%c", (char)code);
        else if (code < 0x20)
            rf_buf_printf(out, "\\u%04x", code);
        else
            rf_buf_append(out, s.ptr + i, n);
        i += n ? n : 1;
    }
    rf_buf_put(out, '"');
}

void rf_messages_append(rf_buf *messages, rf_str role, rf_str content) {
    if (messages->len)
        messages->len--; /* the bracket */
    rf_buf_text(messages, messages->len ? ", " : "[");
    rf_buf_text(messages, "{\"role\": ");
    rf_json_append_string(messages, role);
    rf_buf_text(messages, ", \"content\": ");
    rf_json_append_string(messages, content);
    rf_buf_text(messages, "}]");
}

static void append_token(rf_buf *out, const char *name, rf_str token) {
    rf_buf_printf(out, ", \"%s\": ", name);
    rf_json_append_string(out, token);
}

/* Later keys of a JSON object replace earlier ones in the template's reader, so kwargs win. */
static void append_context(rf_buf *out, const rf_prompt_request *r, rf_str messages) {
    rf_buf_text(out, "{\"messages\": ");
    rf_buf_str(out, messages);
    rf_buf_text(out, ", \"tools\": ");
    rf_buf_str(out, r->tools.len ? r->tools : RF_STR("null"));
    rf_buf_text(out, ", \"documents\": null, \"add_generation_prompt\": ");
    rf_buf_text(out, r->add_generation_prompt ? "true" : "false");
    append_token(out, "bos_token", r->bos_token);
    append_token(out, "eos_token", r->eos_token);
    rf_str kwargs = rf_chars_rstrip(r->kwargs);
    size_t start = rf_chars_space_prefix(kwargs);
    kwargs = rf_str_sub(kwargs, start, kwargs.len);
    if (kwargs.len > 2) {
        rf_str body = rf_chars_rstrip(rf_str_sub(kwargs, 1, kwargs.len));
        if (rf_chars_space_prefix(body) + 1 < body.len)
            rf_buf_text(out, ", ");
        rf_buf_str(out, body);
    } else {
        rf_buf_put(out, '}');
    }
}

static rf_status fail(rf_buf *out, rf_template_error_kind *kind, rf_error *err, const char *why) {
    *kind = RF_TEMPLATE_OTHER;
    rf_buf_text(out, why);
    return rf_fail(err, RF_ERR_INVALID, "%s", why);
}

/* The final message's content, or the last text block of it. NULL: there is none. */
static json_t *final_text(json_t *messages, json_t **owner, const char **key) {
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    json_t *content = json_object_get(last, "content");
    *owner = last;
    *key = "content";
    if (!json_is_array(content))
        return content;
    for (size_t i = json_array_size(content); i-- > 0;) {
        json_t *block = json_array_get(content, i);
        if (json_object_get(block, "text")) {
            *owner = block;
            *key = "text";
            return json_object_get(block, "text");
        }
    }
    return NULL;
}

static int write_json(const char *bytes, size_t n, void *out) {
    rf_buf_append(out, bytes, n);
    return ((rf_buf *)out)->failed ? -1 : 0;
}

/* Puts the tag behind the final text; *tagged becomes the new array and *stripped the text that
 * must appear in the prompt. */
static rf_status tag_final(rf_str messages, rf_buf *tagged, rf_buf *stripped, rf_buf *out,
                           rf_template_error_kind *kind, rf_error *err) {
    json_error_t problem;
    json_t *owner, *array = json_loadb(messages.ptr, messages.len, 0, &problem);
    const char *key;
    if (!json_is_array(array) || json_array_size(array) == 0) {
        json_decref(array);
        return fail(out, kind, err, "ValueError: continue_final_message needs a list of messages");
    }
    json_t *text = final_text(array, &owner, &key);
    if (!json_is_string(text)) {
        json_decref(array);
        return fail(out, kind, err,
                    "ValueError: the final message has no text that could be continued");
    }
    rf_buf whole;
    rf_buf_init(&whole, SIZE_MAX / 2);
    rf_str s = {json_string_value(text), json_string_length(text)};
    rf_str strip = rf_chars_rstrip(s);
    rf_buf_str(stripped, rf_str_sub(strip, rf_chars_space_prefix(strip), strip.len));
    rf_buf_str(&whole, s);
    rf_buf_text(&whole, FINAL_TAG);
    bool ok = !whole.failed && !stripped->failed &&
              json_object_set_new(owner, key, json_stringn(whole.data, whole.len)) == 0;
    ok = ok && json_dump_callback(array, write_json, tagged, JSON_COMPACT) == 0;
    rf_buf_deinit(&whole);
    json_decref(array);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "prompt: no memory for the messages");
}

static const char *find_last(rf_str s, rf_str what) {
    for (size_t i = s.len + 1; i-- > 0;)
        if (i + what.len <= s.len && memcmp(s.ptr + i, what.ptr, what.len) == 0)
            return s.ptr + i;
    return NULL;
}

/* Cuts the prompt (from `start` in out) where the tag begins. */
static rf_status cut(rf_buf *out, size_t start, rf_str stripped, rf_template_error_kind *kind,
                     rf_error *err) {
    rf_str text = rf_str_sub(rf_buf_view(out), start, out->len), tag = RF_STR(FINAL_TAG);
    rf_str bare = rf_str_sub(tag, 0, tag.len - 1);
    const char *at = find_last(text, bare);
    bool has_text = stripped.len == 0 || memmem(text.ptr, text.len, stripped.ptr, stripped.len);
    if (!at || !has_text) {
        out->len = start;
        return fail(out, kind, err,
                    "ValueError: the final message does not appear in the chat after applying the "
                    "chat template");
    }
    rf_str head = rf_str_sub(text, 0, (size_t)(at - text.ptr));
    bool spaced = rf_str_starts(rf_str_sub(text, head.len, text.len), tag);
    out->len = start + (spaced ? head.len : rf_chars_rstrip(head).len);
    out->data[out->len] = 0;
    return RF_OK;
}

rf_status rf_prompt_render(const rf_template *tmpl, const rf_prompt_request *request, rf_buf *out,
                           rf_template_error_kind *kind, rf_error *err) {
    rf_buf context, stripped, tagged;
    rf_buf_init(&context, SIZE_MAX / 2);
    rf_buf_init(&stripped, SIZE_MAX / 2);
    rf_buf_init(&tagged, SIZE_MAX / 2);
    size_t start = out->len;
    rf_status status = RF_OK;
    *kind = RF_TEMPLATE_OTHER;
    if (request->continue_final_message)
        status = tag_final(request->messages, &tagged, &stripped, out, kind, err);
    if (status == RF_OK) {
        append_context(&context, request, tagged.len ? rf_buf_view(&tagged) : request->messages);
        status =
            context.failed
                ? rf_fail(err, RF_ERR_NO_MEMORY, "prompt: no memory for the variables")
                : rf_template_render(tmpl, rf_buf_view(&context), request->clock, out, kind, err);
    }
    if (status == RF_OK && tagged.len)
        status = cut(out, start, rf_buf_view(&stripped), kind, err);
    rf_buf_deinit(&tagged);
    rf_buf_deinit(&context);
    rf_buf_deinit(&stripped);
    return status;
}
