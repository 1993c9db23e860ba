#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"

enum { HELP_COLUMN = 30, MAX_WIDTH = 100 };

/* Prints text from column on, wrapped at blanks, ending the line. */
static void wrapped(const char *text, int column) {
    int width = rf_out_columns(), at = column;
    width = width < MAX_WIDTH ? width : MAX_WIDTH;
    for (const char *word = text; *word;) {
        int n = (int)strcspn(word, " ");
        if (at > column && at + 1 + n > width) {
            rf_out_printf("\n%*s", column, "");
            at = column;
        } else if (at > column) {
            rf_out_text(" ");
            at++;
        }
        rf_out_bytes(word, (size_t)n);
        at += n;
        word += n;
        word += strspn(word, " ");
    }
    rf_out_text("\n");
}

static void heading(const char *text) {
    rf_out_printf("\n%s%s%s\n", rf_out_style(RF_STYLE_BOLD), text, rf_out_style(RF_STYLE_NONE));
}

void rf_help_overview(void) {
    rf_out_printf("rocmforge %s: runs language models from GGUF files\n\n"
                  "Usage: rocmforge COMMAND [options]\n",
                  rf_version_text);
    heading("Commands");
    for (int i = 0; i < RF_CMD_COUNT; i++) {
        const rf_command *command = rf_command_get((rf_command_id)i);
        rf_out_printf("  %-14s", command->name);
        wrapped(command->summary, 16);
    }
    heading("Examples");
    for (int i = 0; i < RF_CMD_HELP; i++)
        rf_out_printf("  %s\n", rf_command_get((rf_command_id)i)->example);
    rf_out_text(
        "\n\"rocmforge help COMMAND\" explains a command and lists its options. Every option is "
        "also a\nvariable: ROCMFORGE_CTX_SIZE=4096 is --ctx-size 4096; the command line wins.\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n");
}

/* "-m, --model FILE": every way to write the option. */
static void print_option(const rf_option *option) {
    char left[160];
    size_t used = 0;
    char others[64];
    (void)snprintf(others, sizeof others, "%s", option->others);
    for (char *word = others; *word;) {
        size_t n = strcspn(word, " ");
        used += (size_t)snprintf(left + used, sizeof left - used, "%.*s, ", (int)n, word);
        word += n + (word[n] == ' ');
    }
    bool on_by_default = option->kind == RF_OPTION_FLAG && strcmp(option->fallback, "on") == 0;
    used +=
        (size_t)snprintf(left + used, sizeof left - used, "--%s%s%s%s", on_by_default ? "no-" : "",
                         option->flag, option->value[0] ? " " : "", option->value);
    char help[512];
    bool shows = option->fallback && option->kind != RF_OPTION_FLAG;
    (void)snprintf(help, sizeof help, "%s%s%s%s%s", on_by_default ? "do not " : "", option->help,
                   shows ? " (default " : "", shows ? option->fallback : "", shows ? ")" : "");
    int n = (int)used;
    if (n + 4 > HELP_COLUMN)
        rf_out_printf("  %s\n%*s", left, HELP_COLUMN, "");
    else
        rf_out_printf("  %-*s", HELP_COLUMN - 2, left);
    wrapped(help, HELP_COLUMN);
}

void rf_help_command(rf_command_id id) {
    const rf_command *command = rf_command_get(id);
    rf_out_printf("Usage: rocmforge %s [options]%s%s\n\n%c%s.\nFor example: %s\n", command->name,
                  command->args[0] ? " " : "", command->args,
                  toupper((unsigned char)command->summary[0]), command->summary + 1,
                  command->example);
    for (int s = 0; s < RF_SECTION_HIDDEN; s++) {
        bool open = false;
        for (int i = 0; i < RF_OPT_COUNT; i++) {
            const rf_option *option = rf_option_get((rf_option_id)i);
            if (option->section != (rf_option_section)s || !rf_option_serves(option, id))
                continue;
            if (!open)
                heading(rf_section_title((rf_option_section)s));
            open = true;
            print_option(option);
        }
    }
}

static bool listed(const rf_option *option) {
    return option->kind != RF_OPTION_ACTION && option->section != RF_SECTION_HIDDEN;
}

void rf_help_environment(void) {
    rf_out_text("# Variables that rocmforge reads, with their defaults. Made by "
                "\"rocmforge help environment\".\n"
                "# The command line wins over them; an empty one counts as unset.\n");
    for (int s = 0; s < RF_SECTION_HIDDEN; s++) {
        rf_out_printf("\n# --- %s ---\n", rf_section_title((rf_option_section)s));
        for (int i = 0; i < RF_OPT_COUNT; i++) {
            const rf_option *option = rf_option_get((rf_option_id)i);
            if (!listed(option) || option->section != (rf_option_section)s)
                continue;
            char name[RF_OPTION_ENV_BYTES];
            rf_option_env_name(option, name);
            rf_buf kind;
            rf_buf_init(&kind, 512);
            rf_option_describe(option, &kind);
            rf_out_printf("\n# --%s: %s\n# %s\n#%s=%s\n", option->flag, option->help,
                          kind.data ? kind.data : "", name,
                          option->fallback ? option->fallback : "");
            rf_buf_deinit(&kind);
        }
    }
}

void rf_help_config(const rf_options *options) {
    static const char *const sources[] = {"default", "environment", "command line"};
    for (int i = 0; i < RF_OPT_COUNT; i++) {
        const rf_option *option = rf_option_get((rf_option_id)i);
        const rf_option_value *value = &options->values[i];
        if (!listed(option) ||
            (options->has_command && !rf_option_serves(option, options->command)))
            continue;
        rf_out_printf("%-24s ", option->flag);
        if (value->n_list == 0)
            rf_out_safe(rf_str_of(value->text ? value->text : "(not set)"), 200, false);
        for (size_t j = 0; j < value->n_list; j++) {
            rf_out_text(j > 0 ? " | " : "");
            rf_out_safe(rf_str_of(value->list[j]), 200, false);
        }
        if (value->text)
            rf_out_printf("  (%s)", sources[value->source]);
        rf_out_text("\n");
    }
}
