/*
 * Reads JSON text into template values: strict JSON, integers of any size, the order of keys kept.
 * Strings without escapes borrow the text. Explicit stack, bounded depth.
 */
#ifndef RF_CHAT_JINJA_CONTEXT_H
#define RF_CHAT_JINJA_CONTEXT_H

#include "chat/jinja_vm.h"

/* false: *problem says what is wrong at byte *at (or vm's error is set: limits). */
bool rf_jv_from_json(rf_vm *vm, rf_str text, rf_jv *out, const char **problem, size_t *at);

#endif
