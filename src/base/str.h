/* String view: borrowed bytes with a length, not NUL-terminated. Any thread. */
#ifndef RF_BASE_STR_H
#define RF_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct rf_str {
    const char *ptr; /* borrowed; may be NULL when len is 0 */
    size_t len;
} rf_str;

/* For a string literal. */
#define RF_STR(literal) ((rf_str){("" literal), sizeof(literal) - 1})
/* For printf's "%.*s": long strings are cut at 200 bytes. */
#define RF_STR_ARG(s) ((int)((s).len < 200 ? (s).len : 200)), ((s).ptr ? (s).ptr : "")

static inline rf_str rf_str_of(const char *text) { return (rf_str){text, text ? strlen(text) : 0}; }

static inline bool rf_str_eq(rf_str a, rf_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool rf_str_is(rf_str a, const char *text) { return rf_str_eq(a, rf_str_of(text)); }

static inline bool rf_str_starts(rf_str s, rf_str prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool rf_str_ends(rf_str s, rf_str suffix) {
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

/* Bytes from, from+1 … to-1, cut to the string. */
static inline rf_str rf_str_sub(rf_str s, size_t from, size_t to) {
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (rf_str){s.ptr ? s.ptr + from : NULL, to - from};
}

#endif
