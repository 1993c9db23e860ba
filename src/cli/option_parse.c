#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cli/options.h"
#include "cli/spelling.h"

static const char env_prefix[] = "ROCMFORGE_";

/* What is being parsed: the same spelling may be another option of another command. */
typedef struct parser {
    rf_options *options;
    int argc, i;
    char **argv;
    int command; /* rf_command_id, or -1 */
} parser;

/* The option of the command that is spelt so, or else one of another command, or -1. */
static int find_option(rf_str word, int command) {
    int other = -1;
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        rf_str name;
        for (const char *at = option->names; rf_option_next_name(&at, &name);) {
            if (!rf_str_eq(name, word))
                continue;
            if (command >= 0 && rf_option_serves(option, (rf_command_id)command))
                return i;
            other = other < 0 ? i : other;
        }
    }
    return other;
}

/* The command, which may stand behind options. */
static int find_command(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        rf_command_id command;
        const char *word = argv[i];
        if (strcmp(word, "--") == 0)
            continue;
        if (word[0] != '-' || word[1] == 0)
            return rf_command_find(word, &command) ? (int)command : -1;
        int id = strchr(word, '=') ? -1 : find_option(rf_str_of(word), -1);
        if (id >= 0 && rf_option_takes_value(rf_option_get((rf_option_id)id)))
            i++;
    }
    return -1;
}

/* --no-flag of a FLAG, or -1. */
static int find_negated(rf_str word) {
    if (!rf_str_starts(word, RF_STR("--no-")))
        return -1;
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        char flag[RF_OPTION_FLAG_BYTES];
        if (option->kind == RF_OPTION_FLAG &&
            rf_str_is(rf_str_sub(word, 5, word.len), rf_option_flag(option, flag)))
            return i;
    }
    return -1;
}

static rf_status unknown_option(rf_str word, rf_error *err) {
    char typed[64], flag[RF_OPTION_FLAG_BYTES], best[RF_OPTION_FLAG_BYTES] = "";
    (void)snprintf(typed, sizeof typed, "%.*s", RF_STR_ARG(rf_str_sub(word, 0, 63)));
    const char *bare = typed + strspn(typed, "-");
    size_t least = SIZE_MAX;
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        size_t distance = rf_spelling_distance(bare, rf_option_flag(option, flag));
        if (option->section != RF_SECTION_HIDDEN && distance < least) {
            least = distance;
            memcpy(best, flag, sizeof best);
        }
    }
    if (strlen(bare) > 1 && rf_spelling_close(bare, least))
        return rf_fail(err, RF_ERR_USAGE, "%s: no such option; did you mean --%s?", typed, best);
    return rf_fail(err, RF_ERR_USAGE, "%s: no such option", typed);
}

static rf_status missing_value(const rf_option *option, const char *name, const char *next,
                               rf_error *err) {
    rf_buf expected;
    char flag[RF_OPTION_FLAG_BYTES];
    rf_buf_init(&expected, 512);
    rf_option_describe(option, &expected);
    const char *what = expected.data ? expected.data : "a value";
    if (next)
        (void)rf_fail(err, RF_ERR_USAGE,
                      "%s: found the option %s, expected %s (a text that looks like an option is "
                      "written --%s=TEXT)",
                      name, next, what, rf_option_flag(option, flag));
    else
        (void)rf_fail(err, RF_ERR_USAGE, "%s: found nothing after it, expected %s", name, what);
    rf_buf_deinit(&expected);
    return RF_ERR_USAGE;
}

/* Takes an argument and, where it needs one, the value after it. */
static rf_status take_option(parser *p, rf_error *err) {
    const char *word_text = p->argv[p->i], *equals = strchr(word_text, '=');
    rf_str word = rf_str_of(word_text);
    if (equals)
        word.len = (size_t)(equals - word_text);
    int id = find_option(word, p->command);
    if (id < 0) {
        id = find_negated(word);
        if (id < 0 || equals)
            return unknown_option(word, err);
        return rf_options_set(p->options, (rf_option_id)id, "off", RF_SOURCE_COMMAND_LINE,
                              word_text, err);
    }
    const rf_option *option = rf_option_get((rf_option_id)id);
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", RF_STR_ARG(word));
    if (option->kind == RF_OPTION_ACTION && equals)
        return rf_fail(err, RF_ERR_USAGE, "%s: found a value, expected none", name);
    const char *value = equals ? equals + 1 : option->kind == RF_OPTION_OPTIONAL ? "" : "on";
    if (!equals && rf_option_takes_value(option)) {
        const char *next = p->i + 1 < p->argc ? p->argv[p->i + 1] : NULL;
        if (!next || (next[0] == '-' && find_option(rf_str_of(next), p->command) >= 0))
            return missing_value(option, name, next, err);
        value = next;
        p->i++;
    }
    return rf_options_set(p->options, (rf_option_id)id, value, RF_SOURCE_COMMAND_LINE, name, err);
}

static rf_status take_word(rf_options *options, const char *word, rf_error *err) {
    if (!options->has_command) {
        if (rf_command_find(word, &options->command)) {
            options->has_command = true;
            return RF_OK;
        }
        const char *near = rf_command_nearest(word);
        return rf_fail(err, RF_ERR_USAGE, "\"%.80s\" is no command%s%s%s", word,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    const rf_command *command = rf_command_get(options->command);
    if (options->n_args >= command->most_args)
        return rf_fail(err, RF_ERR_USAGE, "%s: found the further argument \"%.80s\", expected %s",
                       command->name, word,
                       command->most_args > 0 ? command->args : "options alone");
    options->args[options->n_args++] = word;
    return RF_OK;
}

/* Options on the command line must belong to the command; variables may belong to another. */
static rf_status check_command(const rf_options *options, rf_error *err) {
    const rf_command *command = rf_command_get(options->command);
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        if (options->values[i].source != RF_SOURCE_COMMAND_LINE ||
            rf_option_serves(option, options->command))
            continue;
        char owners[160] = "";
        size_t used = 0;
        for (int c = 0; c < RF_CMD_COUNT && used < sizeof owners; c++) {
            if (rf_option_serves(option, (rf_command_id)c))
                used += (size_t)snprintf(owners + used, sizeof owners - used, "%s%s",
                                         used ? ", " : "", rf_command_get((rf_command_id)c)->name);
        }
        char flag[RF_OPTION_FLAG_BYTES];
        return rf_fail(err, RF_ERR_USAGE, "--%s: not an option of \"%s\"; it belongs to %s",
                       rf_option_flag(option, flag), command->name, owners);
    }
    return RF_OK;
}

rf_status rf_options_parse(rf_options *options, int argc, char **argv, rf_error *err) {
    bool words_only = false;
    parser p = {options, argc, 1, argv, find_command(argc, argv)};
    for (; p.i < argc; p.i++) {
        const char *word = argv[p.i];
        if (!words_only && strcmp(word, "--") == 0)
            words_only = true;
        else if (!words_only && word[0] == '-' && word[1] != 0)
            RF_TRY(take_option(&p, err));
        else
            RF_TRY(take_word(options, word, err));
    }
    if (!options->has_command)
        return RF_OK;
    bool asks = options->values[RF_OPT_HELP].on || options->values[RF_OPT_PRINT_CONFIG].on ||
                options->values[RF_OPT_VERSION].on;
    const rf_command *command = rf_command_get(options->command);
    if (!asks && options->n_args < command->least_args)
        return rf_fail(err, RF_ERR_USAGE, "%s: found no argument, expected %s", command->name,
                       command->args);
    return check_command(options, err);
}

static void warn_unknown(const char *name) {
    const char *best = NULL;
    char candidate[RF_OPTION_ENV_BYTES], nearest[RF_OPTION_ENV_BYTES];
    size_t least = SIZE_MAX;
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        if (option->kind == RF_OPTION_ACTION || option->section == RF_SECTION_HIDDEN)
            continue;
        rf_option_env_name(option, candidate);
        size_t distance = rf_spelling_distance(name, candidate);
        if (distance < least) {
            least = distance;
            memcpy(nearest, candidate, sizeof nearest);
            best = nearest;
        }
    }
    if (best && rf_spelling_close(name + sizeof env_prefix - 1, least))
        rf_log(RF_LOG_WARN, "options", "%s: no such variable; did you mean %s?", name, best);
    else
        rf_log(RF_LOG_WARN, "options",
               "%s: no such variable; \"rocmforge help environment\" lists them", name);
}

/* The option whose variable is name, or -1. */
static int find_variable(const char *name) {
    char candidate[RF_OPTION_ENV_BYTES];
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        rf_option_env_name(option, candidate);
        if (option->kind != RF_OPTION_ACTION && strcmp(candidate, name) == 0)
            return i;
    }
    return -1;
}

/* A variable of another command is checked and then left alone. */
static rf_status take_variable(rf_options *options, rf_option_id id, const char *name,
                               const char *text, rf_error *err) {
    rf_option_value *value = &options->values[id], before = *value;
    if (before.source == RF_SOURCE_COMMAND_LINE || text[0] == 0) /* empty counts as unset */
        return RF_OK;
    RF_TRY(rf_options_set(options, id, text, RF_SOURCE_ENVIRONMENT, name, err));
    if (options->has_command && !rf_option_serves(rf_option_get(id), options->command)) {
        rf_free(value->list);
        *value = before;
        value->list = NULL;
        value->n_list = 0;
    }
    return RF_OK;
}

rf_status rf_options_read_env(rf_options *options, char **environ_vars, rf_error *err) {
    for (char **at = environ_vars; *at; at++) {
        const char *equals = strchr(*at, '=');
        if (!equals || strncmp(*at, env_prefix, sizeof env_prefix - 1) != 0)
            continue;
        char name[128];
        size_t n = (size_t)(equals - *at);
        (void)snprintf(name, sizeof name, "%.*s", (int)(n < 127 ? n : 127), *at);
        int id = find_variable(name);
        if (id < 0) {
            warn_unknown(name);
            continue;
        }
        RF_TRY(take_variable(options, (rf_option_id)id, name, equals + 1, err));
    }
    return RF_OK;
}
