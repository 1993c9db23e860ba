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
        "\n\"rocmforge help COMMAND\" explains a command and lists its options; \"help http\" and "
        "\"help openapi\"\ndescribe the server's API. Every option is also a variable: "
        "ROCMFORGE_CTX_SIZE=4096 is\n--ctx-size 4096; the command line wins.\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n");
}

static bool on_by_default(const rf_option *option) {
    return option->kind == RF_OPTION_FLAG && strcmp(option->fallback, "on") == 0;
}

/* "-m, --model FILE": short spellings first. */
static void spell(const rf_option *option, rf_buf *out) {
    for (int is_long = 0; is_long < 2; is_long++) {
        rf_str name;
        for (const char *at = option->names; rf_option_next_name(&at, &name);) {
            if (rf_str_starts(name, RF_STR("--")) != (is_long == 1))
                continue;
            rf_buf_text(out, out->len ? ", " : "");
            if (on_by_default(option))
                rf_buf_printf(out, "--no-%.*s", RF_STR_ARG(rf_str_sub(name, 2, name.len)));
            else
                rf_buf_str(out, name);
        }
    }
    if (option->value[0])
        rf_buf_printf(out, " %s", option->value);
}

static void print_option(const rf_option *option) {
    rf_buf left;
    rf_buf_init(&left, 1024);
    spell(option, &left);
    if (left.len + 4 > HELP_COLUMN)
        rf_out_printf("  %s\n%*s", left.data, HELP_COLUMN, "");
    else
        rf_out_printf("  %-*s", HELP_COLUMN - 2, left.data ? left.data : "");
    rf_buf_clear(&left);
    rf_buf_printf(&left, "%s%s", on_by_default(option) ? "do not " : "", option->help);
    if (option->fallback && option->kind != RF_OPTION_FLAG)
        rf_buf_printf(&left, " (default %s)", option->fallback);
    wrapped(left.data ? left.data : "", HELP_COLUMN);
    rf_buf_deinit(&left);
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
            char name[RF_OPTION_ENV_BYTES], flag[RF_OPTION_FLAG_BYTES];
            rf_option_env_name(option, name);
            rf_buf kind;
            rf_buf_init(&kind, 512);
            rf_option_describe(option, &kind);
            rf_out_printf("\n# --%s: %s\n# %s\n#%s=%s\n", rf_option_flag(option, flag),
                          option->help, kind.data ? kind.data : "", name,
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
        char flag[RF_OPTION_FLAG_BYTES];
        rf_out_printf("%-24s ", rf_option_flag(option, flag));
        bool hides = i == RF_OPT_API_KEY && value->text;
        if (hides || value->n_list == 0)
            rf_out_safe(rf_str_of(hides         ? "(hidden)"
                                  : value->text ? value->text
                                                : "(not set)"),
                        200, false);
        for (size_t j = 0; j < value->n_list && !hides; j++) {
            rf_out_text(j > 0 ? " | " : "");
            rf_out_safe(rf_str_of(value->list[j]), 200, false);
        }
        if (value->text)
            rf_out_printf("  (%s)", sources[value->source]);
        rf_out_text("\n");
    }
}
