#include "chat/jinja_chars.h"
#include "chat/jinja_object.h"

bool rf_jv_is_iterable(rf_jv v) {
    switch (v.type) {
    case RF_J_UNDEFINED:
    case RF_J_STR:
    case RF_J_LIST:
    case RF_J_TUPLE:
    case RF_J_DICT:
    case RF_J_RANGE:
    case RF_J_VIEW:
    case RF_J_ITER:
    case RF_J_LOOP: return true;
    default: return false;
    }
}

bool rf_iter_start(rf_vm *vm, rf_jv v, rf_jiter *it) {
    *it = (rf_jiter){.src = v};
    if (v.type == RF_J_LOOP || !rf_jv_is_iterable(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "'%s' object is not iterable", rf_jv_type_name(v));
    return true;
}

static bool next_entry(rf_vm *vm, rf_jiter *it, rf_jv *out) {
    const rf_jentry *entry = &it->src.u.dict->entries[it->pos++];
    if (it->src.type == RF_J_DICT || it->src.aux == RF_JVIEW_KEYS) {
        *out = entry->key;
        return true;
    }
    if (it->src.aux == RF_JVIEW_VALUES) {
        *out = entry->value;
        return true;
    }
    return rf_vm_list(vm, RF_J_TUPLE, (rf_jv[]){entry->key, entry->value}, 2, out);
}

bool rf_iter_next(rf_vm *vm, rf_jiter *it, rf_jv *out, bool *more) {
    rf_jv src = it->src;
    *more = false;
    if (!rf_vm_charge(vm, 1))
        return false;
    switch (src.type) {
    case RF_J_STR: {
        uint32_t code;
        size_t n = rf_chars_at(rf_jv_view(src), it->pos, &code);
        if (n == 0)
            return true;
        *out = rf_jv_str((rf_str){src.u.s + it->pos, n});
        if (src.flags & RF_JF_BYTES) {
            *out = rf_jv_int((unsigned char)src.u.s[it->pos]);
            n = 1;
        }
        it->pos += n;
        break;
    }
    case RF_J_LIST:
    case RF_J_TUPLE:
        if (it->pos >= src.u.seq->n)
            return true;
        *out = src.u.seq->items[it->pos++];
        break;
    case RF_J_DICT:
    case RF_J_VIEW:
        if (it->pos >= src.u.dict->n)
            return true;
        *more = true;
        return next_entry(vm, it, out);
    case RF_J_RANGE:
        if (it->pos >= (size_t)src.u.range->n)
            return true;
        *out = rf_jv_int(src.u.range->start + (int64_t)it->pos++ * src.u.range->step);
        break;
    case RF_J_ITER:
        if (src.u.iter->pos >= src.u.iter->seq.n) {
            int kind = src.u.iter->deferred_kind;
            src.u.iter->deferred_kind = 0;
            return kind == 0 ||
                   rf_vm_fail_text(vm, (rf_template_error_kind)kind, src.u.iter->deferred_text);
        }
        *out = src.u.iter->seq.items[src.u.iter->pos++];
        break;
    default: return true;
    }
    *more = true;
    return true;
}

bool rf_jv_items(rf_vm *vm, rf_jv v, rf_jseq *out) {
    if (v.type == RF_J_LIST || v.type == RF_J_TUPLE) {
        *out = *v.u.seq;
        return true;
    }
    rf_jiter it;
    uint32_t n = 0, cap = 0;
    void *items = NULL;
    bool more = true;
    if (!rf_iter_start(vm, v, &it))
        return false;
    for (;;) {
        rf_jv item;
        if (!rf_iter_next(vm, &it, &item, &more))
            return false;
        if (!more)
            break;
        if (!rf_vm_grow(vm, &items, &cap, n + 1, sizeof item))
            return false;
        ((rf_jv *)items)[n++] = item;
    }
    *out = (rf_jseq){items, n};
    return true;
}

bool rf_jv_generator(rf_vm *vm, const char *python_name, rf_jseq items, rf_jv *out) {
    rf_jlist_iter *iter = rf_vm_alloc(vm, 1, sizeof *iter);
    if (!iter)
        return false;
    *iter = (rf_jlist_iter){.seq = items, .python_name = python_name};
    *out = (rf_jv){.type = RF_J_ITER, .u.iter = iter};
    return true;
}
