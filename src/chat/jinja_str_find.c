/* String methods: searching, stripping, replacing. */
#include "chat/jinja_chars.h"
#include "chat/jinja_method.h"

/* The part of self that start and end select, as byte offsets. false in *ok: start lies behind. */
static bool window(rf_vm *vm, rf_jv self, rf_jv start, rf_jv end, rf_str *part, size_t *base,
                   bool *ok) {
    rf_str s = rf_jv_view(self);
    int64_t from = 0, to = INT64_MAX, n = INT64_MAX;
    bool has_from = start.type != RF_J_MISSING && start.type != RF_J_NONE;
    bool has_to = end.type != RF_J_MISSING && end.type != RF_J_NONE;
    *base = 0;
    *part = s;
    *ok = true;
    if (!has_from && !has_to)
        return true;
    if ((has_from && !rf_jv_index(vm, start, &from)) || (has_to && !rf_jv_index(vm, end, &to)))
        return false;
    n = (int64_t)rf_chars_count(s);
    from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
    to = to < 0 ? (to + n < 0 ? 0 : to + n) : to > n ? n : to;
    *ok = from <= n && from <= to;
    if (!*ok)
        return true;
    *base = rf_chars_offset(s, (size_t)from);
    *part = rf_str_sub(s, *base, rf_chars_offset(s, (size_t)to));
    return true;
}

static const char *find_last(rf_str s, rf_str sub) {
    if (sub.len > s.len)
        return NULL;
    for (size_t i = s.len - sub.len + 1; i-- > 0;)
        if (sub.len == 0 || memcmp(s.ptr + i, sub.ptr, sub.len) == 0)
            return s.ptr + i;
    return NULL;
}

static bool find(rf_vm *vm, rf_jv self, const rf_jv *a, bool last, bool must, rf_jv *out) {
    rf_str sub, part;
    size_t base;
    bool ok;
    if (!rf_jmethod_text(vm, "find", a[0], &sub) ||
        !window(vm, self, a[1], a[2], &part, &base, &ok) || !rf_vm_charge(vm, self.len / 16))
        return false;
    const char *at = NULL;
    if (ok)
        at = last           ? find_last(part, sub)
             : sub.len == 0 ? (part.ptr ? part.ptr : "")
                            : (part.len ? memmem(part.ptr, part.len, sub.ptr, sub.len) : NULL);
    if (!at && must)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: substring not found");
    size_t bytes = at && part.ptr ? base + (size_t)(at - part.ptr) : base;
    *out = rf_jv_int(at ? (int64_t)rf_chars_count(rf_str_sub(rf_jv_view(self), 0, bytes)) : -1);
    return true;
}

RF_JMETHOD(str_find) {
    RF_JIGNORE(raw);
    return find(vm, self, a, false, false, out);
}
RF_JMETHOD(str_rfind) {
    RF_JIGNORE(raw);
    return find(vm, self, a, true, false, out);
}
RF_JMETHOD(str_index) {
    RF_JIGNORE(raw);
    return find(vm, self, a, false, true, out);
}
RF_JMETHOD(str_rindex) {
    RF_JIGNORE(raw);
    return find(vm, self, a, true, true, out);
}

RF_JMETHOD(str_count) {
    rf_str sub, part;
    size_t base;
    bool ok;
    int64_t n = 0;
    RF_JIGNORE(raw);
    if (!rf_jmethod_text(vm, "count", a[0], &sub) ||
        !window(vm, self, a[1], a[2], &part, &base, &ok) || !rf_vm_charge(vm, self.len / 16))
        return false;
    if (ok && sub.len == 0)
        n = (int64_t)rf_chars_count(part) + 1;
    for (size_t at = 0; ok && sub.len && at < part.len;) {
        const char *found = memmem(part.ptr + at, part.len - at, sub.ptr, sub.len);
        if (!found)
            break;
        n++;
        at = (size_t)(found - part.ptr) + sub.len;
    }
    *out = rf_jv_int(n);
    return true;
}

/* startswith and endswith take one string or a tuple of them. */
static bool affix(rf_vm *vm, rf_jv self, const rf_jv *a, bool ends, rf_jv *out) {
    rf_str part, sub;
    size_t base;
    bool ok, found = false;
    if (!window(vm, self, a[1], a[2], &part, &base, &ok))
        return false;
    const rf_jv *items = a[0].type == RF_J_TUPLE ? a[0].u.seq->items : &a[0];
    size_t n = a[0].type == RF_J_TUPLE ? a[0].u.seq->n : 1;
    for (size_t i = 0; i < n && !found; i++) {
        if (items[i].type != RF_J_STR)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "%s first arg must be str or a tuple of str, not %s",
                              ends ? "endswith" : "startswith", rf_jv_type_name(items[i]));
        sub = rf_jv_view(items[i]);
        found = ok && (ends ? rf_str_ends(part, sub) : rf_str_starts(part, sub));
    }
    *out = rf_jv_bool(found);
    return true;
}

RF_JMETHOD(str_startswith) {
    RF_JIGNORE(raw);
    return affix(vm, self, a, false, out);
}
RF_JMETHOD(str_endswith) {
    RF_JIGNORE(raw);
    return affix(vm, self, a, true, out);
}

static bool in_set(uint32_t c, rf_str set, bool spaces) {
    uint32_t other;
    if (spaces)
        return rf_char_is_space(c);
    for (size_t i = 0, n; (n = rf_chars_at(set, i, &other)) > 0; i += n)
        if (other == c)
            return true;
    return false;
}

static bool strip(rf_vm *vm, rf_jv self, rf_jv chars, bool left, bool right, rf_jv *out) {
    rf_str s = rf_jv_view(self), set = {0};
    bool spaces = chars.type == RF_J_MISSING || chars.type == RF_J_NONE;
    if (!spaces && chars.type != RF_J_STR)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "strip arg must be None or str");
    if (!spaces)
        set = rf_jv_view(chars);
    uint32_t c;
    size_t work = 0;
    for (size_t n; left && (n = rf_chars_at(s, 0, &c)) > 0 && in_set(c, set, spaces); work++)
        s = rf_str_sub(s, n, s.len);
    for (size_t n; right && (n = rf_chars_before(s, s.len, &c)) > 0 && in_set(c, set, spaces);
         work++)
        s.len -= n;
    *out = rf_jmethod_like(self, s);
    return rf_vm_charge(vm, work * (set.len + 1) / 64);
}

RF_JMETHOD(str_strip) {
    RF_JIGNORE(raw);
    return strip(vm, self, a[0], true, true, out);
}
RF_JMETHOD(str_lstrip) {
    RF_JIGNORE(raw);
    return strip(vm, self, a[0], true, false, out);
}
RF_JMETHOD(str_rstrip) {
    RF_JIGNORE(raw);
    return strip(vm, self, a[0], false, true, out);
}

RF_JMETHOD(str_removeprefix) {
    rf_str sub, s = rf_jv_view(self);
    RF_JIGNORE(raw);
    if (!rf_jmethod_text(vm, "removeprefix", a[0], &sub))
        return false;
    *out = rf_jmethod_like(self, rf_str_starts(s, sub) ? rf_str_sub(s, sub.len, s.len) : s);
    return true;
}

RF_JMETHOD(str_removesuffix) {
    rf_str sub, s = rf_jv_view(self);
    RF_JIGNORE(raw);
    if (!rf_jmethod_text(vm, "removesuffix", a[0], &sub))
        return false;
    *out = rf_jmethod_like(self, rf_str_ends(s, sub) ? rf_str_sub(s, 0, s.len - sub.len) : s);
    return true;
}

/* An empty `old` stands between all characters. */
static void replace_empty(rf_vm *vm, rf_str s, rf_str to, int64_t count) {
    uint32_t c;
    size_t i = 0;
    for (size_t n = 1; count != 0 && n && !vm->scratch.failed; count--, i += n) {
        rf_buf_str(&vm->scratch, to);
        n = rf_chars_at(s, i, &c);
        rf_buf_append(&vm->scratch, s.ptr + i, n);
    }
    if (i < s.len)
        rf_buf_append(&vm->scratch, s.ptr + i, s.len - i);
}

RF_JMETHOD(str_replace) {
    rf_str s = rf_jv_view(self), old, to;
    int64_t count = -1;
    rf_jv with = a[1];
    RF_JIGNORE(raw);
    if (!rf_jmethod_text(vm, "replace", a[0], &old) || !rf_jmethod_text(vm, "replace", a[1], &to) ||
        (a[2].type != RF_J_MISSING && !rf_jv_index(vm, a[2], &count)))
        return false;
    if (rf_jv_is_markup(self)) {
        if (!rf_jv_escape(vm, with, &with))
            return false;
        to = rf_jv_view(with);
    }
    size_t mark = rf_vm_mark(vm), at = 0;
    if (!rf_vm_charge(vm, s.len / 32))
        return false;
    if (old.len == 0) {
        replace_empty(vm, s, to, count);
        at = s.len;
    }
    for (; old.len && count != 0 && at < s.len && !vm->scratch.failed; count--) {
        const char *found = memmem(s.ptr + at, s.len - at, old.ptr, old.len);
        if (!found)
            break;
        rf_buf_append(&vm->scratch, s.ptr + at, (size_t)(found - s.ptr) - at);
        rf_buf_str(&vm->scratch, to);
        at = (size_t)(found - s.ptr) + old.len;
    }
    if (at == 0 && old.len) {
        *out = self;
        return true;
    }
    rf_buf_append(&vm->scratch, s.ptr + at, s.len - at);
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = self.flags;
    return true;
}
