/* String methods: splitting and joining. */
#include "chat/jinja_chars.h"
#include "chat/jinja_method.h"

typedef struct parts {
    rf_jv *items;
    uint32_t n, cap;
} parts;

static bool push(rf_vm *vm, parts *p, rf_jv self, rf_str s) {
    if (!rf_vm_grow(vm, (void **)&p->items, &p->cap, p->n + 1, sizeof *p->items) ||
        !rf_vm_charge(vm, 1 + s.len / 64))
        return false;
    p->items[p->n++] = rf_jmethod_like(self, s);
    return true;
}

static void reverse(parts *p) {
    for (uint32_t i = 0, k = p->n; i + 1 < k; i++) {
        rf_jv t = p->items[i];
        p->items[i] = p->items[--k];
        p->items[k] = t;
    }
}

static size_t word_end(rf_str s, size_t at) {
    uint32_t c;
    size_t n;
    while ((n = rf_chars_at(s, at, &c)) > 0 && !rf_char_is_space(c))
        at += n;
    return at;
}

static size_t word_start(rf_str s, size_t at) {
    uint32_t c;
    size_t n;
    while ((n = rf_chars_before(s, at, &c)) > 0 && !rf_char_is_space(c))
        at -= n;
    return at;
}

static rf_str lstrip(rf_str s) { return rf_str_sub(s, rf_chars_space_prefix(s), s.len); }

static bool split_space(rf_vm *vm, rf_jv self, int64_t max, bool right, parts *p) {
    rf_str s = right ? rf_chars_rstrip(rf_jv_view(self)) : lstrip(rf_jv_view(self));
    while (s.len) {
        if (max-- == 0) { /* the rest, stripped at its outer end only on the far side */
            rf_str rest = right ? rf_chars_rstrip(s) : s;
            return push(vm, p, self, rest);
        }
        if (right) {
            size_t start = word_start(s, s.len);
            if (!push(vm, p, self, rf_str_sub(s, start, s.len)))
                return false;
            s = rf_chars_rstrip(rf_str_sub(s, 0, start));
        } else {
            size_t end = word_end(s, 0);
            if (!push(vm, p, self, rf_str_sub(s, 0, end)))
                return false;
            s = lstrip(rf_str_sub(s, end, s.len));
        }
    }
    return true;
}

static bool split_on(rf_vm *vm, rf_jv self, rf_str sep, int64_t max, parts *p) {
    rf_str s = rf_jv_view(self);
    while (max-- != 0 && s.len) {
        const char *found = memmem(s.ptr, s.len, sep.ptr, sep.len);
        if (!found)
            break;
        size_t at = (size_t)(found - s.ptr);
        if (!push(vm, p, self, rf_str_sub(s, 0, at)))
            return false;
        s = rf_str_sub(s, at + sep.len, s.len);
    }
    return push(vm, p, self, s);
}

static bool rsplit_on(rf_vm *vm, rf_jv self, rf_str sep, int64_t max, parts *p) {
    rf_str s = rf_jv_view(self);
    size_t at = s.len;
    while (max != 0 && at >= sep.len) {
        if (memcmp(s.ptr + at - sep.len, sep.ptr, sep.len) != 0) {
            at--;
            continue;
        }
        if (!push(vm, p, self, rf_str_sub(s, at, s.len)))
            return false;
        s.len = at -= sep.len;
        max--;
    }
    return push(vm, p, self, s);
}

static bool split(rf_vm *vm, rf_jv self, const rf_jv *a, bool right, rf_jv *out) {
    parts p = {0};
    int64_t max = -1;
    bool spaces = a[0].type == RF_J_MISSING || a[0].type == RF_J_NONE, ok;
    if (a[1].type != RF_J_MISSING && !rf_jv_index(vm, a[1], &max))
        return false;
    if (spaces) {
        ok = split_space(vm, self, max, right, &p);
    } else {
        rf_str sep;
        if (!rf_jmethod_text(vm, "split", a[0], &sep))
            return false;
        if (sep.len == 0)
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: empty separator");
        ok = right ? rsplit_on(vm, self, sep, max, &p) : split_on(vm, self, sep, max, &p);
    }
    if (right)
        reverse(&p);
    return ok && rf_vm_list(vm, RF_J_LIST, p.items, p.n, out);
}

RF_JMETHOD(str_split) {
    RF_JIGNORE(raw);
    return split(vm, self, a, false, out);
}
RF_JMETHOD(str_rsplit) {
    RF_JIGNORE(raw);
    return split(vm, self, a, true, out);
}

RF_JMETHOD(str_splitlines) {
    parts p = {0};
    bool keep = false;
    uint32_t c;
    RF_JIGNORE(raw);
    if (a[0].type != RF_J_MISSING && !rf_jv_truth(vm, a[0], &keep))
        return false;
    rf_str s = rf_jv_view(self);
    for (size_t start = 0; start < s.len;) {
        size_t end = start, n;
        while ((n = rf_chars_at(s, end, &c)) > 0 && !rf_char_is_line_end(c))
            end += n;
        size_t next = end + n;
        if (n && c == '\r' && next < s.len && s.ptr[next] == '\n')
            next++;
        if (!push(vm, &p, self, rf_str_sub(s, start, keep ? next : end)))
            return false;
        start = next;
    }
    return rf_vm_list(vm, RF_J_LIST, p.items, p.n, out);
}

static bool partition(rf_vm *vm, rf_jv self, rf_jv sep_value, bool right, rf_jv *out) {
    rf_str sep, s = rf_jv_view(self);
    rf_jv three[3];
    if (!rf_jmethod_text(vm, "partition", sep_value, &sep))
        return false;
    if (sep.len == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: empty separator");
    size_t at = s.len + 1;
    if (right) {
        for (size_t i = s.len; i >= sep.len && at > s.len; i--)
            if (memcmp(s.ptr + i - sep.len, sep.ptr, sep.len) == 0)
                at = i - sep.len;
    } else if (s.len) {
        const char *found = memmem(s.ptr, s.len, sep.ptr, sep.len);
        if (found)
            at = (size_t)(found - s.ptr);
    }
    bool none = at > s.len;
    rf_str empty = RF_STR("");
    three[0] = rf_jmethod_like(self, none ? (right ? empty : s) : rf_str_sub(s, 0, at));
    three[1] = rf_jmethod_like(self, none ? empty : sep);
    three[2] =
        rf_jmethod_like(self, none ? (right ? s : empty) : rf_str_sub(s, at + sep.len, s.len));
    return rf_vm_charge(vm, s.len / 64) && rf_vm_list(vm, RF_J_TUPLE, three, 3, out);
}

RF_JMETHOD(str_partition) {
    RF_JIGNORE(raw);
    return partition(vm, self, a[0], false, out);
}
RF_JMETHOD(str_rpartition) {
    RF_JIGNORE(raw);
    return partition(vm, self, a[0], true, out);
}

RF_JMETHOD(str_join) {
    rf_jseq items;
    RF_JIGNORE(raw);
    if (!rf_jv_is_iterable(a[0]))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "can only join an iterable");
    if (!rf_jv_items(vm, a[0], &items))
        return false;
    size_t mark = rf_vm_mark(vm);
    for (size_t i = 0; i < items.n; i++) {
        rf_jv item = items.items[i];
        if (i)
            rf_buf_str(&vm->scratch, rf_jv_view(self));
        if (rf_jv_is_markup(self)) {
            if (!rf_jv_escape(vm, item, &item))
                return false;
        } else if (item.type != RF_J_STR) {
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "sequence item %zu: expected str instance, %s found", i,
                              rf_jv_type_name(item));
        }
        rf_buf_str(&vm->scratch, rf_jv_view(item));
        if (vm->scratch.failed)
            return rf_vm_fail_memory(vm);
    }
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = self.flags;
    return true;
}
