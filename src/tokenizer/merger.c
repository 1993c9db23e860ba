#include "tokenizer/merger.h"

#include <string.h>

#include "base/alloc.h"

enum { SCAN_MAX = 40 }; /* symbols up to which looking at all pairs beats a heap */

void rf_merger_deinit(rf_merger *merger) {
    rf_free(merger->symbols);
    rf_free(merger->heap);
    *merger = (rf_merger){0};
}

bool rf_merger_reserve(rf_merger *merger, size_t n) {
    if (n <= merger->cap)
        return true;
    size_t cap = n + n / 2 + 64;
    rf_symbol *symbols = rf_realloc_array(merger->symbols, cap, sizeof *symbols);
    if (!symbols)
        return false;
    merger->symbols = symbols;
    merger->cap = cap;
    return true;
}

static void run_scan(rf_merger *merger, const char *text, rf_pair_rule rule, const void *model) {
    rf_symbol *s = merger->symbols;
    size_t n = merger->n;
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (s[i].order < s[best].order)
                best = i;
        if (s[best].order == RF_MERGE_NONE)
            break;
        s[best].len += s[best + 1].len;
        s[best].id = s[best].merged_id;
        n--;
        memmove(&s[best + 1], &s[best + 2], (n - best - 1) * sizeof *s);
        if (best > 0)
            rule(model, text, &s[best - 1], &s[best]);
        if (best + 1 < n)
            rule(model, text, &s[best], &s[best + 1]);
        else
            s[best].order = RF_MERGE_NONE;
        if (n < 2)
            break;
    }
    merger->n = n;
}

static void push(rf_merger *merger, uint64_t entry) {
    uint64_t *heap = merger->heap;
    size_t i = merger->n_heap++;
    for (; i > 0 && heap[(i - 1) / 2] > entry; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = entry;
}

static uint64_t pop(rf_merger *merger) {
    uint64_t *heap = merger->heap, top = heap[0];
    size_t n = --merger->n_heap, i = 0;
    uint64_t last = heap[n];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

static void push_pair(rf_merger *merger, uint32_t i) {
    if (merger->symbols[i].order != RF_MERGE_NONE)
        push(merger, (uint64_t)merger->symbols[i].order << 32 | i);
}

/* Symbol i swallows the one after it; the pairs on both sides are ranked again. */
static void merge_at(rf_merger *merger, uint32_t i, const char *text, rf_pair_rule rule,
                     const void *model) {
    rf_symbol *s = merger->symbols, *left = &s[i], *right = &s[left->next];
    left->len += right->len;
    left->id = left->merged_id;
    left->next = right->next;
    left->order = RF_MERGE_NONE;
    right->len = 0;
    right->order = RF_MERGE_NONE;
    if (left->next != UINT32_MAX) {
        s[left->next].prev = i;
        rule(model, text, left, &s[left->next]);
        push_pair(merger, i);
    }
    if (left->prev != UINT32_MAX) {
        rule(model, text, &s[left->prev], left);
        push_pair(merger, left->prev);
    }
}

static void run_heap(rf_merger *merger, const char *text, rf_pair_rule rule, const void *model) {
    rf_symbol *s = merger->symbols;
    uint32_t n = (uint32_t)merger->n;
    merger->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        s[i].prev = i > 0 ? i - 1 : UINT32_MAX;
        s[i].next = i + 1 < n ? i + 1 : UINT32_MAX;
        push_pair(merger, i);
    }
    while (merger->n_heap > 0) {
        uint64_t entry = pop(merger);
        uint32_t i = (uint32_t)entry;
        if (s[i].order == (uint32_t)(entry >> 32)) /* else the pair has changed since */
            merge_at(merger, i, text, rule, model);
    }
    merger->n = 0;
    for (uint32_t i = 0; i != UINT32_MAX; i = s[i].next)
        s[merger->n++] = s[i];
}

bool rf_merger_run(rf_merger *merger, const char *text, rf_pair_rule rule, const void *model) {
    rf_symbol *s = merger->symbols;
    size_t n = merger->n;
    if (n < 2)
        return true;
    for (size_t i = 0; i + 1 < n; i++)
        rule(model, text, &s[i], &s[i + 1]);
    s[n - 1].order = RF_MERGE_NONE;
    if (n <= SCAN_MAX) {
        run_scan(merger, text, rule, model);
        return true;
    }
    /* n - 1 pairs at first, and each of at most n - 1 merges takes one entry and adds two. */
    if (merger->heap_cap < 2 * n) {
        uint64_t *heap = rf_realloc_array(merger->heap, 2 * n, sizeof *heap);
        if (!heap)
            return false;
        merger->heap = heap;
        merger->heap_cap = 2 * n;
    }
    run_heap(merger, text, rule, model);
    return true;
}
