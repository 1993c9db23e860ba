#include "tokenizer/pretokenizer.h"

#define BOS   RF_PRETOKENIZER_BOS
#define WHOLE RF_PRETOKENIZER_WHOLE
#define NFC   RF_PRETOKENIZER_NFC
#define RAW   RF_PRETOKENIZER_RAW

/* RULES(a, b, …) is rf_split_a, rf_split_b, … */
#define RULE(name)                          rf_split_##name
#define RULES_1(a)                          RULE(a)
#define RULES_2(a, b)                       RULE(a), RULE(b)
#define RULES_3(a, b, c)                    RULES_2(a, b), RULE(c)
#define RULES_4(a, b, c, d)                 RULES_3(a, b, c), RULE(d)
#define RULES_5(a, b, c, d, e)              RULES_4(a, b, c, d), RULE(e)
#define RULES_6(a, b, c, d, e, f)           RULES_5(a, b, c, d, e), RULE(f)
#define PICK(a, b, c, d, e, f, chosen, ...) chosen
#define RULES(...) \
    PICK(__VA_ARGS__, RULES_6, RULES_5, RULES_4, RULES_3, RULES_2, RULES_1, )(__VA_ARGS__)

static const rf_pretokenizer table[] = {
#define X(name, flags, ...) {name, flags, {RULES(__VA_ARGS__)}},
#include "tokenizer/pretokenizers.def"
#undef X
};

const rf_pretokenizer *rf_pretokenizer_at(size_t i) {
    return i < sizeof table / sizeof *table ? &table[i] : NULL;
}

const rf_pretokenizer *rf_pretokenizer_fallback(void) { return &table[0]; }

const rf_pretokenizer *rf_pretokenizer_find(rf_str name) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (rf_str_is(name, table[i].name))
            return &table[i];
    return NULL;
}

rf_word_walk rf_word_walk_begin(const rf_pretokenizer *pre, rf_str text) {
    rf_word_walk walk = {.pre = pre, .text = text.ptr};
    while (pre->rules[walk.n_rules])
        walk.n_rules++;
    walk.end[0] = text.len;
    return walk;
}

/* end[k] ends the piece that rule k splits; end[n_rules] ends the current word. */
bool rf_word_walk_next(rf_word_walk *walk, rf_str *word) {
    size_t k = walk->n_rules, at = walk->at;
    while (k > 0 && walk->end[k] <= at)
        k--;
    if (walk->end[k] <= at)
        return false;
    for (; k < walk->n_rules; k++) {
        rf_match *found = &walk->found[k];
        if (found->end <= at)
            *found = walk->pre->rules[k](walk->text, at, walk->end[k]);
        walk->end[k + 1] = found->start > at ? found->start : found->end;
        walk->found[k + 1].end = 0;
    }
    *word = (rf_str){walk->text + at, walk->end[k] - at};
    walk->at = walk->end[k];
    return true;
}
