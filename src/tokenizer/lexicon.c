#include "tokenizer/lexicon.h"

#include "base/alloc.h"

/* Byte d of the text, or -1 past its end. */
static int byte_at(const rf_vocab *vocab, uint32_t id, size_t d) {
    rf_str text = rf_vocab_text(vocab, id);
    return d < text.len ? (unsigned char)text.ptr[d] : -1;
}

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

/* Order of two texts that agree in their first d bytes. */
static bool before(const rf_vocab *vocab, uint32_t a, uint32_t b, size_t d) {
    rf_str x = rf_vocab_text(vocab, a), y = rf_vocab_text(vocab, b);
    size_t n = (x.len < y.len ? x.len : y.len) - d;
    int order = n > 0 ? memcmp(x.ptr + d, y.ptr + d, n) : 0;
    if (order == 0)
        return x.len != y.len ? x.len < y.len : a < b;
    return order < 0;
}

static void insertion_sort(const rf_vocab *vocab, uint32_t *ids, size_t n, size_t d) {
    for (size_t i = 1; i < n; i++) {
        uint32_t id = ids[i];
        size_t k = i;
        for (; k > 0 && before(vocab, id, ids[k - 1], d); k--)
            ids[k] = ids[k - 1];
        ids[k] = id;
    }
}

typedef struct sort_range {
    uint32_t *ids;
    size_t n, depth;
} sort_range;

/* Multikey quicksort (Bentley and Sedgewick, SODA 1997) with its own stack. The largest of the
 * three parts is left for last, so that the stack stays logarithmic. */
static void sort_ids(const rf_vocab *vocab, uint32_t *ids, uint32_t n_ids) {
    enum { SMALL = 12, STACK = 3 * RF_VOCAB_ID_BITS };
    sort_range stack[STACK];
    size_t top = 0;
    uint64_t random = vocab->seed | 1;
    stack[top++] = (sort_range){ids, n_ids, 0};
    while (top > 0) {
        sort_range r = stack[--top];
        if (r.n <= SMALL) {
            insertion_sort(vocab, r.ids, r.n, r.depth);
            continue;
        }
        random = random * 6364136223846793005u + 1442695040888963407u;
        int pivot = byte_at(vocab, r.ids[(random >> 33) % r.n], r.depth);
        size_t lt = 0, gt = r.n;
        for (size_t i = 0; i < gt;) {
            int c = byte_at(vocab, r.ids[i], r.depth);
            if (c < pivot)
                swap(&r.ids[lt++], &r.ids[i++]);
            else if (c > pivot)
                swap(&r.ids[i], &r.ids[--gt]);
            else
                i++;
        }
        sort_range part[3] = {{r.ids, lt, r.depth},
                              {r.ids + lt, gt - lt, r.depth + 1},
                              {r.ids + gt, r.n - gt, r.depth}};
        if (pivot < 0) { /* equal texts: in order of id */
            part[1].depth = r.depth;
            for (size_t i = lt + 1; i < gt; i++) /* keeps the lowest first, which is enough */
                if (r.ids[i] < r.ids[lt])
                    swap(&r.ids[i], &r.ids[lt]);
            part[1].n = 0;
        }
        for (size_t k = 1; k < 3; k++)
            for (size_t j = k; j > 0 && part[j].n > part[j - 1].n; j--) {
                sort_range t = part[j];
                part[j] = part[j - 1];
                part[j - 1] = t;
            }
        for (size_t k = 0; k < 3; k++)
            if (part[k].n > 1)
                stack[top++] = part[k];
    }
}

bool rf_lexicon_build(rf_lexicon *lexicon, const rf_vocab *vocab, unsigned types,
                      size_t max_bytes) {
    *lexicon = (rf_lexicon){.vocab = vocab};
    uint32_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        uint32_t k = 0;
        for (uint32_t id = 0; id < vocab->n; id++) {
            rf_str text = rf_vocab_text(vocab, id);
            if (!rf_vocab_is(vocab, id, types) || text.len == 0 || text.len > max_bytes)
                continue;
            if (pass > 0)
                lexicon->ids[k] = id;
            k++;
        }
        n = k;
        if (pass == 0 && !(lexicon->ids = rf_calloc((size_t)n + 1, sizeof *lexicon->ids)))
            return false;
    }
    sort_ids(vocab, lexicon->ids, n);
    uint32_t i = 0;
    for (int b = 0; b < 256; b++) {
        while (i < n && byte_at(vocab, lexicon->ids[i], 0) < b)
            i++;
        lexicon->first[b] = i;
    }
    lexicon->first[256] = n;
    return true;
}

void rf_lexicon_deinit(rf_lexicon *lexicon) {
    rf_free(lexicon->ids);
    *lexicon = (rf_lexicon){0};
}

/* The first of ids[lo … hi) whose byte d is at least c. */
static uint32_t lower_bound(const rf_lexicon *lexicon, uint32_t lo, uint32_t hi, size_t d, int c) {
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (byte_at(lexicon->vocab, lexicon->ids[mid], d) < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool rf_lexicon_step(const rf_lexicon *lexicon, rf_lexicon_walk *walk, char c) {
    int b = (unsigned char)c;
    walk->lo = lower_bound(lexicon, walk->lo, walk->hi, walk->depth, b);
    walk->hi = lower_bound(lexicon, walk->lo, walk->hi, walk->depth, b + 1);
    walk->depth++;
    return walk->lo < walk->hi;
}

int32_t rf_lexicon_exact(const rf_lexicon *lexicon, const rf_lexicon_walk *walk) {
    if (walk->lo >= walk->hi)
        return -1;
    uint32_t id = lexicon->ids[walk->lo];
    return rf_vocab_text(lexicon->vocab, id).len == walk->depth ? (int32_t)id : -1;
}
