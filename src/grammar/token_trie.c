#include "grammar/token_trie.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { MAX_TOKEN_BYTES = 1 << 15 };

/* A token and its bytes, for sorting. */
typedef struct item {
    const char *ptr;
    uint32_t len;
    int32_t token;
} item;

static int by_bytes(const void *a, const void *b) {
    const item *x = a, *y = b;
    int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
    if (order != 0)
        return order;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static uint32_t common(const item *a, const item *b) {
    uint32_t n = 0;
    while (n < a->len && n < b->len && a->ptr[n] == b->ptr[n])
        n++;
    return n;
}

static uint32_t collect(const rf_token_trie *trie, item *items) {
    uint32_t n = 0;
    for (uint32_t id = 0; id < trie->n_tokens; id++) {
        uint32_t len = trie->offsets[id + 1] - trie->offsets[id];
        if (len > 0 && len <= MAX_TOKEN_BYTES)
            items[n++] = (item){trie->text + trie->offsets[id], len, (int32_t)id};
    }
    qsort(items, n, sizeof *items, by_bytes);
    return n;
}

static uint32_t count_nodes(const item *items, uint32_t n) {
    uint32_t n_nodes = 0;
    for (uint32_t i = 0; i < n; i++)
        n_nodes += items[i].len - (i > 0 ? common(&items[i - 1], &items[i]) : 0);
    return n_nodes;
}

/* path: [max_depth + 1], the open node at each depth. */
static void lay_out(rf_token_trie *trie, const item *items, uint32_t n, uint32_t *path) {
    uint32_t at = 0, depth = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t shared = i > 0 ? common(&items[i - 1], &items[i]) : 0;
        while (depth > shared)
            trie->ends[path[--depth]] = at;
        while (depth < items[i].len) {
            path[depth] = at;
            trie->bytes[at] = (uint8_t)items[i].ptr[depth];
            trie->depths[at] = (uint16_t)depth++;
            trie->firsts[at++] = i;
        }
        trie->tokens[i] = items[i].token;
        trie->firsts[at] = i + 1; /* those of the next node begin behind it */
    }
    while (depth > 0)
        trie->ends[path[--depth]] = at;
    trie->firsts[at] = n;
}

static bool copy_text(rf_token_trie *trie, const rf_token_bytes *vocab) {
    uint32_t n = vocab->n_tokens;
    trie->n_tokens = n;
    trie->offsets = rf_calloc((size_t)n + 1, sizeof *trie->offsets);
    trie->text = rf_alloc((size_t)vocab->offsets[n] + 1);
    if (!trie->offsets || !trie->text)
        return false;
    memcpy(trie->offsets, vocab->offsets, ((size_t)n + 1) * sizeof *trie->offsets);
    memcpy(trie->text, vocab->bytes, vocab->offsets[n]);
    return true;
}

static bool build(rf_token_trie *trie, item *items) {
    uint32_t n = collect(trie, items);
    for (uint32_t i = 0; i < n; i++)
        trie->max_depth = items[i].len > trie->max_depth ? items[i].len : trie->max_depth;
    size_t n_nodes = trie->n_nodes = count_nodes(items, n);
    uint32_t *path = rf_calloc((size_t)trie->max_depth + 1, sizeof *path);
    trie->bytes = rf_calloc(n_nodes + 1, sizeof *trie->bytes);
    trie->depths = rf_calloc(n_nodes + 1, sizeof *trie->depths);
    trie->ends = rf_calloc(n_nodes + 1, sizeof *trie->ends);
    trie->firsts = rf_calloc(n_nodes + 1, sizeof *trie->firsts);
    trie->tokens = rf_calloc((size_t)n + 1, sizeof *trie->tokens);
    bool ok = path && trie->bytes && trie->depths && trie->ends && trie->firsts && trie->tokens;
    if (ok)
        lay_out(trie, items, n, path);
    rf_free(path);
    return ok;
}

rf_status rf_token_trie_create(const rf_token_bytes *vocab, rf_token_trie **out, rf_error *err) {
    rf_token_trie *trie = rf_calloc(1, sizeof *trie);
    item *items = rf_calloc((size_t)vocab->n_tokens + 1, sizeof *items);
    bool ok = trie && items && copy_text(trie, vocab) && build(trie, items);
    rf_free(items);
    *out = ok ? trie : NULL;
    if (ok)
        return RF_OK;
    rf_token_trie_destroy(trie);
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the bytes of %u tokens",
                   vocab->n_tokens);
}

void rf_token_trie_destroy(rf_token_trie *trie) {
    if (!trie)
        return;
    rf_free(trie->bytes);
    rf_free(trie->depths);
    rf_free(trie->ends);
    rf_free(trie->firsts);
    rf_free(trie->tokens);
    rf_free(trie->offsets);
    rf_free(trie->text);
    rf_free(trie);
}
