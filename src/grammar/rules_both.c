/* Texts that fit two expressions: the product of their automata, which becomes an expression. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "grammar/rules_state.h"

enum { PRODUCT_MAX = RF_AUTOMATON_MAX_STATES, AUTOMATA_MAX = 256 };

/* All that is joined for one grammar: each of them is bounded already, many are by this. */
static const uint64_t BOTH_NS = UINT64_C(1500000000);

typedef struct pair {
    uint16_t a, b;
} pair;

typedef struct product {
    const rf_automaton *a, *b;
    uint8_t class_of[256];
    uint8_t byte_of[256]; /* a byte of each class */
    uint32_t n_classes;
    pair *pairs;    /* owned: [n]; 0: dead, 1: both at the start */
    uint16_t *next; /* owned: [PRODUCT_MAX][n_classes], as far as used */
    uint32_t n, room;
    rf_map known;
} product;

static rf_status no_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for an automaton");
}

/* Bytes that neither tells apart are one class. */
static void find_classes(product *p) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t c = 0;
        while (c < p->n_classes && (p->a->class_of[byte] != p->a->class_of[p->byte_of[c]] ||
                                    p->b->class_of[byte] != p->b->class_of[p->byte_of[c]]))
            c++;
        if (c == p->n_classes)
            p->byte_of[p->n_classes++] = (uint8_t)byte;
        p->class_of[byte] = (uint8_t)c;
    }
}

static rf_status find_pair(product *p, pair which, uint32_t *out, rf_error *err) {
    rf_str key = {(const char *)&which, sizeof which};
    if (rf_map_get(&p->known, key, out))
        return RF_OK;
    if (p->n == PRODUCT_MAX)
        return rf_fail(err, RF_ERR_LIMIT, "takes more than %d states together", PRODUCT_MAX);
    if (p->n == p->room) {
        uint32_t room = 2 * p->room;
        uint16_t *next = rf_realloc_array(p->next, (size_t)room * p->n_classes, sizeof *next);
        p->next = next ? next : p->next;
        if (!next)
            return no_memory(err);
        p->room = room;
    }
    p->pairs[p->n] = which;
    *out = p->n++;
    key.ptr = (const char *)&p->pairs[*out];
    return rf_map_put(&p->known, key, *out, NULL) ? RF_OK : no_memory(err);
}

static rf_status multiply(product *p, rf_error *err) {
    uint32_t to;
    p->room = 256;
    p->pairs = rf_calloc(PRODUCT_MAX, sizeof *p->pairs);
    p->next = rf_calloc((size_t)p->room * p->n_classes, sizeof *p->next);
    if (!p->pairs || !p->next)
        return no_memory(err);
    RF_TRY(find_pair(p, (pair){0, 0}, &to, err));
    RF_TRY(find_pair(p, (pair){RF_AUTOMATON_START, RF_AUTOMATON_START}, &to, err));
    for (uint32_t i = 0; i < p->n; i++)
        for (uint32_t c = 0; c < p->n_classes; c++) {
            pair at = p->pairs[i];
            uint32_t a = rf_automaton_step(p->a, at.a, p->byte_of[c]);
            uint32_t b = rf_automaton_step(p->b, at.b, p->byte_of[c]);
            bool dead = a == RF_AUTOMATON_DEAD || b == RF_AUTOMATON_DEAD;
            RF_TRY(find_pair(p, dead ? (pair){0, 0} : (pair){(uint16_t)a, (uint16_t)b}, &to, err));
            p->next[(size_t)i * p->n_classes + c] = (uint16_t)to;
        }
    return RF_OK;
}

static rf_status write_product(const product *p, rf_automaton **out, rf_error *err) {
    rf_automaton head = {.magic = RF_AUTOMATON_MAGIC,
                         .version = RF_AUTOMATON_VERSION,
                         .n_states = p->n,
                         .n_classes = p->n_classes};
    size_t n_bytes = rf_automaton_lay_out(&head);
    if (n_bytes == 0)
        return rf_fail(err, RF_ERR_LIMIT, "takes more than %d bytes together",
                       RF_AUTOMATON_MAX_BYTES);
    rf_automaton *a = rf_calloc(1, n_bytes);
    if (!a)
        return no_memory(err);
    *a = head;
    memcpy(a->class_of, p->class_of, sizeof a->class_of);
    memcpy(a + 1, p->next, (size_t)p->n * p->n_classes * sizeof *p->next);
    uint32_t *ends = (uint32_t *)(void *)((char *)a + a->ends_at);
    for (uint32_t i = 1; i < p->n; i++)
        if (rf_automaton_may_end(p->a, p->pairs[i].a) && rf_automaton_may_end(p->b, p->pairs[i].b))
            ends[i / 32] |= 1u << i % 32;
    *out = a;
    return RF_OK;
}

static rf_status intersect(const rf_automaton *a, const rf_automaton *b, rf_automaton **out,
                           rf_error *err) {
    product p = {.a = a, .b = b};
    *out = NULL;
    if (a->n_calls > 0 || b->n_calls > 0)
        return rf_fail(err, RF_ERR_LIMIT, "is too large to be joined");
    find_classes(&p);
    rf_map_init(&p.known);
    rf_status status = multiply(&p, err);
    if (status == RF_OK)
        status = write_product(&p, out, err);
    rf_map_deinit(&p.known);
    rf_free(p.pairs);
    rf_free(p.next);
    return status;
}

rf_status rf_rules_both(rf_rules *rules, rf_expr a, rf_expr b, rf_expr *out, rf_error *err) {
    rf_automaton *x = NULL, *y = NULL, *joined = NULL;
    uint64_t from = rf_clock_ns();
    if (rules->both_ns > BOTH_NS)
        return rf_fail(err, RF_ERR_LIMIT, "takes too long to be joined, with others before it");
    rf_status status = rf_rules_compile(rules, a, false, &x, err);
    if (status == RF_OK)
        status = rf_rules_compile(rules, b, false, &y, err);
    if (status == RF_OK)
        status = intersect(x, y, &joined, err);
    rf_free(x);
    rf_free(y);
    rules->both_ns += rf_clock_ns() - from;
    *out = status == RF_OK ? rf_rules_automaton(rules, joined) : 0;
    return status;
}

rf_expr rf_rules_automaton(rf_rules *rules, rf_automaton *automaton) {
    rf_automaton **list = NULL;
    if (automaton && rules->n_automata < AUTOMATA_MAX)
        list = rf_realloc_array(rules->automata, rules->n_automata + 1u, sizeof *list);
    if (!list) {
        if (rules->status == RF_OK)
            rules->status =
                rf_fail(&rules->err, RF_ERR_LIMIT, "more than %d joined automata", AUTOMATA_MAX);
        rf_free(automaton);
        return 0;
    }
    rules->automata = list;
    list[rules->n_automata] = automaton;
    return rf_rules_add(rules, (expr_node){.kind = EXPR_AUTOMATON, .first = rules->n_automata++});
}
