/*
 * Chat templates: an interpreter for the Jinja language as Hugging Face transformers compiles it
 * (sandboxed, trim_blocks, lstrip_blocks, loop controls, generation tag). It knows no models.
 * Explicit stacks, no recursion on input; limits on steps, depth, output and memory. A compiled
 * template is immutable: any number of threads may render it at once. Expects LC_NUMERIC "C".
 */
#ifndef RF_CHAT_TEMPLATE_H
#define RF_CHAT_TEMPLATE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

typedef struct rf_template rf_template;

/* What kind of failure a template ended in; names as in the golden data. */
typedef enum rf_template_error_kind {
    RF_TEMPLATE_NO_ERROR,
    RF_TEMPLATE_RAISED,    /* the template called raise_exception; text is its message */
    RF_TEMPLATE_UNDEFINED, /* use of an undefined value */
    RF_TEMPLATE_TYPE,      /* operation on a wrong type */
    RF_TEMPLATE_SANDBOX,   /* attribute or operation that the sandbox refuses */
    RF_TEMPLATE_LIMIT,     /* steps, depth, output or memory */
    RF_TEMPLATE_OTHER,     /* syntax and everything else */
    RF_TEMPLATE_ERROR_KIND_COUNT
} rf_template_error_kind;
const char *rf_template_error_kind_name(rf_template_error_kind kind);

typedef struct rf_template_limits { /* 0 takes the default */
    uint64_t max_steps;             /* 5,000,000; an operation, or 64 bytes of text, is one */
    uint32_t max_depth;             /* 400: nesting of syntax, calls and printed values */
    size_t max_output_bytes;        /* 64 MiB */
    size_t max_memory_bytes;        /* 64 MiB; at most 2 GiB */
} rf_template_limits;

/* source is copied. Syntax errors: RF_ERR_INVALID with the line. */
RF_NODISCARD rf_status rf_template_compile(rf_str source, const rf_template_limits *limits,
                                           rf_template **out, rf_error *err);
void rf_template_destroy(rf_template *tmpl);
rf_str rf_template_source(const rf_template *tmpl); /* valid until destroy */

/* Renders with the variables of context, the text of a JSON object (integers of any size, the order
 * of keys counts). clock: seconds since 1970 (UTC) that strftime_now sees. Appends to out. On
 * failure returns RF_ERR_INVALID, RF_ERR_LIMIT or RF_ERR_NO_MEMORY, sets *kind, and appends the
 * whole message to out instead (for RAISED exactly the template's words; err->text is cut and made
 * printable, with the line in front). */
RF_NODISCARD rf_status rf_template_render(const rf_template *tmpl, rf_str context, int64_t clock,
                                          rf_buf *out, rf_template_error_kind *kind, rf_error *err);

#endif
