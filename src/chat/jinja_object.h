/*
 * What can be done with any value: truth, length, text, order, lookup, iteration, subscripts and
 * attributes, with Python's results and errors. Functions that can fail return false after
 * rf_vm_fail. Nested values are walked with explicit stacks.
 */
#ifndef RF_CHAT_JINJA_OBJECT_H
#define RF_CHAT_JINJA_OBJECT_H

#include "chat/jinja_operator.h"
#include "chat/jinja_vm.h"

const char *rf_jv_type_name(rf_jv v);
bool rf_jv_truth(rf_vm *vm, rf_jv v, bool *out);
bool rf_jv_length(rf_vm *vm, rf_jv v, int64_t *out); /* TypeError without a length */
bool rf_jv_is_callable(rf_jv v);
/* As Python's operator.index: INT and BOOL; `what` names the use in the message. */
bool rf_jv_index(rf_vm *vm, rf_jv v, int64_t *out);

/* jinja_repr.c */
bool rf_jv_append_str(rf_vm *vm, rf_jv v, rf_buf *out);           /* str(v) */
bool rf_jv_append_repr(rf_vm *vm, rf_jv v, rf_buf *out);          /* repr(v) */
void rf_jv_append_quoted(rf_str s, bool ascii_only, rf_buf *out); /* repr of a string */
bool rf_jv_str_of(rf_vm *vm, rf_jv v, rf_jv *out);
bool rf_jv_repr_of(rf_vm *vm, rf_jv v, rf_jv *out);

/* jinja_equal.c */
bool rf_jv_equal(rf_vm *vm, rf_jv a, rf_jv b, bool *out);
bool rf_jv_compare(rf_vm *vm, rf_jcompare op, rf_jv a, rf_jv b, bool *out);
bool rf_jv_contains(rf_vm *vm, rf_jv container, rf_jv item, bool *out);
bool rf_jv_hash(rf_vm *vm, rf_jv v, uint64_t *out); /* TypeError when unhashable */
bool rf_jv_same(rf_jv a, rf_jv b);                  /* Python's `is` */

/* jinja_dict.c */
rf_jdict *rf_jdict_new(rf_vm *vm, uint32_t cap);
bool rf_jdict_set(rf_vm *vm, rf_jdict *dict, rf_jv key, rf_jv value);
bool rf_jdict_get(rf_vm *vm, const rf_jdict *dict, rf_jv key, rf_jv *out, bool *found);
bool rf_jdict_get_str(rf_vm *vm, const rf_jdict *dict, rf_str key, rf_jv *out, bool *found);
/* dict(*args, **kwargs) */
bool rf_jdict_make(rf_vm *vm, const rf_jargs *args, rf_jdict **out);

/* jinja_iter.c */
bool rf_iter_start(rf_vm *vm, rf_jv v, rf_jiter *it); /* TypeError when not iterable */
bool rf_jv_is_iterable(rf_jv v);
bool rf_iter_next(rf_vm *vm, rf_jiter *it, rf_jv *out, bool *more);
/* All items as an array of the arena. */
bool rf_jv_items(rf_vm *vm, rf_jv v, rf_jseq *out);
bool rf_jv_generator(rf_vm *vm, const char *python_name, rf_jseq items, rf_jv *out);

/* jinja_attr.c */
bool rf_jv_attr(rf_vm *vm, rf_jv obj, rf_str name, rf_jv *out); /* obj.name in a template */
bool rf_jv_item(rf_vm *vm, rf_jv obj, rf_jv key, rf_jv *out);   /* obj[key] in a template */
bool rf_jv_slice(rf_vm *vm, rf_jv obj, const rf_jv part[3], rf_jv *out);
/* getattr alone: *found is false where Python raises AttributeError. */
bool rf_jv_own_attr(rf_vm *vm, rf_jv obj, rf_str name, rf_jv *out, bool *found);
/* The path a.b.0 of filters with an attribute argument; fallback is MISSING or a default. */
bool rf_jv_path(rf_vm *vm, rf_jv obj, rf_jv path, rf_jv fallback, rf_jv *out);

/* jinja_binary.c */
bool rf_jv_binary(rf_vm *vm, rf_jbinary op, rf_jv a, rf_jv b, rf_jv *out);
bool rf_jv_negate(rf_vm *vm, rf_jv v, bool minus, rf_jv *out);
bool rf_jv_concat(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out); /* two strings, MARKUP if a is */

/* jinja_markup.c */
void rf_markup_escape(rf_str s, rf_buf *out);
bool rf_jv_escape(rf_vm *vm, rf_jv v, rf_jv *out); /* markupsafe.escape: a MARKUP string */

/* jinja_percent.c: text % args */
bool rf_jv_percent(rf_vm *vm, rf_jv format, rf_jv args, rf_jv *out);
/* jinja_format.c: str.format and format_map; jinja_spec.c: one value by a format spec */
bool rf_jv_format(rf_vm *vm, rf_jv format, const rf_jargs *args, rf_jv map, rf_jv *out);
bool rf_jv_format_spec(rf_vm *vm, rf_jv v, rf_str spec, rf_buf *out);

/* jinja_json.c */
typedef struct rf_json_style {
    bool ascii, sort_keys, pretty;
    rf_str indent, item_separator, key_separator;
} rf_json_style;
bool rf_jv_append_json(rf_vm *vm, rf_jv v, const rf_json_style *style, rf_buf *out);

/* jinja_strftime.c */
bool rf_strftime(rf_vm *vm, rf_str format, int64_t clock, rf_buf *out);

#endif
