/* String methods: case, classes, padding. */
#include "base/utf8.h"
#include "chat/jinja_chars.h"
#include "chat/jinja_method.h"

static bool mapped(rf_vm *vm, rf_jv self, void (*map)(rf_str, rf_buf *), rf_jv *out) {
    size_t mark = rf_vm_mark(vm);
    map(rf_jv_view(self), &vm->scratch);
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = self.flags;
    return true;
}

#define CASE_METHOD(fn, map)                          \
    RF_JMETHOD(fn) {                                  \
        RF_JIGNORE(a), RF_JIGNORE(raw);               \
        return mapped(vm, self, rf_chars_##map, out); \
    }
CASE_METHOD(str_capitalize, capitalize)
CASE_METHOD(str_casefold, casefold)
CASE_METHOD(str_lower, lower)
CASE_METHOD(str_swapcase, swapcase)
CASE_METHOD(str_title, title)
CASE_METHOD(str_upper, upper)

static bool all(rf_vm *vm, rf_jv self, bool (*is)(uint32_t), bool empty, rf_jv *out) {
    uint32_t c;
    bool ok = self.len || empty;
    for (size_t i = 0, n; ok && (n = rf_chars_at(rf_jv_view(self), i, &c)) > 0; i += n)
        ok = is(c);
    *out = rf_jv_bool(ok);
    return rf_vm_charge(vm, self.len / 64);
}

static bool is_ascii(uint32_t c) { return c < 0x80; }

#define CLASS_METHOD(fn, is, empty)           \
    RF_JMETHOD(fn) {                          \
        RF_JIGNORE(a), RF_JIGNORE(raw);       \
        return all(vm, self, is, empty, out); \
    }
CLASS_METHOD(str_isalnum, rf_char_is_alnum, false)
CLASS_METHOD(str_isalpha, rf_char_is_alpha, false)
CLASS_METHOD(str_isascii, is_ascii, true)
CLASS_METHOD(str_isdecimal, rf_char_is_decimal, false)
CLASS_METHOD(str_isdigit, rf_char_is_digit, false)
CLASS_METHOD(str_isnumeric, rf_char_is_numeric, false)
CLASS_METHOD(str_isprintable, rf_char_is_printable, true)
CLASS_METHOD(str_isspace, rf_char_is_space, false)

RF_JMETHOD(str_isidentifier) {
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    *out = rf_jv_bool(rf_chars_is_identifier(rf_jv_view(self)));
    return true;
}

static bool by_test(rf_vm *vm, rf_jv self, const char *test, rf_jv *out) {
    bool verdict;
    if (!rf_test_apply(vm, rf_test_find(rf_str_of(test)), &(rf_jargs){.pos = &self, .n_pos = 1},
                       &verdict))
        return false;
    *out = rf_jv_bool(verdict);
    return true;
}

RF_JMETHOD(str_islower) {
    RF_JIGNORE(a), RF_JIGNORE(raw);
    return by_test(vm, self, "lower", out);
}
RF_JMETHOD(str_isupper) {
    RF_JIGNORE(a), RF_JIGNORE(raw);
    return by_test(vm, self, "upper", out);
}

/* Upper or title case only behind uncased characters, lower case only behind cased ones. */
RF_JMETHOD(str_istitle) {
    uint32_t c;
    bool ok = true, cased = false, inside = false;
    RF_JIGNORE(vm), RF_JIGNORE(a), RF_JIGNORE(raw);
    for (size_t i = 0, n; ok && (n = rf_chars_at(rf_jv_view(self), i, &c)) > 0; i += n) {
        bool upper = rf_char_is_upper(c) || rf_char_is_title(c), lower = rf_char_is_lower(c);
        ok = !(upper && inside) && !(lower && !inside);
        inside = upper || lower;
        cased |= inside;
    }
    *out = rf_jv_bool(ok && cased);
    return true;
}

static bool fill(rf_vm *vm, rf_str fillchar, int64_t n) {
    if (n > 0 && !rf_vm_charge(vm, (uint64_t)n / 16))
        return false;
    for (int64_t i = 0; i < n && !vm->scratch.failed; i++)
        rf_buf_str(&vm->scratch, fillchar);
    return true;
}

static bool pad(rf_vm *vm, rf_jv self, const rf_jv *a, int side, rf_jv *out) {
    int64_t width;
    rf_str fillchar = RF_STR(" ");
    if (!rf_jv_index(vm, a[0], &width))
        return false;
    if (a[1].type != RF_J_MISSING) {
        if (a[1].type != RF_J_STR || rf_chars_count(rf_jv_view(a[1])) != 1)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "The fill character must be exactly one character long");
        fillchar = rf_jv_view(a[1]);
    }
    int64_t missing = width - (int64_t)rf_chars_count(rf_jv_view(self));
    *out = self;
    if (missing <= 0)
        return true;
    /* centre: CPython puts the odd character left when the width is odd */
    int64_t left = side < 0 ? 0 : side > 0 ? missing : missing / 2 + (missing & width & 1);
    size_t mark = rf_vm_mark(vm);
    if (!fill(vm, fillchar, left))
        return false;
    rf_buf_str(&vm->scratch, rf_jv_view(self));
    if (!fill(vm, fillchar, missing - left) || !rf_vm_take(vm, mark, out))
        return false;
    out->flags = self.flags;
    return true;
}

RF_JMETHOD(str_center) {
    RF_JIGNORE(raw);
    return pad(vm, self, a, 0, out);
}
RF_JMETHOD(str_ljust) {
    RF_JIGNORE(raw);
    return pad(vm, self, a, -1, out);
}
RF_JMETHOD(str_rjust) {
    RF_JIGNORE(raw);
    return pad(vm, self, a, 1, out);
}

RF_JMETHOD(str_zfill) {
    int64_t width;
    RF_JIGNORE(raw);
    if (!rf_jv_index(vm, a[0], &width))
        return false;
    rf_str s = rf_jv_view(self);
    int64_t missing = width - (int64_t)rf_chars_count(s);
    size_t sign = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'), mark = rf_vm_mark(vm);
    rf_buf_str(&vm->scratch, rf_str_sub(s, 0, sign));
    if (!fill(vm, RF_STR("0"), missing))
        return false;
    rf_buf_str(&vm->scratch, rf_str_sub(s, sign, s.len));
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = self.flags;
    return true;
}

RF_JMETHOD(str_expandtabs) {
    int64_t size = 8, column = 0;
    uint32_t c;
    RF_JIGNORE(raw);
    if (a[0].type != RF_J_MISSING && !rf_jv_index(vm, a[0], &size))
        return false;
    rf_str s = rf_jv_view(self);
    size_t mark = rf_vm_mark(vm);
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        if (c == '\t') {
            int64_t spaces = size > 0 ? size - column % size : 0;
            if (!fill(vm, RF_STR(" "), spaces))
                return false;
            column += spaces;
        } else {
            rf_buf_append(&vm->scratch, s.ptr + i, n);
            column = c == '\n' || c == '\r' ? 0 : column + 1;
        }
    }
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = self.flags;
    return true;
}

static bool encoding_is_utf8(rf_vm *vm, rf_jv v, bool *ok) {
    static const char *const names[] = {"utf-8", "utf8", "UTF-8", "UTF8", "utf_8"};
    rf_str s = RF_STR("utf-8");
    *ok = false;
    if (v.type != RF_J_MISSING && !rf_jmethod_text(vm, "encode", v, &s))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        *ok |= rf_str_is(s, names[i]);
    bool ascii = rf_str_is(s, "ascii") || rf_str_is(s, "latin-1") || rf_str_is(s, "us-ascii");
    if (*ok || ascii)
        return true;
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "LookupError: unknown encoding: %.*s", RF_STR_ARG(s));
}

RF_JMETHOD(str_encode) {
    bool utf8;
    RF_JIGNORE(raw);
    if (self.flags & RF_JF_BYTES)
        return rf_vm_fail(vm, RF_TEMPLATE_UNDEFINED, "'bytes object' has no attribute 'encode'");
    if (!encoding_is_utf8(vm, a[0], &utf8))
        return false;
    if (!utf8 && !rf_chars_is_ascii(rf_jv_view(self)))
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "UnicodeEncodeError: ordinal not in range(128)");
    *out = self;
    out->flags = RF_JF_BYTES;
    return true;
}

RF_JMETHOD(str_decode) {
    bool utf8;
    RF_JIGNORE(raw);
    if (!(self.flags & RF_JF_BYTES))
        return rf_vm_fail(vm, RF_TEMPLATE_UNDEFINED, "'str object' has no attribute 'decode'");
    if (!encoding_is_utf8(vm, a[0], &utf8))
        return false;
    *out = self;
    out->flags = 0;
    return true;
}

/* table: a dict from code points to strings, code points or None */
RF_JMETHOD(str_translate) {
    rf_jv to;
    bool found;
    uint32_t c;
    RF_JIGNORE(raw);
    rf_str s = rf_jv_view(self);
    size_t mark = rf_vm_mark(vm);
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        if (a[0].type == RF_J_DICT) {
            if (!rf_jdict_get(vm, a[0].u.dict, rf_jv_int(c), &to, &found))
                return false;
        } else {
            if (!rf_jv_item(vm, a[0], rf_jv_int(c), &to))
                return false;
            found = to.type != RF_J_UNDEFINED;
        }
        if (!found) {
            rf_buf_append(&vm->scratch, s.ptr + i, n);
        } else if (to.type == RF_J_STR) {
            rf_buf_str(&vm->scratch, rf_jv_view(to));
        } else if (to.type == RF_J_INT) {
            char text[4];
            if (to.u.i < 0 || to.u.i > 0x10ffff)
                return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                                  "ValueError: character mapping must be in range(0x110000)");
            rf_buf_append(&vm->scratch, text, rf_utf8_encode((uint32_t)to.u.i, text));
        } else if (to.type != RF_J_NONE) {
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "character mapping must return integer, None or str");
        }
    }
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = self.flags;
    return true;
}
