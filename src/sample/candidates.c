#include "sample/candidates.h"

#include <math.h>

#include "base/alloc.h"

enum { BLOCK = 64, LANES = 8 };

rf_status rf_candidates_create(uint32_t n_vocab, rf_candidates **out, rf_error *err) {
    rf_candidates *cand = rf_calloc(1, sizeof *cand);
    if (!cand)
        return rf_fail(err, RF_ERR_NO_MEMORY, "sampling: out of memory");
    cand->n_vocab = n_vocab;
    cand->ids = rf_calloc(n_vocab, sizeof *cand->ids);
    cand->logits = rf_calloc(n_vocab, sizeof *cand->logits);
    cand->probs = rf_calloc(n_vocab, sizeof *cand->probs);
    cand->saved = rf_calloc(n_vocab, sizeof *cand->saved);
    cand->keys = rf_calloc(n_vocab, sizeof *cand->keys);
    cand->spare = rf_calloc(n_vocab, sizeof *cand->spare);
    cand->counts = rf_calloc(n_vocab, sizeof *cand->counts);
    if (!cand->ids || !cand->logits || !cand->probs || !cand->saved || !cand->keys ||
        !cand->spare || !cand->counts) {
        rf_candidates_destroy(cand);
        return rf_fail(err, RF_ERR_NO_MEMORY, "sampling: out of memory for %u tokens", n_vocab);
    }
    *out = cand;
    return RF_OK;
}

void rf_candidates_destroy(rf_candidates *cand) {
    if (!cand)
        return;
    rf_free(cand->ids);
    rf_free(cand->logits);
    rf_free(cand->probs);
    rf_free(cand->saved);
    rf_free(cand->keys);
    rf_free(cand->spare);
    rf_free(cand->counts);
    rf_free(cand);
}

/* Radix sort by bytes, lowest first; bytes that all keys share are skipped. */
void rf_keys_sort(uint64_t *keys, uint64_t *spare, uint32_t n) {
    uint64_t any = 0, all = ~(uint64_t)0;
    for (uint32_t i = 0; i < n; i++) {
        any |= keys[i];
        all &= keys[i];
    }
    uint64_t *from = keys, *to = spare;
    for (int shift = 0; shift < 64; shift += 8) {
        if (((any ^ all) >> shift & 255) == 0)
            continue;
        uint32_t start[256] = {0};
        for (uint32_t i = 0; i < n; i++)
            start[from[i] >> shift & 255]++;
        uint32_t at = 0;
        for (int b = 0; b < 256; b++) {
            uint32_t count = start[b];
            start[b] = at;
            at += count;
        }
        for (uint32_t i = 0; i < n; i++)
            to[start[from[i] >> shift & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, n * sizeof *keys);
}

static float block_max(const float *logits, uint32_t n) {
    float best[LANES];
    uint32_t i = 0;
    for (int j = 0; j < LANES; j++)
        best[j] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            best[j] = logits[i + (uint32_t)j] > best[j] ? logits[i + (uint32_t)j] : best[j];
    for (; i < n; i++)
        best[0] = logits[i] > best[0] ? logits[i] : best[0];
    for (int j = 1; j < LANES; j++)
        best[0] = best[j] > best[0] ? best[j] : best[0];
    return best[0];
}

static inline uint32_t name_of(const int32_t *ids, uint32_t i) {
    return ids ? (uint32_t)ids[i] : i;
}

/*
 * The k-th best of the block maxima bounds the k-th best logit from below, and only blocks whose
 * maximum reaches it can hold one of the k best: so one fast pass over all logits, then about k
 * blocks.
 */
uint32_t rf_rank(rf_candidates *cand, const float *logits, const int32_t *ids, uint32_t n,
                 uint32_t k) {
    uint32_t n_blocks = (n + BLOCK - 1) / BLOCK, m = 0;
    uint64_t *keys = cand->keys;
    if (k > n_blocks / 2) {
        for (uint32_t i = 0; i < n; i++)
            keys[i] = rf_key_make(logits[i], name_of(ids, i));
        m = n;
    } else {
        float *maxima = cand->probs; /* free: a rank outdates probabilities */
        for (uint32_t b = 0; b < n_blocks; b++) {
            uint32_t at = b * BLOCK, len = n - at < BLOCK ? n - at : BLOCK;
            maxima[b] = block_max(logits + at, len);
            keys[b] = rf_key_make(maxima[b], b);
        }
        rf_keys_sort(keys, cand->spare, n_blocks);
        float bound = rf_key_logit(keys[k - 1]);
        for (uint32_t b = 0; b < n_blocks; b++) {
            if (maxima[b] < bound)
                continue;
            uint32_t end = (b + 1) * BLOCK < n ? (b + 1) * BLOCK : n;
            for (uint32_t i = b * BLOCK; i < end; i++)
                if (logits[i] >= bound)
                    keys[m++] = rf_key_make(logits[i], name_of(ids, i));
        }
    }
    rf_keys_sort(keys, cand->spare, m);
    return m;
}

void rf_candidates_adopt(rf_candidates *cand, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        cand->ids[i] = (int32_t)(uint32_t)cand->keys[i];
        cand->logits[i] = rf_key_logit(cand->keys[i]);
    }
    cand->n = n;
    cand->dense = false;
    cand->ranked = true;
}

void rf_candidates_keep_best(rf_candidates *cand, uint32_t k) {
    if (cand->ranked) {
        cand->n = k < cand->n ? k : cand->n;
        return;
    }
    uint32_t m = rf_rank(cand, cand->logits, cand->dense ? NULL : cand->ids, cand->n, k);
    rf_candidates_adopt(cand, k < m ? k : m);
}

void rf_candidates_keep_from(rf_candidates *cand, float floor, uint32_t min_keep) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < cand->n; i++)
        n += cand->logits[i] >= floor;
    if (n < min_keep || n == 0) {
        rf_candidates_keep_best(cand, min_keep > 0 ? min_keep : 1);
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cand->n; i++)
        if (cand->logits[i] >= floor) {
            cand->ids[kept] = rf_candidate_id(cand, i);
            cand->logits[kept++] = cand->logits[i];
        }
    cand->n = kept;
    cand->dense = false;
}

float rf_candidates_max(const rf_candidates *cand) {
    return cand->ranked ? cand->logits[0] : block_max(cand->logits, cand->n);
}

static float exp_sum(const float *logits, uint32_t n, float max) {
    float lane[LANES] = {0};
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += rf_exp_negative(logits[i + (uint32_t)j] - max);
    for (; i < n; i++)
        lane[0] += rf_exp_negative(logits[i] - max);
    for (int j = 1; j < LANES; j++)
        lane[0] += lane[j];
    return lane[0];
}

double rf_log_sum_exp(const float *logits, uint32_t n, float max) {
    enum { CHUNK = 1024 }; /* short enough for floats to stay exact to 1e-6 */
    double sum = 0;
    for (uint32_t at = 0; at < n; at += CHUNK)
        sum += (double)exp_sum(logits + at, n - at < CHUNK ? n - at : CHUNK, max);
    return log(sum);
}

double rf_candidates_softmax(rf_candidates *cand) {
    float max = rf_candidates_max(cand);
    double log_sum = rf_log_sum_exp(cand->logits, cand->n, max);
    float scale = (float)exp(-log_sum);
    for (uint32_t i = 0; i < cand->n; i++)
        cand->probs[i] = rf_exp_negative(cand->logits[i] - max) * scale;
    return log_sum;
}

double rf_candidates_entropy(const rf_candidates *cand) {
    double entropy = 0;
    for (uint32_t i = 0; i < cand->n; i++)
        if (cand->probs[i] > 0)
            entropy -= (double)cand->probs[i] * log((double)cand->probs[i]);
    return entropy;
}
