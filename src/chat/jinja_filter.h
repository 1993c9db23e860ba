/* The functions behind filters.def: v is the value filtered, a the bound parameters (MISSING where
 * left out), raw all arguments behind v. */
#ifndef RF_CHAT_JINJA_FILTER_H
#define RF_CHAT_JINJA_FILTER_H

#include "chat/jinja_object.h"

#define X(name, fn, spec) \
    bool rf_j##fn(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out);
#include "chat/jinja_filters.def"
#undef X

/* Reads a parameter with a default: integers and truth values. */
bool rf_jarg_int(rf_vm *vm, rf_jv a, int64_t fallback, int64_t *out);
bool rf_jarg_bool(rf_vm *vm, rf_jv a, bool fallback, bool *out);
/* soft_str: strings stay (MARKUP too), other values become str(v). */
bool rf_jarg_text(rf_vm *vm, rf_jv v, rf_jv *out);
/* Lower case for strings, when case does not count. */
bool rf_jkey_fold(rf_vm *vm, rf_jv *key);
/* Stable merge sort of n pairs (key, item) by key; jinja_sort.c. */
typedef struct rf_jsort_item {
    rf_jv key, item;
} rf_jsort_item;
bool rf_jsort(rf_vm *vm, rf_jsort_item *items, size_t n, bool reverse);

#define RF_JUNUSED(x) ((void)(x))

#endif
