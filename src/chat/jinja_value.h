/*
 * Values of the template language: what Python calls None, bool, int, float, str, list, tuple,
 * dict, range, and the objects of Jinja. A value is 16 bytes; what it points to lives in the arena
 * of one render and is never freed singly. Lists, tuples and strings are immutable.
 */
#ifndef RF_CHAT_JINJA_VALUE_H
#define RF_CHAT_JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

typedef enum rf_jtype {
#define X(id, python_name) RF_J_##id,
#include "chat/jinja_types.def"
#undef X
    RF_J_TYPE_COUNT
} rf_jtype;

enum {                   /* flags of a value */
       RF_JF_MARKUP = 1, /* STR: safe for HTML (markupsafe.Markup) */
       RF_JF_GROUP = 2,  /* TUPLE: (grouper, list) of the groupby filter */
       RF_JF_BYTES = 4,  /* STR: Python's bytes, made by str.encode */
};

/* aux of a VIEW */
enum { RF_JVIEW_KEYS, RF_JVIEW_VALUES, RF_JVIEW_ITEMS };

typedef struct rf_jv {
    uint8_t type; /* rf_jtype */
    uint8_t flags;
    uint16_t aux; /* VIEW: which; FUNCTION: row of globals.def */
    uint32_t len; /* STR: bytes */
    union {
        bool b;
        int64_t i;
        double f;
        const char *s; /* not NUL-terminated */
        const void *p;
        struct rf_jundef *undef;
        struct rf_jseq *seq;
        struct rf_jdict *dict; /* DICT, VIEW, NAMESPACE */
        const struct rf_big *big;
        struct rf_jrange *range;
        struct rf_jlist_iter *iter;
        struct rf_jmacro *macro;
        struct rf_jmethod *method;
        struct rf_jloop *loop;
        struct rf_jcycler *cycler;
    } u;
} rf_jv;

typedef struct rf_jseq {
    rf_jv *items;
    size_t n;
} rf_jseq;

typedef struct rf_jentry {
    rf_jv key, value;
    uint64_t hash;
} rf_jentry;

typedef struct rf_jdict { /* insertion order; entries are never removed */
    rf_jentry *entries;
    uint32_t n, cap;
    uint32_t *index; /* open addressing, entry + 1, once n grows past a few */
    uint32_t n_index;
} rf_jdict;

typedef struct rf_jundef { /* why a value is undefined, for the message when it is used */
    rf_jv hint;            /* STR, or MISSING */
    rf_jv obj;             /* MISSING: a plain name */
    rf_jv name;
    bool sandbox; /* use is a SecurityError */
} rf_jundef;

typedef struct rf_jrange {
    int64_t start, stop, step, n;
} rf_jrange;

typedef struct rf_jlist_iter { /* generators, evaluated early; one shared position */
    rf_jseq seq;
    size_t pos;
    const char *python_name;
    int deferred_kind; /* rf_template_error_kind that consumption ends in, or 0 */
    rf_str deferred_text;
} rf_jlist_iter;

typedef struct rf_jcycler { /* CYCLER, and JOINER (one item: the separator) */
    rf_jseq items;
    size_t pos;
} rf_jcycler;

static inline rf_jv rf_jv_of(rf_jtype type) { return (rf_jv){.type = (uint8_t)type}; }
static inline rf_jv rf_jv_bool(bool b) { return (rf_jv){.type = RF_J_BOOL, .u.b = b}; }
static inline rf_jv rf_jv_int(int64_t i) { return (rf_jv){.type = RF_J_INT, .u.i = i}; }
static inline rf_jv rf_jv_float(double f) { return (rf_jv){.type = RF_J_FLOAT, .u.f = f}; }
/* Borrows the bytes; a string never exceeds 4 GiB because the arena's ceiling is below that. */
static inline rf_jv rf_jv_str(rf_str s) {
    return (rf_jv){.type = RF_J_STR, .len = (uint32_t)s.len, .u.s = s.ptr};
}
static inline rf_jv rf_jv_text(const char *text) { return rf_jv_str(rf_str_of(text)); }
static inline rf_jv rf_jv_seq(rf_jtype type, rf_jseq *seq) {
    return (rf_jv){.type = (uint8_t)type, .u.seq = seq};
}
static inline rf_jv rf_jv_dict(rf_jdict *dict) {
    return (rf_jv){.type = RF_J_DICT, .u.dict = dict};
}
static inline rf_str rf_jv_view(rf_jv v) { return (rf_str){v.u.s, v.len}; }
static inline bool rf_jv_is_markup(rf_jv v) {
    return v.type == RF_J_STR && (v.flags & RF_JF_MARKUP) != 0;
}
static inline bool rf_jv_is_text(rf_jv v) {
    return v.type == RF_J_STR && (v.flags & RF_JF_BYTES) == 0;
}
static inline bool rf_jv_is_int(rf_jv v) { /* as Python's isinstance(v, int) */
    return v.type == RF_J_INT || v.type == RF_J_BIG || v.type == RF_J_BOOL;
}
static inline bool rf_jv_is_number(rf_jv v) { return rf_jv_is_int(v) || v.type == RF_J_FLOAT; }
/* BOOL and INT as int64. */
static inline int64_t rf_jv_small(rf_jv v) { return v.type == RF_J_BOOL ? v.u.b : v.u.i; }

#endif
