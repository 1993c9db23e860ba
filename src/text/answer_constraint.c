#include "text/answer_constraint.h"

#include "grammar/choices.h"
#include "grammar/gbnf.h"
#include "grammar/schema.h"
#include "text/call_rules.h"

static rf_status schema_of(rf_rules *rules, rf_str text, rf_expr *out, rf_error *err) {
    json_error_t why;
    json_t *schema = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!schema)
        return rf_fail(err, RF_ERR_INVALID, "no JSON: line %d column %d: %.120s", why.line,
                       why.column, why.text);
    rf_status status = rf_schema_rules(rules, schema, out, err);
    json_decref(schema);
    return status;
}

/* 0: the text may be anything, as far as this goes. */
static rf_status text_of(rf_rules *rules, const rf_answer_spec *spec, rf_expr *out, rf_error *err) {
    *out = 0;
    if (spec->pattern)
        return rf_rules_regex(rules, rf_str_of(spec->pattern), false, out, err);
    if (spec->n_choices > 0)
        return rf_choices_rules(rules, spec->choices, spec->n_choices, out, err);
    if (spec->grammar.len > 0)
        return rf_gbnf_parse(rules, spec->grammar, out, err);
    if (spec->schema)
        return rf_schema_rules(rules, spec->schema, out, err);
    if (spec->schema_text.len > 0)
        return schema_of(rules, spec->schema_text, out, err);
    if (spec->any_object) {
        const rf_json_rules *json = rf_rules_json(rules);
        *out = json ? rf_rules_call(rules, json->object) : 0;
    }
    return RF_OK;
}

static rf_status compile(rf_rules *rules, const rf_answer_spec *spec, const rf_tokenizer *tokenizer,
                         bool leads_space, rf_automaton **out, rf_error *err) {
    rf_expr text, calls = 0;
    RF_TRY(text_of(rules, spec, &text, err));
    if (spec->calls)
        RF_TRY(rf_call_rules(rules, tokenizer, spec, &calls, err));
    if (text > 0 && calls > 0)
        text = rf_rules_any2(rules, text, calls);
    else if (calls > 0)
        text = calls;
    return rf_rules_compile(rules, rf_reasoning_rules(rules, tokenizer, spec, text), leads_space,
                            out, err);
}

rf_status rf_answer_constraint_compile(const rf_answer_spec *spec, const rf_tokenizer *tokenizer,
                                       bool continues, rf_automaton **out, rf_error *err) {
    bool leads_space = rf_tokenizer_drops_space(tokenizer) && !continues;
    bool asks = spec->pattern || spec->n_choices > 0 || spec->grammar.len > 0 || spec->schema ||
                spec->schema_text.len > 0 || spec->any_object || spec->calls;
    rf_rules *rules;
    *out = NULL;
    if (!asks)
        return RF_OK;
    RF_TRY(rf_rules_create(&rules, err));
    rf_status status = compile(rules, spec, tokenizer, leads_space, out, err);
    rf_rules_destroy(rules);
    return status;
}
