#include "tokenizer/unigram.h"

#include <float.h>

#include "base/alloc.h"
#include "tokenizer/char_class.h"

enum { MAX_PIECE_BYTES = 512 }; /* longer tokens are never produced; real ones have 16 characters */

struct rf_lattice_node {
    double score;
    uint32_t from; /* byte where the token that ends here begins */
    int32_t id;
};

void rf_lattice_deinit(rf_lattice *lattice) {
    rf_free(lattice->nodes);
    *lattice = (rf_lattice){0};
}

rf_status rf_unigram_load(rf_unigram *unigram, const rf_vocab *vocab, rf_error *err) {
    const unsigned types = RF_TOKEN_TYPE_BIT(RF_TOKEN_NORMAL) |
                           RF_TOKEN_TYPE_BIT(RF_TOKEN_USER_DEFINED) |
                           RF_TOKEN_TYPE_BIT(RF_TOKEN_UNUSED);
    unigram->vocab = vocab;
    if (vocab->roles.unk < 0)
        return rf_fail(err, RF_ERR_INVALID,
                       "key tokenizer.ggml.unknown_token_id: found none, expected the token for "
                       "unknown text");
    float lowest = FLT_MAX;
    for (uint32_t id = 0; id < vocab->n; id++)
        if (vocab->type[id] == RF_TOKEN_NORMAL && vocab->score[id] < lowest)
            lowest = vocab->score[id];
    unigram->unknown_score = (double)lowest - 10.0; /* sentencepiece's kUnkPenalty */
    if (!rf_lexicon_build(&unigram->lexicon, vocab, types, MAX_PIECE_BYTES))
        return rf_fail(err, RF_ERR_NO_MEMORY, "tokenizer: no memory for the lexicon");
    return RF_OK;
}

void rf_unigram_deinit(rf_unigram *unigram) { rf_lexicon_deinit(&unigram->lexicon); }

static void improve(struct rf_lattice_node *node, double score, size_t from, int32_t id) {
    if (score > node->score)
        *node = (struct rf_lattice_node){score, (uint32_t)from, id};
}

/* Extends the best way to byte at by every token that begins there. */
static void extend(const rf_unigram *unigram, rf_str text, size_t at,
                   struct rf_lattice_node *nodes) {
    const rf_vocab *vocab = unigram->vocab;
    size_t n_char = rf_char_length(text.ptr[at]);
    double base = nodes[at].score;
    bool char_found = false;
    rf_lexicon_walk walk = rf_lexicon_start(&unigram->lexicon, text.ptr[at]);
    while (walk.lo < walk.hi) {
        int32_t id = rf_lexicon_exact(&unigram->lexicon, &walk);
        if (id >= 0) {
            bool defined = vocab->type[id] == RF_TOKEN_USER_DEFINED;
            improve(&nodes[at + walk.depth], base + (defined ? 0.0 : (double)vocab->score[id]), at,
                    id);
            char_found = char_found || walk.depth == n_char;
        }
        if (at + walk.depth >= text.len ||
            !rf_lexicon_step(&unigram->lexicon, &walk, text.ptr[at + walk.depth]))
            break;
    }
    if (!char_found)
        improve(&nodes[at + n_char], base + unigram->unknown_score, at, vocab->roles.unk);
}

bool rf_unigram_encode(const rf_unigram *unigram, rf_str text, rf_lattice *lattice,
                       rf_tokens *out) {
    if (text.len == 0)
        return true;
    if (lattice->cap <= text.len) {
        struct rf_lattice_node *nodes =
            rf_realloc_array(lattice->nodes, text.len + 1, sizeof *nodes);
        if (!nodes)
            return false;
        lattice->nodes = nodes;
        lattice->cap = text.len + 1;
    }
    struct rf_lattice_node *nodes = lattice->nodes;
    for (size_t i = 1; i <= text.len; i++)
        nodes[i].score = -DBL_MAX;
    nodes[0] = (struct rf_lattice_node){0};
    for (size_t at = 0; at < text.len; at += rf_char_length(text.ptr[at]))
        extend(unigram, text, at, nodes);
    size_t first = out->n;
    int32_t after = -1; /* runs of unknown characters are one token */
    for (size_t at = text.len; at > 0; at = nodes[at].from) {
        if (!(nodes[at].id == unigram->vocab->roles.unk && after == nodes[at].id) &&
            !rf_tokens_push(out, nodes[at].id))
            return false;
        after = nodes[at].id;
    }
    for (size_t i = first, k = out->n; i + 1 < k; i++) {
        int32_t id = out->ids[i];
        out->ids[i] = out->ids[--k];
        out->ids[k] = id;
    }
    return true;
}
