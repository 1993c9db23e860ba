/* The rules as their own files see them; private to grammar/. */
#ifndef RF_GRAMMAR_RULES_STATE_H
#define RF_GRAMMAR_RULES_STATE_H

#include "grammar/rules.h"

typedef enum expr_kind {
    EXPR_NEVER,
    EXPR_EMPTY,
    EXPR_TEXT,     /* bytes[first] … of n */
    EXPR_CLASS,    /* ranges[first] … of n */
    EXPR_SEQ,      /* items[first] … of n */
    EXPR_ANY,      /* likewise */
    EXPR_REPEAT,   /* items[first], least … most times */
    EXPR_CALL,     /* rule `first` */
    EXPR_AUTOMATON /* automata[first] */
} expr_kind;

typedef struct expr_node {
    expr_kind kind;
    uint32_t first, n;
    int32_t least, most;
} expr_node;

typedef struct rule_node {
    char name[48];
    rf_expr expr; /* 0: not defined yet */
    bool stays;
    /* While compiling. */
    bool is_open, is_done, recurs, inlined;
    uint32_t size; /* states when written out */
    int32_t start; /* state of the NFA */
} rule_node;

struct rf_rules {
    expr_node *nodes; /* owned, as the others; node 0 stands for a failure */
    char *bytes;
    rf_char_range *ranges;
    rf_expr *items;
    rule_node *rules;
    uint32_t n_nodes, n_bytes, n_ranges, n_items, n_rules;
    uint32_t nodes_room, bytes_room, ranges_room, items_room, rules_room;
    rf_automaton **automata; /* owned, each of them too */
    uint32_t n_automata;
    uint64_t both_ns; /* spent in rf_rules_both */
    bool has_json;
    rf_json_rules json;
    rf_status status; /* the first failure */
    rf_error err;
};

rf_expr rf_rules_add(rf_rules *rules, expr_node node);

#endif
