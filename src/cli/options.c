#include "cli/options.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/number.h"
#include "cli/spelling.h"
#include "sample/sample_params.h"

static const rf_command commands[] = {
#define X(id, name, args, least, most, summary, example) \
    {#name, args, summary, example, least, most},
#include "cli/commands.def"
#undef X
};

static const rf_option table[] = {
#define CMD(id) (1u << RF_CMD_##id)
#define X(id, names, kind, def, least, most, value, commands, section, help)                       \
    {names, RF_OPTION_##kind, def, least, most, value, (uint32_t)(commands), RF_SECTION_##section, \
     help},
#include "cli/options.def"
#undef X
#undef CMD
/* Only generate reports log-probabilities. */
#define TALK (1u << RF_CMD_GENERATE | 1u << RF_CMD_CHAT)
#define REPORT(field) \
    (RF_OPT_SAMPLE_##field == RF_OPT_SAMPLE_n_probs ? 1u << RF_CMD_GENERATE : TALK)
#define KIND_INT   RF_OPTION_INT
#define KIND_FLOAT RF_OPTION_REAL
#define X(field, kind, flags, json, def, min, max, help)                          \
    {flags,         KIND_##kind,         #def, (double)(min), (double)(max), "N", \
     REPORT(field), RF_SECTION_SAMPLING, help},
#include "sample/sample_params.def"
#undef X
};

static const char *const titles[] = {
#define X(id, title) title,
#include "cli/sections.def"
#undef X
};

const rf_command *rf_command_get(rf_command_id id) { return &commands[id]; }
const rf_option *rf_option_get(rf_option_id id) { return &table[id]; }
const char *rf_section_title(rf_option_section section) { return titles[section]; }

bool rf_command_find(const char *name, rf_command_id *out) {
    for (int i = 0; i < RF_CMD_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            *out = (rf_command_id)i;
            return true;
        }
    }
    return false;
}

const char *rf_command_nearest(const char *name) {
    const char *best = NULL;
    size_t least = SIZE_MAX;
    for (int i = 0; i < RF_CMD_COUNT; i++) {
        size_t distance = rf_spelling_distance(name, commands[i].name);
        if (distance < least) {
            least = distance;
            best = commands[i].name;
        }
    }
    return rf_spelling_close(name, least) ? best : NULL;
}

bool rf_option_next_name(const char **at, rf_str *out) {
    *at += strspn(*at, " ");
    *out = (rf_str){*at, strcspn(*at, " ")};
    *at += out->len;
    return out->len > 0;
}

const char *rf_option_flag(const rf_option *option, char out[RF_OPTION_FLAG_BYTES]) {
    rf_str name;
    out[0] = 0;
    for (const char *at = option->names; out[0] == 0 && rf_option_next_name(&at, &name);) {
        if (rf_str_starts(name, RF_STR("--")))
            (void)snprintf(out, RF_OPTION_FLAG_BYTES, "%.*s", RF_STR_ARG(rf_str_sub(name, 2, 99)));
    }
    return out;
}

void rf_option_env_name(const rf_option *option, char out[RF_OPTION_ENV_BYTES]) {
    char flag[RF_OPTION_FLAG_BYTES];
    int n = snprintf(out, RF_OPTION_ENV_BYTES, "ROCMFORGE_%s", rf_option_flag(option, flag));
    for (int i = 0; i < n && i < RF_OPTION_ENV_BYTES - 1; i++)
        out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

static bool takes_none(const rf_option *option) { return strstr(option->value, "|none") != NULL; }

void rf_option_describe(const rf_option *option, rf_buf *out) {
    switch (option->kind) {
    case RF_OPTION_FLAG: rf_buf_text(out, "on or off"); return;
    case RF_OPTION_INT:
        rf_buf_printf(out, "a whole number from %.0f", option->least);
        if (option->most < 0x1p53)
            rf_buf_printf(out, " to %.0f", option->most);
        return;
    case RF_OPTION_SIZE: rf_buf_text(out, "a size as 400M or 2G, in decimal units"); return;
    case RF_OPTION_REAL:
        rf_buf_printf(out, "a number from %g to %g", option->least, option->most);
        return;
    case RF_OPTION_INTS:
        rf_buf_printf(out, "whole numbers from %.0f to %.0f, separated by commas%s", option->least,
                      option->most, takes_none(option) ? ", or none" : "");
        return;
    case RF_OPTION_PATH: rf_buf_text(out, "a file name"); return;
    case RF_OPTION_OPTIONAL: rf_buf_text(out, "a file name, or no value"); return;
    case RF_OPTION_CHOICE:
    case RF_OPTION_CHOICES: break;
    case RF_OPTION_ACTION:
    case RF_OPTION_TEXT:
    case RF_OPTION_LIST: rf_buf_text(out, "a text"); return;
    }
    rf_buf_text(out, option->kind == RF_OPTION_CHOICE ? "one of " : "some of ");
    for (const char *c = option->value; *c; c++) {
        if (*c == '|')
            rf_buf_text(out, ", ");
        else
            rf_buf_put(out, *c);
    }
}

rf_status rf_options_init(rf_options *options, rf_error *err) {
    memset(options, 0, sizeof *options);
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        if (table[i].fallback)
            RF_TRY(rf_options_set(options, (rf_option_id)i, table[i].fallback, RF_SOURCE_DEFAULT,
                                  table[i].names, err));
    }
    return RF_OK;
}

void rf_options_deinit(rf_options *options) {
    for (int i = 0; i < RF_OPT_COUNT; i++)
        rf_free(options->values[i].list);
    memset(options, 0, sizeof *options);
}

static bool parse_switch(const char *text, bool *on) {
    static const struct {
        const char *word;
        bool on;
    } words[] = {{"on", true},   {"true", true},   {"yes", true}, {"1", true},
                 {"off", false}, {"false", false}, {"no", false}, {"0", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i].word) == 0) {
            *on = words[i].on;
            return true;
        }
    }
    return false;
}

static bool parse_choice(const char *choices, const char *text, int64_t *index) {
    size_t n = strlen(text);
    *index = 0;
    for (const char *at = choices; n > 0; (*index)++) {
        size_t len = strcspn(at, "|");
        if (len == n && memcmp(at, text, n) == 0)
            return true;
        if (at[len] == 0)
            return false;
        at += len + 1;
    }
    return false;
}

static bool in_range(const rf_option *option, double value) {
    return value >= option->least && value <= option->most;
}

/* Items between commas, none of them empty; at most RF_OPTION_MAX_NUMBERS. */
static bool parse_numbers(const rf_option *option, const char *text, rf_option_value *value) {
    value->n_numbers = 0;
    if (takes_none(option) && strcmp(text, "none") == 0)
        return true;
    for (const char *at = text;; at++) {
        char item[32];
        size_t len = strcspn(at, ",");
        int64_t *number = &value->numbers[value->n_numbers];
        if (len == 0 || len >= sizeof item || value->n_numbers == RF_OPTION_MAX_NUMBERS)
            return false;
        memcpy(item, at, len);
        item[len] = 0;
        bool ok = option->kind == RF_OPTION_CHOICES
                      ? parse_choice(option->value, item, number)
                      : rf_number_int(item, number) && in_range(option, (double)*number);
        if (!ok)
            return false;
        value->n_numbers++;
        at += len;
        if (*at == 0)
            return true;
    }
}

static bool parse_size(const char *text, int64_t *bytes) {
    char digits[24];
    size_t n = strspn(text, "0123456789");
    const char *unit = text + n;
    if (n == 0 || n >= sizeof digits || (*unit && unit[1]) || !strchr("MG", *unit))
        return false;
    memcpy(digits, text, n);
    digits[n] = 0;
    int64_t factor = *unit == 'G' ? 1000000000 : 1000000;
    return rf_number_int(digits, bytes) && !__builtin_mul_overflow(*bytes, factor, bytes);
}

static bool parse_value(const rf_option *option, const char *text, rf_option_value *value) {
    switch (option->kind) {
    case RF_OPTION_ACTION: value->on = true; return true;
    case RF_OPTION_FLAG: return parse_switch(text, &value->on);
    case RF_OPTION_INT:
        return rf_number_int(text, &value->integer) && in_range(option, (double)value->integer);
    case RF_OPTION_SIZE:
        return parse_size(text, &value->integer) && in_range(option, (double)value->integer);
    case RF_OPTION_REAL: return rf_number_real(text, &value->real) && in_range(option, value->real);
    case RF_OPTION_CHOICE: return parse_choice(option->value, text, &value->integer);
    case RF_OPTION_PATH: return text[0] != 0;
    case RF_OPTION_INTS:
    case RF_OPTION_CHOICES: return parse_numbers(option, text, value);
    case RF_OPTION_OPTIONAL:
    case RF_OPTION_TEXT:
    case RF_OPTION_LIST: return true;
    }
    return false;
}

static rf_status add_to_list(rf_option_value *value, const char *text, rf_error *err) {
    const char **list =
        rf_realloc_array((void *)value->list, value->n_list + 1, sizeof *value->list);
    if (!list)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the command line");
    value->list = list;
    list[value->n_list++] = text;
    return RF_OK;
}

rf_status rf_options_set(rf_options *options, rf_option_id id, const char *text,
                         rf_option_source source, const char *name, rf_error *err) {
    const rf_option *option = &table[id];
    rf_option_value *value = &options->values[id], parsed = *value;
    if (!parse_value(option, text, &parsed)) {
        rf_buf expected;
        rf_buf_init(&expected, 512);
        rf_option_describe(option, &expected);
        (void)rf_fail(err, RF_ERR_USAGE, "%s: found \"%.80s\", expected %s", name, text,
                      expected.data ? expected.data : "something else");
        rf_buf_deinit(&expected);
        return RF_ERR_USAGE;
    }
    *value = parsed;
    value->source = source;
    value->text = text;
    return option->kind == RF_OPTION_LIST ? add_to_list(value, text, err) : RF_OK;
}
