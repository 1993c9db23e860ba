/*
 * The option table and what a run makes of it: defaults, then environment, then command line. One
 * thread, at start-up; afterwards the values are read-only. Texts are borrowed from the table, the
 * environment or argv; lists are owned (rf_options_deinit).
 */
#ifndef RF_CLI_OPTIONS_H
#define RF_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

typedef enum rf_command_id {
#define X(id, name, args, least, most, summary, example) RF_CMD_##id,
#include "cli/commands.def"
#undef X
    RF_CMD_COUNT
} rf_command_id;

typedef struct rf_command {
    const char *name, *args, *summary, *example;
    int least_args, most_args;
} rf_command;

const rf_command *rf_command_get(rf_command_id id);
bool rf_command_find(const char *name, rf_command_id *out);
const char *rf_command_nearest(const char *name); /* NULL when nothing is close */

typedef enum rf_option_kind {
    RF_OPTION_ACTION, /* something to do instead; has no value and no variable */
    RF_OPTION_FLAG,
    RF_OPTION_INT,
    RF_OPTION_SIZE, /* bytes, written as 400M or 2G; a number alone is M */
    RF_OPTION_REAL,
    RF_OPTION_TEXT,
    RF_OPTION_PATH,
    RF_OPTION_CHOICE,
    RF_OPTION_LIST,    /* texts; repeating the option adds one */
    RF_OPTION_INTS,    /* whole numbers, separated by commas; none where value names it */
    RF_OPTION_CHOICES, /* choices, separated by commas */
    RF_OPTION_OPTIONAL /* a file name that may be left out: --name or --name=FILE */
} rf_option_kind;

typedef enum rf_option_section {
#define X(id, title) RF_SECTION_##id,
#include "cli/sections.def"
#undef X
    RF_SECTION_COUNT
} rf_option_section;

typedef enum rf_option_id {
#define X(id, names, kind, def, least, most, value, commands, section, help) RF_OPT_##id,
#include "cli/options.def"
#undef X
#define X(field, kind, flags, json, def, min, max, help) RF_OPT_SAMPLE_##field,
#include "sample/sample_params.def"
#undef X
    RF_OPT_COUNT
} rf_option_id;

typedef struct rf_option {
    const char *names; /* every spelling with its dashes, separated by blanks */
    rf_option_kind kind;
    const char *fallback; /* default as text, or NULL */
    double least, most;
    const char *value;
    uint32_t commands; /* bit 1 << rf_command_id */
    rf_option_section section;
    const char *help;
} rf_option;

const rf_option *rf_option_get(rf_option_id id);
/* The first long spelling, without its dashes: what messages and variables use. */
enum { RF_OPTION_FLAG_BYTES = 48 };
const char *rf_option_flag(const rf_option *option, char out[RF_OPTION_FLAG_BYTES]);
/* False where the spelling stands alone, or with =. Rows that share a spelling agree on it. */
static inline bool rf_option_takes_value(const rf_option *option) {
    return option->kind != RF_OPTION_ACTION && option->kind != RF_OPTION_FLAG &&
           option->kind != RF_OPTION_OPTIONAL;
}
/* Walks the spellings: false at the end. *at starts as option->names. */
bool rf_option_next_name(const char **at, rf_str *out);
const char *rf_section_title(rf_option_section section);
static inline bool rf_option_serves(const rf_option *option, rf_command_id command) {
    return (option->commands >> command & 1u) != 0;
}

enum { RF_OPTION_ENV_BYTES = 64, RF_OPTION_MAX_ARGS = 4 };
void rf_option_env_name(const rf_option *option, char out[RF_OPTION_ENV_BYTES]);
/* "a number from 0 to 2", "one of auto, always, never" …: what the option accepts. */
void rf_option_describe(const rf_option *option, rf_buf *out);

typedef enum rf_option_source {
    RF_SOURCE_DEFAULT,
    RF_SOURCE_ENVIRONMENT,
    RF_SOURCE_COMMAND_LINE
} rf_option_source;

enum { RF_OPTION_MAX_NUMBERS = 16 };

typedef struct rf_option_value {
    rf_option_source source;
    const char *text; /* as given; NULL when not set */
    bool on;
    int64_t integer; /* also the index of a CHOICE */
    double real;
    const char **list; /* owned */
    size_t n_list;
    int64_t numbers[RF_OPTION_MAX_NUMBERS]; /* of INTS; indices of CHOICES */
    size_t n_numbers;
} rf_option_value;

typedef struct rf_options {
    rf_option_value values[RF_OPT_COUNT];
    bool has_command;
    rf_command_id command;
    const char *args[RF_OPTION_MAX_ARGS]; /* besides options and command */
    int n_args;
} rf_options;

RF_NODISCARD rf_status rf_options_init(rf_options *options, rf_error *err); /* the defaults */
void rf_options_deinit(rf_options *options);
/* Takes one value for an option; name is how the user spelt it, for messages. */
RF_NODISCARD rf_status rf_options_set(rf_options *options, rf_option_id id, const char *text,
                                      rf_option_source source, const char *name, rf_error *err);
/* argv[1] on. Options may stand before or after the command. */
RF_NODISCARD rf_status rf_options_parse(rf_options *options, int argc, char **argv, rf_error *err);
/* Every ROCMFORGE_ variable of environ; unknown ones are a warning that names the nearest. What
 * the command line has set stays. */
RF_NODISCARD rf_status rf_options_read_env(rf_options *options, char **environ_vars, rf_error *err);

static inline bool rf_opt_given(const rf_options *options, rf_option_id id) {
    return options->values[id].text != NULL;
}
static inline const char *rf_opt_text(const rf_options *options, rf_option_id id) {
    return options->values[id].text;
}
static inline bool rf_opt_on(const rf_options *options, rf_option_id id) {
    return options->values[id].on;
}
static inline const rf_option_value *rf_opt_value(const rf_options *options, rf_option_id id) {
    return &options->values[id];
}
static inline int64_t rf_opt_int(const rf_options *options, rf_option_id id) {
    return options->values[id].integer;
}
static inline double rf_opt_real(const rf_options *options, rf_option_id id) {
    return options->values[id].real;
}

#endif
