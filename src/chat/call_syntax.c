#include "chat/call_syntax.h"

static const rf_call_syntax syntaxes[] = {
#define X(name, sign, lacks, form, open, close, call, id, name_end, call_end, param, key_end, \
          value, param_end)                                                                   \
    {name, sign,     lacks,    RF_CALL_##form, open,    close, call,                          \
     id,   name_end, call_end, param,          key_end, value, param_end},
#include "chat/call_syntaxes.def"
#undef X
};
enum { N_SYNTAXES = sizeof syntaxes / sizeof *syntaxes };

static const rf_reasoning_syntax reasonings[] = {
    {"<seed:think>", "</seed:think>"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"[THINK]", "[/THINK]"},
    {"<think>", "</think>"},
};

static bool contains(rf_str text, const char *what) {
    return what[0] != 0 && text.len > 0 && memmem(text.ptr, text.len, what, strlen(what));
}

const rf_call_syntax *rf_call_syntax_of(rf_str template_source) {
    for (int i = 0; i < N_SYNTAXES - 1; i++) {
        const rf_call_syntax *s = &syntaxes[i];
        if (contains(template_source, s->sign) && !contains(template_source, s->lacks))
            return s;
    }
    return &syntaxes[N_SYNTAXES - 1];
}

const rf_call_syntax *rf_call_syntax_named(const char *name) {
    for (int i = 0; i < N_SYNTAXES; i++)
        if (strcmp(syntaxes[i].name, name) == 0)
            return &syntaxes[i];
    return NULL;
}

const rf_reasoning_syntax *rf_reasoning_syntax_of(rf_str template_source) {
    for (size_t i = 0; i < sizeof reasonings / sizeof *reasonings; i++)
        if (contains(template_source, reasonings[i].end))
            return &reasonings[i];
    return NULL;
}

bool rf_reasoning_is_open(const rf_reasoning_syntax *syntax, rf_str prompt) {
    while (prompt.len > 0 && strchr(" \t\r\n", prompt.ptr[prompt.len - 1]))
        prompt.len--;
    return syntax && rf_str_ends(prompt, rf_str_of(syntax->begin));
}

bool rf_call_syntax_needs(const rf_call_syntax *syntax, const rf_reasoning_syntax *reasoning,
                          rf_str text) {
    const rf_call_syntax *s = syntax;
    const char *markers[] = {s ? s->open : "",
                             s ? s->close : "",
                             s ? s->call : "",
                             s ? s->id : "",
                             s ? s->name_end : "",
                             s ? s->call_end : "",
                             s ? s->param : "",
                             s ? s->key_end : "",
                             s ? s->value : "",
                             s ? s->param_end : "",
                             reasoning ? reasoning->begin : "",
                             reasoning ? reasoning->end : ""};
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++)
        if (memmem(markers[i], strlen(markers[i]), text.ptr, text.len))
            return true;
    return s && s->form == RF_CALL_CHANNELS; /* whose headers are control tokens all */
}
