/* Pattern to postfix form. Operands that have not been joined lie on a stack by where they begin.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "grammar/regex_state.h"

enum { OPERANDS = 3 * (RF_REGEX_MAX_DEPTH + 1) };

typedef struct group {
    size_t opened;    /* place of its bracket */
    uint32_t n_items; /* operands of the branch: at most 2, the second may still be repeated */
    bool has_branch;  /* an operand below them: the branches before */
} group;

typedef struct parser {
    regex_program *program;
    rf_str pattern;
    size_t at;
    group groups[RF_REGEX_MAX_DEPTH + 1];
    uint32_t depth;
    uint32_t begins[OPERANDS]; /* first step of each operand */
    uint32_t n_operands;
} parser;

void rf_regex_program_deinit(regex_program *program) {
    rf_free(program->steps);
    rf_free(program->ranges);
    *program = (regex_program){0};
}

rf_status rf_regex_emit(regex_program *p, regex_step step, rf_error *err) {
    if (p->n_steps == RF_REGEX_MAX_STEPS)
        return rf_fail(err, RF_ERR_LIMIT,
                       "the pattern has more than %d steps with its counted parts written out",
                       RF_REGEX_MAX_STEPS);
    if (p->n_steps == p->steps_room) {
        uint32_t room = p->steps_room ? 2 * p->steps_room : 256;
        regex_step *steps = rf_realloc_array(p->steps, room, sizeof *steps);
        if (!steps)
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the pattern");
        p->steps = steps;
        p->steps_room = room;
    }
    p->steps[p->n_steps++] = step;
    return RF_OK;
}

/* ---- operands ------------------------------------------------------------------------------ */

static rf_status emit(parser *p, regex_op op, rf_error *err) {
    return rf_regex_emit(p->program, (regex_step){.op = op}, err);
}

/* Joins the two uppermost operands. */
static rf_status join(parser *p, regex_op op, rf_error *err) {
    p->n_operands--;
    return emit(p, op, err);
}

/* Room for one more operand of the branch. */
static rf_status make_room(parser *p, rf_error *err) {
    group *g = &p->groups[p->depth];
    if (g->n_items == 2) {
        RF_TRY(join(p, REGEX_CAT, err));
        g->n_items = 1;
    }
    g->n_items++;
    p->begins[p->n_operands++] = p->program->n_steps;
    return RF_OK;
}

/* The branch becomes one operand, joined with those before it. */
static rf_status end_branch(parser *p, rf_error *err) {
    group *g = &p->groups[p->depth];
    if (g->n_items == 0) {
        p->begins[p->n_operands++] = p->program->n_steps;
        RF_TRY(emit(p, REGEX_EMPTY, err));
    }
    if (g->n_items == 2)
        RF_TRY(join(p, REGEX_CAT, err));
    if (g->has_branch)
        RF_TRY(join(p, REGEX_ALT, err));
    g->n_items = 0;
    g->has_branch = true;
    return RF_OK;
}

/* ---- repetition ---------------------------------------------------------------------------- */

static rf_status copy(parser *p, uint32_t begin, uint32_t n, rf_error *err) {
    for (uint32_t i = 0; i < n; i++)
        RF_TRY(rf_regex_emit(p->program, p->program->steps[begin + i], err));
    return RF_OK;
}

static rf_status copy_cat(parser *p, uint32_t begin, uint32_t n, rf_error *err) {
    RF_TRY(copy(p, begin, n, err));
    return emit(p, REGEX_CAT, err);
}

/* (x(x(…)?)?)? with most x; the first of them stands there if `stands`. */
static rf_status optional(parser *p, uint32_t begin, uint32_t n, uint32_t most, bool stands,
                          rf_error *err) {
    for (uint32_t i = stands; i < most; i++)
        RF_TRY(copy(p, begin, n, err));
    for (uint32_t i = 0; i < most; i++) {
        if (i > 0)
            RF_TRY(emit(p, REGEX_CAT, err));
        RF_TRY(emit(p, REGEX_EMPTY, err));
        RF_TRY(emit(p, REGEX_ALT, err));
    }
    return RF_OK;
}

/* x{least,most} of the last operand; most UINT32_MAX: any number. */
static rf_status repeat(parser *p, uint32_t least, uint32_t most, rf_error *err) {
    uint32_t begin = p->begins[p->n_operands - 1], n = p->program->n_steps - begin;
    bool open = most == UINT32_MAX;
    if (most == 0) {
        p->program->n_steps = begin;
        return emit(p, REGEX_EMPTY, err);
    }
    for (uint32_t i = 1; i < least; i++)
        RF_TRY(copy_cat(p, begin, n, err));
    if (open && least == 0)
        return emit(p, REGEX_STAR, err);
    if (open) {
        RF_TRY(copy(p, begin, n, err));
        RF_TRY(emit(p, REGEX_STAR, err));
        return emit(p, REGEX_CAT, err);
    }
    RF_TRY(optional(p, begin, n, most - least, least == 0, err));
    return least > 0 && most > least ? emit(p, REGEX_CAT, err) : RF_OK;
}

static bool take_number(parser *p, uint32_t *out) {
    size_t from = p->at;
    *out = 0;
    for (; p->at < p->pattern.len; p->at++) {
        char c = p->pattern.ptr[p->at];
        if (c < '0' || c > '9')
            break;
        *out = *out > RF_REGEX_MAX_COUNT ? *out : *out * 10 + (uint32_t)(c - '0');
    }
    return p->at > from;
}

/* {m}, {m,}, {m,n}; anything else in braces is refused: engines disagree on what it means. */
static rf_status take_counts(parser *p, uint32_t *least, uint32_t *most, rf_error *err) {
    size_t from = p->at - 1;
    bool ok = take_number(p, least);
    *most = *least;
    if (ok && p->at < p->pattern.len && p->pattern.ptr[p->at] == ',') {
        p->at++;
        if (!take_number(p, most))
            *most = UINT32_MAX;
    }
    ok = ok && p->at < p->pattern.len && p->pattern.ptr[p->at++] == '}';
    if (!ok || *most < *least)
        return rf_fail(err, RF_ERR_INVALID,
                       "at %zu: expected {m}, {m,} or {m,n} with m up to n; { is written \\{",
                       from);
    if (*least > RF_REGEX_MAX_COUNT || (*most != UINT32_MAX && *most > RF_REGEX_MAX_COUNT))
        return rf_fail(err, RF_ERR_LIMIT, "at %zu: a count above %d", from, RF_REGEX_MAX_COUNT);
    return RF_OK;
}

static rf_status quantifier(parser *p, char c, rf_error *err) {
    uint32_t least = c == '+', most = c == '?' ? 1 : UINT32_MAX;
    size_t from = p->at++;
    group *g = &p->groups[p->depth];
    if (c == '{')
        RF_TRY(take_counts(p, &least, &most, err));
    if (g->n_items == 0)
        return rf_fail(err, RF_ERR_INVALID, "at %zu: %c has nothing to repeat", from, c);
    if (p->at < p->pattern.len && p->pattern.ptr[p->at] == '?')
        p->at++; /* lazy: the same texts */
    char next = p->at < p->pattern.len ? p->pattern.ptr[p->at] : 0;
    if (next && strchr("*+?{", next))
        return rf_fail(err, RF_ERR_INVALID, "at %zu: %c after a repetition; put it in a group",
                       p->at, next);
    return repeat(p, least, most, err);
}

/* ---- the pattern --------------------------------------------------------------------------- */

static rf_status open_group(parser *p, rf_error *err) {
    size_t from = p->at++;
    rf_str rest = rf_str_sub(p->pattern, p->at, p->pattern.len);
    if (rf_str_starts(rest, RF_STR("?:")))
        p->at += 2;
    else if (rest.len > 0 && rest.ptr[0] == '?')
        return rf_fail(err, RF_ERR_INVALID,
                       "at %zu: (?%.1s is not supported; expected (…) or (?:…)", from,
                       rest.len > 1 ? rest.ptr + 1 : "");
    if (p->depth == RF_REGEX_MAX_DEPTH)
        return rf_fail(err, RF_ERR_LIMIT, "at %zu: groups are nested more than %d deep", from,
                       RF_REGEX_MAX_DEPTH);
    RF_TRY(make_room(p, err));
    p->n_operands--; /* the group's branches take its place */
    p->groups[++p->depth] = (group){.opened = from};
    return RF_OK;
}

static rf_status close_group(parser *p, rf_error *err) {
    if (p->depth == 0)
        return rf_fail(err, RF_ERR_INVALID, "at %zu: ) without (", p->at);
    p->at++;
    RF_TRY(end_branch(p, err));
    p->depth--;
    return RF_OK;
}

/* ^ and $ say what holds anyway at the ends of the pattern and of its branches. */
static rf_status anchor(parser *p, char c, rf_error *err) {
    const group *g = &p->groups[p->depth];
    size_t next = p->at + 1;
    bool ends = next == p->pattern.len || p->pattern.ptr[next] == '|';
    if (p->depth == 0 && (c == '^' ? g->n_items == 0 : ends)) {
        p->at++;
        return RF_OK;
    }
    return rf_fail(err, RF_ERR_INVALID,
                   "at %zu: %c is supported at the %s of the pattern alone; as a sign it is \\%c",
                   p->at, c, c == '^' ? "beginning" : "end", c);
}

static rf_status atom(parser *p, char c, rf_error *err) {
    regex_step step;
    RF_TRY(make_room(p, err));
    if (c == '\\' || c == '[' || c == '.')
        p->at++;
    RF_TRY(c == '\\'  ? rf_regex_escape(p->program, p->pattern, &p->at, &step, err)
           : c == '[' ? rf_regex_class(p->program, p->pattern, &p->at, &step, err)
           : c == '.' ? rf_regex_any(p->program, &step, err)
                      : rf_regex_char(p->program, p->pattern, &p->at, &step, err));
    return rf_regex_emit(p->program, step, err);
}

static rf_status next(parser *p, rf_error *err) {
    char c = p->pattern.ptr[p->at];
    switch (c) {
    case '(': return open_group(p, err);
    case ')': return close_group(p, err);
    case '|': p->at++; return end_branch(p, err);
    case '*':
    case '+':
    case '?':
    case '{': return quantifier(p, c, err);
    case '^':
    case '$': return anchor(p, c, err);
    default: return atom(p, c, err);
    }
}

rf_status rf_regex_parse(rf_str pattern, regex_program *out, rf_error *err) {
    parser *p = rf_calloc(1, sizeof *p);
    if (!p)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the pattern");
    *p = (parser){.program = out, .pattern = pattern};
    rf_status status = RF_OK;
    if (pattern.len > RF_REGEX_MAX_BYTES)
        status = rf_fail(err, RF_ERR_LIMIT, "%zu bytes, expected at most %d", pattern.len,
                         RF_REGEX_MAX_BYTES);
    else if (rf_utf8_valid_prefix(pattern.ptr, pattern.len) < pattern.len)
        status = rf_fail(err, RF_ERR_INVALID, "at %zu: no UTF-8",
                         rf_utf8_valid_prefix(pattern.ptr, pattern.len));
    while (status == RF_OK && p->at < pattern.len)
        status = next(p, err);
    if (status == RF_OK && p->depth > 0)
        status = rf_fail(err, RF_ERR_INVALID, "at %zu: ( without )", p->groups[p->depth].opened);
    if (status == RF_OK)
        status = end_branch(p, err);
    rf_free(p);
    return status;
}
