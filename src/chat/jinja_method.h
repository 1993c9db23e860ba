/* The functions behind methods.def: self is the object, a the bound parameters (MISSING where left
 * out), raw all arguments. */
#ifndef RF_CHAT_JINJA_METHOD_H
#define RF_CHAT_JINJA_METHOD_H

#include "chat/jinja_object.h"

#define X(type, name, fn, spec) \
    bool rf_jm_##fn(rf_vm *vm, rf_jv self, const rf_jv *a, const rf_jargs *raw, rf_jv *out);
#include "chat/jinja_methods.def"
#undef X

#define RF_JMETHOD(fn) \
    bool rf_jm_##fn(rf_vm *vm, rf_jv self, const rf_jv *a, const rf_jargs *raw, rf_jv *out)

#define RF_JIGNORE(x) ((void)(x))

/* The argument as text, or a TypeError that names the method. */
bool rf_jmethod_text(rf_vm *vm, const char *who, rf_jv v, rf_str *out);
/* A string like self: MARKUP stays MARKUP. */
rf_jv rf_jmethod_like(rf_jv self, rf_str s);

#endif
