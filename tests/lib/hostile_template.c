/* Hostile chat templates. The containers are sound (but for template_bytes): compiling or rendering
 * must refuse them. */
#include "tests/lib/hostile_gguf.h"

enum { DEPTH = 10000 };
static const char key[] = "tokenizer.chat_template";

static void repeat(rf_buf *out, const char *text, int n) {
    for (int i = 0; i < n; i++)
        rf_buf_text(out, text);
}

void hostile_template_nested(gguf_edit *edit, uint32_t variant) {
    static const struct {
        const char *before, *open, *middle, *close, *after;
    } nests[] = {
        {"", "{% if true %}", "x", "{% endif %}", ""},
        {"", "{% for i in [1] %}", "x", "{% endfor %}", ""},
        {"{{ ", "(", "1", ")", " }}"},
        {"{{ ", "[", "1", "]", " }}"},
        {"{{ ", "{'a': ", "1", "}", " }}"},
        {"{{ ", "not ", "true", "", " }}"},
        {"{{ ", "-", "1", "", " }}"},
        {"{{ ", "x[", "1", "]", " }}"},
        {"{{ ", "f(", "1", ")", " }}"},
        {"{{ ", "1 if true else ", "2", "", " }}"},
        {"", "{% macro m() %}", "x", "{% endmacro %}", ""},
        {"", "{% set x %}", "x", "{% endset %}", ""},
    };
    rf_buf text;
    rf_buf_init(&text, 1 << 24);
    rf_buf_text(&text, nests[variant].before);
    repeat(&text, nests[variant].open, DEPTH);
    rf_buf_text(&text, nests[variant].middle);
    repeat(&text, nests[variant].close, DEPTH);
    rf_buf_text(&text, nests[variant].after);
    (void)edit_set_str(edit, key, rf_buf_view(&text));
    rf_buf_deinit(&text);
}

void hostile_template_unfinished(gguf_edit *edit, uint32_t variant) {
    const rf_str texts[] = {
        RF_STR("{% if true %}x"),   RF_STR("{{ messages"), RF_STR("{% for m in messages %}"),
        RF_STR("{{ 'text }}"),      RF_STR("{% endif %}"), RF_STR("{{ (1 + }}"),
        RF_STR("{% nonsense x %}"), RF_STR("{{ x | }}"),
    };
    (void)edit_set_str(edit, key, texts[variant]);
}

void hostile_template_type(gguf_edit *edit, uint32_t variant) {
    if (variant == 0)
        (void)edit_set_u32(edit, key, 1);
    else if (variant == 1)
        (void)edit_set_u32s(edit, key, (const uint32_t[]){1, 2}, 2);
    else
        (void)edit_set_f32(edit, key, 1);
}

/* Small texts that would run or grow without end. */
void hostile_template_endless(gguf_edit *edit, uint32_t variant) {
    const rf_str texts[] = {
        RF_STR("{% for i in range(1000000000) %}{% for j in range(1000000000) %}x{% endfor %}"
               "{% endfor %}"),
        RF_STR("{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}"
               "{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}"),
        RF_STR("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        RF_STR("{{ 'x' * 100000000000 }}"),
        RF_STR("{% macro a() %}{{ b() }}{{ b() }}{% endmacro %}"
               "{% macro b() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}"),
        RF_STR("{% for a in range(100000) %}{% for b in range(100000) %}"
               "{% for c in range(100000) %}{% set d = a + b * c %}{% endfor %}{% endfor %}"
               "{% endfor %}"),
    };
    (void)edit_set_str(edit, key, texts[variant]);
}

/* Ways out of the sandbox of other interpreters. */
void hostile_template_escape(gguf_edit *edit, uint32_t variant) {
    const rf_str texts[] = {
        RF_STR("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
        RF_STR("{{ cycler.__init__.__globals__.os.popen('id').read() }}"),
        RF_STR("{{ self.__init__.__globals__ }}"),
        RF_STR("{% include '/etc/passwd' %}"),
        RF_STR("{% import 'os' as os %}{{ os.environ }}"),
    };
    (void)edit_set_str(edit, key, texts[variant]);
}

void hostile_template_bytes(gguf_edit *edit, uint32_t variant) {
    const rf_str texts[] = {RF_STR("{{ 'a\0b' }}"), RF_STR("{{ '\xff' }}"),
                            RF_STR("{# \xed\xa0\x80 #}")};
    (void)edit_set_str(edit, key, texts[variant]);
}
