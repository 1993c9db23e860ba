#include "server/output_fields.h"

#include "base/alloc.h"

enum { CHOICES_MAX = 4096 };

/* What was asked for, by which field. */
typedef struct output {
    rf_answer_spec spec;
    const char *field; /* NULL: nothing yet */
    const char *choices[CHOICES_MAX];
} output;

static bool wrong_type(rf_refusal *refusal, const char *field, const char *what,
                       const json_t *found, const char *expected) {
    return rf_refuse(refusal, found ? RF_REFUSE_TYPE : RF_REFUSE_MISSING, field,
                     "%s%s: found %s, expected %s", field, what, rf_json_kind_name(found),
                     expected);
}

/* Only one field may say what the answer is. */
static bool claim(output *o, const char *field, rf_refusal *refusal) {
    if (o->field)
        return rf_refuse(refusal, RF_REFUSE_VALUE, field,
                         "%s: found beside %s, expected one of them", field, o->field);
    o->field = field;
    return true;
}

static bool take_text(output *o, const char *field, const json_t *value, rf_str *out,
                      rf_refusal *refusal) {
    if (!json_is_string(value))
        return wrong_type(refusal, field, "", value, "a string");
    *out = (rf_str){json_string_value(value), json_string_length(value)};
    if (out->len == 0 || memchr(out->ptr, 0, out->len))
        return rf_refuse(refusal, RF_REFUSE_VALUE, field, "%s: found %s, expected a text", field,
                         out->len ? "a NUL" : "an empty text");
    return claim(o, field, refusal);
}

static bool take_regex(output *o, const char *field, const json_t *value, rf_refusal *refusal) {
    rf_str text;
    if (!value)
        return true;
    if (!take_text(o, field, value, &text, refusal))
        return false;
    o->spec.pattern = text.ptr;
    return true;
}

static bool take_grammar(output *o, const char *field, const json_t *value, rf_refusal *refusal) {
    return !value || take_text(o, field, value, &o->spec.grammar, refusal);
}

static bool take_choices(output *o, const char *field, const json_t *list, rf_refusal *refusal) {
    size_t n = json_array_size(list);
    if (!list)
        return true;
    if (!json_is_array(list) || n == 0 || n > CHOICES_MAX)
        return wrong_type(refusal, field, "", list, "a list of 1 to 4,096 texts");
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_array_get(list, i);
        o->choices[i] = json_string_value(text);
        if (!o->choices[i])
            return rf_refuse(refusal, RF_REFUSE_TYPE, field, "%s[%zu]: found %s, expected a string",
                             field, i, rf_json_kind_name(text));
    }
    o->spec.choices = o->choices;
    o->spec.n_choices = n;
    return claim(o, field, refusal);
}

static bool take_schema(output *o, const char *field, json_t *value, rf_refusal *refusal) {
    if (!value)
        return true;
    if (!json_is_object(value) && !json_is_boolean(value))
        return wrong_type(refusal, field, "", value, "a JSON schema, which is an object");
    o->spec.schema = value;
    return claim(o, field, refusal);
}

/* {"type": "text" | "json_object" | "json_schema", "json_schema": {"schema": …}}, and
 * llama-server's
 * {"type": "json_object", "schema": …}. */
static bool take_format(output *o, const char *field, const json_t *format, rf_refusal *refusal) {
    const json_t *named = json_object_get(format, "type");
    const char *type = json_string_value(named);
    json_t *inner = json_object_get(format, "json_schema");
    json_t *schema = json_object_get(json_is_object(inner) ? inner : format, "schema");
    if (!format)
        return true;
    if (!json_is_object(format))
        return wrong_type(refusal, field, "", format, "an object");
    if (!type)
        return wrong_type(refusal, field, ".type", named, "a string");
    if (strcmp(type, "text") == 0)
        return true;
    if (strcmp(type, "json_object") == 0 && !schema) {
        o->spec.any_object = true;
        return claim(o, field, refusal);
    }
    if (strcmp(type, "json_schema") != 0 && strcmp(type, "json_object") != 0)
        return rf_refuse(refusal, RF_REFUSE_VALUE, field,
                         "%s.type: found %.40s, expected text, json_object or json_schema", field,
                         type);
    if (!schema)
        return wrong_type(refusal, field, ".json_schema.schema", schema, "a JSON schema");
    return take_schema(o, field, schema, refusal);
}

/* vLLM's {"json": …, "regex": …, "choice": …, "grammar": …, "json_object": true}. */
static bool take_structured(output *o, const json_t *all, rf_refusal *refusal) {
    const char *field = "structured_outputs";
    if (!all)
        return true;
    if (!json_is_object(all))
        return wrong_type(refusal, field, "", all, "an object");
    if (json_is_true(json_object_get(all, "json_object"))) {
        o->spec.any_object = true;
        if (!claim(o, field, refusal))
            return false;
    }
    if (json_object_get(all, "structural_tag"))
        return rf_refuse(refusal, RF_REFUSE_UNSUPPORTED, field,
                         "structured_outputs.structural_tag: this server does not do that");
    return take_schema(o, field, json_object_get(all, "json"), refusal) &&
           take_regex(o, field, json_object_get(all, "regex"), refusal) &&
           take_choices(o, field, json_object_get(all, "choice"), refusal) &&
           take_grammar(o, field, json_object_get(all, "grammar"), refusal);
}

static bool take_all(output *o, const rf_ask *ask, rf_refusal *refusal) {
    const json_t *grammar = rf_ask_json(ask, RF_FIELD_GRAMMAR);
    if (ask->endpoint == RF_ASK_NATIVE && json_is_string(grammar) &&
        json_string_length(grammar) == 0)
        grammar = NULL; /* llama-server's clients say so where they want none */
    return take_format(o, "response_format", rf_ask_json(ask, RF_FIELD_RESPONSE_FORMAT), refusal) &&
           take_format(o, "text", json_object_get(rf_ask_json(ask, RF_FIELD_TEXT_FORMAT), "format"),
                       refusal) &&
           take_format(o, "output_format", rf_ask_json(ask, RF_FIELD_OUTPUT_FORMAT), refusal) &&
           take_format(o, "output_config",
                       json_object_get(rf_ask_json(ask, RF_FIELD_OUTPUT_CONFIG), "format"),
                       refusal) &&
           take_schema(o, "json_schema", rf_ask_json(ask, RF_FIELD_JSON_SCHEMA), refusal) &&
           take_schema(o, "guided_json", rf_ask_json(ask, RF_FIELD_GUIDED_JSON), refusal) &&
           take_regex(o, "regex", rf_ask_json(ask, RF_FIELD_REGEX), refusal) &&
           take_regex(o, "guided_regex", rf_ask_json(ask, RF_FIELD_GUIDED_REGEX), refusal) &&
           take_choices(o, "choice", rf_ask_json(ask, RF_FIELD_CHOICE), refusal) &&
           take_choices(o, "guided_choice", rf_ask_json(ask, RF_FIELD_GUIDED_CHOICE), refusal) &&
           take_grammar(o, "grammar", grammar, refusal) &&
           take_grammar(o, "guided_grammar", rf_ask_json(ask, RF_FIELD_GUIDED_GRAMMAR), refusal) &&
           take_structured(o, rf_ask_json(ask, RF_FIELD_STRUCTURED_OUTPUTS), refusal);
}

/* A call that must come is written in the family's syntax; one that may come stands beside a JSON
 * answer that is asked for. */
static void add_calls(output *o, const rf_talk *talk) {
    bool json = o->spec.schema || o->spec.any_object;
    bool must = talk->tool_choice == RF_TOOLS_REQUIRED || talk->tool_choice == RF_TOOLS_NAMED;
    if (json || must) { /* other texts are to be exactly what was asked for */
        o->spec.reasoning = talk->reasoning;
        o->spec.reasoning_open = talk->reasoning_open;
    }
    if (!talk->tools || !talk->syntax || talk->tool_choice == RF_TOOLS_NONE || (!json && !must))
        return;
    o->spec.calls = talk->syntax;
    o->spec.tools = talk->tools;
    o->spec.tool_name = talk->tool_choice == RF_TOOLS_NAMED ? talk->tool_name : NULL;
    o->spec.one_call = talk->one_call || talk->tool_choice == RF_TOOLS_NAMED;
    if (must) { /* instead of an answer */
        o->spec.schema = NULL;
        o->spec.any_object = false;
        o->field = o->field ? o->field : "tools";
    }
}

bool rf_output_fields_take(const rf_ask *ask, const rf_talk *talk, const rf_tokenizer *tokenizer,
                           bool continues, rf_automaton **out, rf_refusal *refusal) {
    rf_error err = {0};
    output *o = rf_calloc(1, sizeof *o);
    *out = NULL;
    if (!o)
        return rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the request");
    bool ok = take_all(o, ask, refusal);
    if (ok) {
        add_calls(o, talk);
        const char *field = o->field ? o->field : "tools";
        if (rf_answer_constraint_compile(&o->spec, tokenizer, continues, out, &err) != RF_OK) {
            rf_error why = err;
            ok = err.code == RF_ERR_NO_MEMORY
                     ? rf_refuse_status(refusal, field, &err)
                     : rf_refuse(refusal, RF_REFUSE_VALUE, field, "%s: %s", field, why.text);
        }
    }
    rf_free(o);
    return ok;
}
