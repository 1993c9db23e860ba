/* Format specs: [[fill]align][sign][z][#][0][width][grouping][.precision][type]. */
#ifndef RF_CHAT_JINJA_SPEC_H
#define RF_CHAT_JINJA_SPEC_H

#include "chat/jinja_object.h"

typedef struct rf_jspec {
    char fill[4];
    uint8_t n_fill;
    char align; /* < > = ^ or 0 */
    char sign;  /* + - space or 0 */
    bool alternate, no_negative_zero;
    int64_t width;     /* -1: none */
    char grouping;     /* , _ or 0 */
    int64_t precision; /* -1: none */
    char type;         /* 0: none */
} rf_jspec;

/* Numbers by a spec whose type fits; used by str.format and by %. */
bool rf_jspec_number(rf_vm *vm, rf_jv v, const rf_jspec *spec, rf_buf *out);
/* Text padded (and cut) by a spec. */
bool rf_jspec_text(rf_vm *vm, rf_str s, const rf_jspec *spec, rf_buf *out);

#endif
