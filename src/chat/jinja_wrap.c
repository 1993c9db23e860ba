/* The filters wordwrap and urlize. */
#include "chat/jinja_chars.h"
#include "chat/jinja_filter.h"

#define FILTER(name) \
    bool rf_jfilter_##name(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out)

typedef struct wrapper {
    rf_buf *out;
    rf_str separator;
    int64_t width, column; /* characters of the line being filled */
    size_t line_start;     /* where it starts in out */
    bool due;              /* a line end, once something follows */
    bool any_line, break_words, break_hyphens;
} wrapper;

static bool is_blank(uint32_t c) { return c == ' ' || (c >= 9 && c <= 13); }

static void trim_line(wrapper *w) {
    while (w->out->len > w->line_start && is_blank((unsigned char)w->out->data[w->out->len - 1]))
        w->out->len--;
}

static void new_line(wrapper *w) {
    trim_line(w);
    w->due = w->out->len > w->line_start || w->column > 0;
    w->column = 0;
    w->any_line = true;
}

static void put(wrapper *w, rf_str text) {
    if (w->due) {
        rf_buf_str(w->out, w->separator);
        w->line_start = w->out->len;
    }
    w->due = false;
    rf_buf_str(w->out, text);
}

/* One chunk: a word, a piece of a word up to a hyphen, or white space. */
static void put_chunk(wrapper *w, rf_str chunk) {
    int64_t len = (int64_t)rf_chars_count(chunk);
    bool blank = is_blank((unsigned char)chunk.ptr[0]);
    if (blank && w->column == 0 && w->any_line)
        return; /* dropped at the start of a line, but for the first */
    if (w->column + len > w->width && w->column > 0 && !(w->break_words && len > w->width)) {
        new_line(w);
        if (blank)
            return;
    }
    while (len > w->width && w->break_words) {
        int64_t room = w->width - w->column;
        if (room < 1) {
            new_line(w);
            if (blank)
                return;
            room = w->width;
        }
        size_t cut = rf_chars_offset(chunk, (size_t)room);
        put(w, rf_str_sub(chunk, 0, cut));
        w->column += room;
        chunk = rf_str_sub(chunk, cut, chunk.len);
        len -= room;
        if (len > 0)
            new_line(w);
    }
    if (w->column + len > w->width && w->column > 0)
        new_line(w);
    put(w, chunk);
    w->column += len;
}

/* End of the chunk at `at`: blanks, or a word cut behind a hyphen between letters. */
static size_t chunk_end(const wrapper *w, rf_str s, size_t at) {
    uint32_t c, next, before = 0;
    size_t i = at, n = rf_chars_at(s, at, &c);
    bool blank = is_blank(c);
    size_t letters = 0;
    for (; (n = rf_chars_at(s, i, &c)) > 0 && is_blank(c) == blank; i += n) {
        size_t m = rf_chars_at(s, i + n, &next);
        if (!blank && w->break_hyphens && c == '-' && letters > 1 && m && rf_char_is_alpha(next) &&
            rf_char_is_alpha(before))
            return i + n;
        letters = rf_char_is_alnum(c) || c == '_' ? letters + 1 : 0;
        before = c;
    }
    return i;
}

FILTER(wordwrap) {
    wrapper w = {.width = 79, .separator = RF_STR("\n")};
    RF_JUNUSED(raw);
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    if (!rf_jv_is_text(v))
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "AttributeError: '%s' object has no attribute 'splitlines'",
                          rf_jv_type_name(v));
    if (!rf_jarg_int(vm, a[0], 79, &w.width) || !rf_jarg_bool(vm, a[1], true, &w.break_words) ||
        !rf_jarg_bool(vm, a[3], true, &w.break_hyphens))
        return false;
    if (w.width <= 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: invalid width %lld (must be > 0)",
                          (long long)w.width);
    if (a[2].type == RF_J_STR)
        w.separator = rf_jv_view(a[2]);
    rf_str s = rf_jv_view(v);
    size_t mark = rf_vm_mark(vm);
    w.out = &vm->scratch;
    uint32_t c;
    for (size_t at = 0, line = 0; at < s.len; line++) {
        size_t end = at, n;
        while ((n = rf_chars_at(s, end, &c)) > 0 && !rf_char_is_line_end(c))
            end += n;
        if (line)
            rf_buf_str(w.out, w.separator);
        w.line_start = w.out->len;
        w.column = 0;
        w.any_line = w.due = false;
        for (size_t i = at, next; i < end; i = next) {
            next = chunk_end(&w, rf_str_sub(s, 0, end), i);
            put_chunk(&w, rf_str_sub(s, i, next));
            if (!rf_vm_charge(vm, 1) || w.out->failed)
                return w.out->failed ? rf_vm_fail_memory(vm) : false;
        }
        trim_line(&w);
        at = end + n;
        if (n && c == '\r' && at < s.len && s.ptr[at] == '\n')
            at++;
    }
    return rf_vm_take(vm, mark, out);
}

static bool is_url(rf_str word) {
    static const char *const starts[] = {"http://", "https://", "www."};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        rf_str start = rf_str_of(starts[i]);
        if (rf_str_starts(word, start) && word.len > start.len &&
            memchr(word.ptr + start.len, '.', word.len - start.len))
            return true;
    }
    return false;
}

static bool is_mail(rf_str word) {
    const char *at = word.len ? memchr(word.ptr, '@', word.len) : NULL;
    return at && at > word.ptr && !memchr(word.ptr, ':', word.len) &&
           memchr(at, '.', (size_t)(word.ptr + word.len - at)) != NULL;
}

static void link(rf_str word, int64_t limit, const char *prefix, rf_str attributes, rf_buf *out) {
    rf_buf_printf(out, "<a href=\"%s", prefix);
    rf_buf_str(out, word);
    rf_buf_put(out, '"');
    rf_buf_str(out, attributes);
    rf_buf_put(out, '>');
    rf_str shown = word;
    if (limit >= 0 && (int64_t)rf_chars_count(word) > limit)
        shown.len = rf_chars_offset(word, (size_t)limit);
    rf_buf_str(out, shown);
    if (shown.len < word.len)
        rf_buf_text(out, "...");
    rf_buf_text(out, "</a>");
}

/* Links for web and mail addresses; the punctuation around them stays outside. */
FILTER(urlize) {
    int64_t limit = -1;
    bool nofollow;
    rf_jv text, attributes;
    RF_JUNUSED(raw);
    if ((a[0].type != RF_J_NONE && !rf_jarg_int(vm, a[0], -1, &limit)) ||
        !rf_jarg_bool(vm, a[1], false, &nofollow) || !rf_jv_escape(vm, v, &text))
        return false;
    rf_str target = a[2].type == RF_J_STR ? rf_jv_view(a[2]) : (rf_str){0};
    if (!rf_vm_string(vm, &attributes, " rel=\"%snoopener\"%s%.*s%s", nofollow ? "nofollow " : "",
                      target.len ? " target=\"" : "", RF_STR_ARG(target), target.len ? "\"" : ""))
        return false;
    rf_str s = rf_jv_view(text);
    size_t mark = rf_vm_mark(vm);
    uint32_t c;
    for (size_t at = 0, n; at < s.len;) {
        size_t end = at;
        while ((n = rf_chars_at(s, end, &c)) > 0 && !rf_char_is_space(c))
            end += n;
        rf_str word = rf_str_sub(s, at, end);
        size_t head = word.len ? strspn(word.ptr, "(<") : 0;
        head = head < word.len ? head : word.len;
        size_t tail = word.len;
        while (tail > head && memchr(").,>", word.ptr[tail - 1], 4))
            tail--;
        rf_str middle = rf_str_sub(word, head, tail);
        rf_buf_str(&vm->scratch, rf_str_sub(word, 0, head));
        if (is_url(middle))
            link(middle, limit, middle.ptr[0] == 'w' ? "https://" : "", rf_jv_view(attributes),
                 &vm->scratch);
        else if (is_mail(middle))
            link(middle, -1, "mailto:", (rf_str){0}, &vm->scratch);
        else
            rf_buf_str(&vm->scratch, middle);
        rf_buf_str(&vm->scratch, rf_str_sub(word, tail, word.len));
        rf_buf_append(&vm->scratch, s.ptr + end, n);
        at = end + n;
    }
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = vm->autoescape ? RF_JF_MARKUP : 0;
    return true;
}
