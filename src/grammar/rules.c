#include "grammar/rules.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "grammar/rules_state.h"

rf_status rf_rules_create(rf_rules **out, rf_error *err) {
    rf_rules *rules = rf_calloc(1, sizeof *rules);
    *out = rules;
    if (!rules)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a grammar");
    (void)rf_rules_never(rules); /* number 0 */
    return RF_OK;
}

void rf_rules_destroy(rf_rules *rules) {
    if (!rules)
        return;
    rf_free(rules->nodes);
    rf_free(rules->bytes);
    rf_free(rules->ranges);
    rf_free(rules->items);
    rf_free(rules->rules);
    for (uint32_t i = 0; i < rules->n_automata; i++)
        rf_free(rules->automata[i]);
    rf_free(rules->automata);
    rf_free(rules);
}

static void fail(rf_rules *rules, rf_status status, const char *what) {
    if (rules->status == RF_OK)
        rules->status = rf_fail(&rules->err, status, "%s", what);
}

/* Room for n more of a list; NULL: none. The list may move. */
static void *reserve(rf_rules *rules, void *list, uint32_t used, uint32_t *room, size_t n,
                     size_t size) {
    if (rules->status != RF_OK)
        return NULL;
    if (n > RF_RULES_MAX_EXPRS * 4u || used + n > RF_RULES_MAX_EXPRS * 4u) {
        fail(rules, RF_ERR_LIMIT, "the grammar is too large");
        return NULL;
    }
    if (used + n <= *room)
        return list;
    uint32_t more = *room ? *room : 64;
    while (more < used + n)
        more *= 2;
    void *grown = rf_realloc_array(list, more, size);
    if (!grown)
        fail(rules, RF_ERR_NO_MEMORY, "out of memory for a grammar");
    else
        *room = more;
    return grown;
}

rf_expr rf_rules_add(rf_rules *rules, expr_node node) {
    if (rules->n_nodes == RF_RULES_MAX_EXPRS)
        fail(rules, RF_ERR_LIMIT, "the grammar has too many parts");
    expr_node *nodes =
        reserve(rules, rules->nodes, rules->n_nodes, &rules->nodes_room, 1, sizeof *nodes);
    if (!nodes)
        return 0;
    rules->nodes = nodes;
    nodes[rules->n_nodes] = node;
    return rules->n_nodes++;
}

rf_expr rf_rules_empty(rf_rules *rules) {
    return rf_rules_add(rules, (expr_node){.kind = EXPR_EMPTY});
}

rf_expr rf_rules_never(rf_rules *rules) {
    return rf_rules_add(rules, (expr_node){.kind = EXPR_NEVER});
}

rf_expr rf_rules_text(rf_rules *rules, rf_str text) {
    if (text.len == 0)
        return rf_rules_empty(rules);
    char *bytes = reserve(rules, rules->bytes, rules->n_bytes, &rules->bytes_room, text.len, 1);
    if (!bytes)
        return 0;
    rules->bytes = bytes;
    memcpy(bytes + rules->n_bytes, text.ptr, text.len);
    rules->n_bytes += (uint32_t)text.len;
    return rf_rules_add(rules, (expr_node){.kind = EXPR_TEXT,
                                           .first = rules->n_bytes - (uint32_t)text.len,
                                           .n = (uint32_t)text.len});
}

rf_expr rf_rules_class(rf_rules *rules, const rf_char_range *given, size_t n) {
    if (n == 0)
        return rf_rules_never(rules);
    rf_char_range *ranges =
        reserve(rules, rules->ranges, rules->n_ranges, &rules->ranges_room, n, sizeof *ranges);
    if (!ranges)
        return 0;
    rules->ranges = ranges;
    if (n > 0)
        memcpy(ranges + rules->n_ranges, given, n * sizeof *ranges);
    rules->n_ranges += (uint32_t)n;
    return rf_rules_add(
        rules,
        (expr_node){.kind = EXPR_CLASS, .first = rules->n_ranges - (uint32_t)n, .n = (uint32_t)n});
}

static rf_expr add_list(rf_rules *rules, expr_kind kind, const rf_expr *exprs, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (exprs[i] == 0)
            return 0;
    rf_expr *items =
        reserve(rules, rules->items, rules->n_items, &rules->items_room, n, sizeof *items);
    if (!items)
        return 0;
    rules->items = items;
    memcpy(items + rules->n_items, exprs, n * sizeof *items);
    rules->n_items += (uint32_t)n;
    return rf_rules_add(rules, (expr_node){.kind = kind,
                                           .first = rules->n_items - (uint32_t)n,
                                           .n = (uint32_t)n,
                                           .least = 1,
                                           .most = 1});
}

rf_expr rf_rules_seq(rf_rules *rules, const rf_expr *exprs, size_t n) {
    if (n == 1)
        return exprs[0];
    return n == 0 ? rf_rules_empty(rules) : add_list(rules, EXPR_SEQ, exprs, n);
}

rf_expr rf_rules_any(rf_rules *rules, const rf_expr *exprs, size_t n) {
    if (n == 1)
        return exprs[0];
    return n == 0 ? rf_rules_never(rules) : add_list(rules, EXPR_ANY, exprs, n);
}

rf_expr rf_rules_repeat(rf_rules *rules, rf_expr expr, int32_t least, int32_t most) {
    if (least > RF_RULES_MAX_COUNT || most > RF_RULES_MAX_COUNT) {
        fail(rules, RF_ERR_LIMIT, "a repetition counts to more than 20,000");
        return 0;
    }
    rf_expr e = add_list(rules, EXPR_REPEAT, &expr, 1);
    if (e > 0) {
        rules->nodes[e].least = least;
        rules->nodes[e].most = most;
    }
    return e;
}

rf_rule rf_rules_declare(rf_rules *rules, rf_str name, bool stays) {
    if (rules->n_rules == RF_RULES_MAX_RULES)
        fail(rules, RF_ERR_LIMIT, "the grammar has more than 4,096 rules");
    rule_node *list =
        reserve(rules, rules->rules, rules->n_rules, &rules->rules_room, 1, sizeof *list);
    if (!list)
        return 0;
    rules->rules = list;
    rule_node *rule = &list[rules->n_rules];
    *rule = (rule_node){.stays = stays, .start = -1};
    (void)snprintf(rule->name, sizeof rule->name, "%.*s", (int)(name.len < 47 ? name.len : 47),
                   name.ptr);
    return rules->n_rules++;
}

void rf_rules_define(rf_rules *rules, rf_rule rule, rf_expr expr) {
    if (rule < rules->n_rules)
        rules->rules[rule].expr = expr;
}

rf_expr rf_rules_call(rf_rules *rules, rf_rule rule) {
    return rf_rules_add(rules, (expr_node){.kind = EXPR_CALL, .first = rule});
}
