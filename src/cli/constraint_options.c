#include "cli/constraint_options.h"

#include "cli/file_input.h"
#include "grammar/gbnf.h"
#include "text/answer_constraint.h"

/* The options of which at most one may be given. */
static const struct {
    rf_option_id option;
    bool is_file, is_schema;
} sources[] = {
    {RF_OPT_REGEX, false, false},      {RF_OPT_CHOICE, false, false},
    {RF_OPT_GRAMMAR, false, false},    {RF_OPT_GRAMMAR_FILE, true, false},
    {RF_OPT_JSON_SCHEMA, false, true}, {RF_OPT_JSON_SCHEMA_FILE, true, true},
};
enum { N_SOURCES = sizeof sources / sizeof *sources };

static rf_status find_source(const rf_options *options, size_t *out, rf_error *err) {
    char first[RF_OPTION_FLAG_BYTES], second[RF_OPTION_FLAG_BYTES];
    *out = N_SOURCES;
    for (size_t i = 0; i < N_SOURCES; i++) {
        const rf_option_value *value = rf_opt_value(options, sources[i].option);
        if (!value->text && value->n_list == 0)
            continue;
        if (*out < N_SOURCES)
            return rf_fail(err, RF_ERR_USAGE, "found --%s and --%s, expected one of them",
                           rf_option_flag(rf_option_get(sources[*out].option), first),
                           rf_option_flag(rf_option_get(sources[i].option), second));
        *out = i;
    }
    return RF_OK;
}

/* A grammar or schema, from the option itself or the file that it names. */
static rf_status take_text(const rf_options *options, size_t source, rf_buf *file,
                           rf_answer_spec *spec, rf_error *err) {
    const char *given = rf_opt_text(options, sources[source].option);
    rf_str text = rf_str_of(given);
    char name[RF_OPTION_FLAG_BYTES];
    if (sources[source].is_file) {
        RF_TRY(rf_input_read(given, file, err));
        text = rf_buf_view(file);
    }
    if (text.len == 0)
        return rf_fail(err, RF_ERR_USAGE, "--%s: found no text",
                       rf_option_flag(rf_option_get(sources[source].option), name));
    if (sources[source].is_schema)
        spec->schema_text = text;
    else
        spec->grammar = text;
    return RF_OK;
}

static rf_status refuse(size_t source, rf_error *err) {
    char name[RF_OPTION_FLAG_BYTES];
    rf_error why = *err;
    return rf_fail(err, RF_ERR_USAGE, "--%s: %s",
                   rf_option_flag(rf_option_get(sources[source].option), name), why.text);
}

rf_status rf_constraint_of_options(const rf_options *options, const rf_tokenizer *tokenizer,
                                   bool raw, rf_automaton **out, rf_error *err) {
    const rf_option_value *choices = rf_opt_value(options, RF_OPT_CHOICE);
    rf_answer_spec spec = {.pattern = rf_opt_text(options, RF_OPT_REGEX),
                           .choices = choices->list,
                           .n_choices = choices->n_list};
    rf_buf file;
    size_t source;
    *out = NULL;
    RF_TRY(find_source(options, &source, err));
    if (source == N_SOURCES)
        return RF_OK;
    rf_buf_init(&file, RF_GBNF_MAX_BYTES);
    rf_status status = RF_OK;
    if (sources[source].option != RF_OPT_REGEX && sources[source].option != RF_OPT_CHOICE)
        status = take_text(options, source, &file, &spec, err);
    if (status == RF_OK) {
        status = rf_answer_constraint_compile(&spec, tokenizer, raw, out, err);
        if (status == RF_ERR_INVALID || status == RF_ERR_LIMIT)
            status = refuse(source, err);
    }
    rf_buf_deinit(&file);
    return status;
}
