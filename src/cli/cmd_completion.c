#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"

static bool offered(const rf_option *option, rf_command_id command) {
    return option->section != RF_SECTION_HIDDEN && rf_option_serves(option, command);
}

/* Where choices of a comma-separated list are offered, the first of them is. */
static bool offers_choices(const rf_option *option) {
    return option->kind == RF_OPTION_CHOICE || option->kind == RF_OPTION_CHOICES;
}

/* Every spelling of an option; of a flag that is on by default, the one that turns it off. */
static void spellings(const rf_option *option, const char *separator) {
    char flag[RF_OPTION_FLAG_BYTES];
    if (option->kind == RF_OPTION_FLAG && strcmp(option->fallback, "on") == 0) {
        rf_out_printf("--no-%s", rf_option_flag(option, flag));
        return;
    }
    rf_str name;
    for (const char *at = option->names; rf_option_next_name(&at, &name);)
        rf_out_printf("%s%.*s", name.ptr == option->names ? "" : separator, RF_STR_ARG(name));
}

/* "a|b|c" with blanks instead of bars. */
static void choices(const char *text) {
    for (const char *c = text; *c; c++)
        rf_out_bytes(*c == '|' ? " " : c, 1);
}

static void bash_script(void) {
    rf_out_text(
        "_rocmforge() {\n    local word=${COMP_WORDS[COMP_CWORD]} "
        "last=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    local command= options= i\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n        ");
    for (int c = 0; c < RF_CMD_COUNT; c++)
        rf_out_printf("%s%s", c ? "|" : "", rf_command_get((rf_command_id)c)->name);
    rf_out_text(
        ") command=${COMP_WORDS[i]}; break ;;\n        esac\n    done\n    case $last in\n");
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        if (!rf_option_takes_value(option) || option->section == RF_SECTION_HIDDEN)
            continue;
        rf_out_text("    ");
        spellings(option, "|");
        if (offers_choices(option)) {
            rf_out_text(") COMPREPLY=($(compgen -W '");
            choices(option->value);
            rf_out_text("' -- \"$word\")); return ;;\n");
        } else {
            rf_out_text(option->kind == RF_OPTION_PATH
                            ? ") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
                            : ") return ;;\n");
        }
    }
    rf_out_text("    esac\n    case $command in\n");
    for (int c = 0; c < RF_CMD_COUNT; c++) {
        rf_out_printf("    %s) options='", rf_command_get((rf_command_id)c)->name);
        for (int i = 0; i < RF_OPT_COUNT; i++) {
            const rf_option *option = rf_option_get((rf_option_id)i);
            if (offered(option, (rf_command_id)c)) {
                spellings(option, " ");
                rf_out_text(" ");
            }
        }
        rf_out_text("' ;;\n");
    }
    rf_out_text("    *) options='--help --version --print-config ");
    for (int c = 0; c < RF_CMD_COUNT; c++)
        rf_out_printf("%s ", rf_command_get((rf_command_id)c)->name);
    rf_out_text("' ;;\n    esac\n"
                "    if [[ $word == -* || -z $command ]]; then\n"
                "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
                "    else\n        COMPREPLY=($(compgen -f -- \"$word\"))\n    fi\n}\n"
                "complete -o filenames -F _rocmforge rocmforge\n");
}

/* Text inside single quotes of a shell; marks that zsh's _arguments reads are escaped. */
static void quoted(const char *text, const char *escaped) {
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            rf_out_text("'\\''");
        else
            rf_out_printf("%s%c", strchr(escaped, *c) ? "\\" : "", *c);
    }
}

static void zsh_script(void) {
    rf_out_text("#compdef rocmforge\n_rocmforge() {\n    local -a commands=(\n");
    for (int c = 0; c < RF_CMD_COUNT; c++) {
        const rf_command *command = rf_command_get((rf_command_id)c);
        rf_out_printf("        '%s:", command->name);
        quoted(command->summary, ":");
        rf_out_text("'\n");
    }
    rf_out_text("    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n"
                "        return\n    fi\n    case $words[2] in\n");
    for (int c = 0; c < RF_CMD_COUNT; c++) {
        rf_out_printf("    %s)\n        _arguments \\\n", rf_command_get((rf_command_id)c)->name);
        for (int i = 0; i < RF_OPT_COUNT; i++) {
            const rf_option *option = rf_option_get((rf_option_id)i);
            if (!offered(option, (rf_command_id)c))
                continue;
            char flag[RF_OPTION_FLAG_BYTES];
            rf_out_printf("            '--%s%s[", rf_option_flag(option, flag),
                          rf_option_takes_value(option) ? "=" : "");
            quoted(option->help, "[]:");
            rf_out_text("]");
            if (offers_choices(option)) {
                rf_out_text(":value:(");
                choices(option->value);
                rf_out_text(")");
            } else if (rf_option_takes_value(option)) {
                rf_out_text(option->kind == RF_OPTION_PATH ? ":file:_files" : ":value:");
            }
            rf_out_text("' \\\n");
        }
        rf_out_text("            '*:file:_files' ;;\n");
    }
    rf_out_text("    esac\n}\ncompdef _rocmforge rocmforge\n");
}

static void fish_script(void) {
    rf_out_text("complete -c rocmforge -n __fish_use_subcommand -f\n");
    for (int c = 0; c < RF_CMD_COUNT; c++) {
        const rf_command *command = rf_command_get((rf_command_id)c);
        rf_out_printf("complete -c rocmforge -n __fish_use_subcommand -a %s -d '", command->name);
        quoted(command->summary, "");
        rf_out_text("'\n");
    }
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        if (option->section == RF_SECTION_HIDDEN)
            continue;
        rf_out_text("complete -c rocmforge -n '__fish_seen_subcommand_from");
        for (int c = 0; c < RF_CMD_COUNT; c++) {
            if (offered(option, (rf_command_id)c))
                rf_out_printf(" %s", rf_command_get((rf_command_id)c)->name);
        }
        rf_out_text("'");
        rf_str name;
        for (const char *at = option->names; rf_option_next_name(&at, &name);) {
            bool is_long = rf_str_starts(name, RF_STR("--"));
            rf_out_printf(" %s %.*s",
                          is_long         ? "-l"
                          : name.len == 2 ? "-s"
                                          : "-o",
                          RF_STR_ARG(rf_str_sub(name, is_long ? 2 : 1, name.len)));
        }
        if (offers_choices(option)) {
            rf_out_text(" -x -a '");
            choices(option->value);
            rf_out_text("'");
        } else if (rf_option_takes_value(option)) {
            rf_out_text(option->kind == RF_OPTION_PATH ? " -r -F" : " -x");
        }
        rf_out_text(" -d '");
        quoted(option->help, "");
        rf_out_text("'\n");
    }
}

rf_status rf_cmd_completion(rf_cli *cli, rf_error *err) {
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(cli->options.args[0], shells[i].name) == 0) {
            shells[i].print();
            return RF_OK;
        }
    }
    rf_cli_hint(cli, "rocmforge completion bash");
    return rf_fail(err, RF_ERR_USAGE, "completion: found \"%.80s\", expected bash, zsh or fish",
                   cli->options.args[0]);
}
