/* Forced calls with vocabularies in which markers are tokens: the constraint takes those tokens,
 * never their letters, and no other constraint takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "gguf/gguf.h"
#include "grammar/constraint.h"
#include "tests/lib/golden.h"
#include "text/answer_constraint.h"
#include "text/vocab_bytes.h"

typedef struct bench {
    golden_file file;
    rf_gguf *gguf;
    rf_tokenizer *tokenizer;
    rf_vocab_bytes vocab;
    rf_token_trie *trie;
} bench;

static void open_bench(bench *b, const char *vocab) {
    rf_error err = {0};
    b->file = golden_vocab(vocab);
    assert_int_equal(rf_gguf_open_memory(b->file.bytes, b->file.n, &b->gguf, &err), RF_OK);
    assert_int_equal(rf_tokenizer_create(b->gguf, &b->tokenizer, &err), RF_OK);
    uint32_t n = rf_tokenizer_n_tokens(b->tokenizer);
    assert_int_equal(rf_vocab_bytes_init(&b->vocab, b->tokenizer, n, &err), RF_OK);
    assert_int_equal(rf_token_trie_create(&b->vocab.view, &b->trie, &err), RF_OK);
}

static void close_bench(bench *b) {
    rf_token_trie_destroy(b->trie);
    rf_vocab_bytes_deinit(&b->vocab);
    rf_tokenizer_destroy(b->tokenizer);
    rf_gguf_close(b->gguf);
    golden_free(&b->file);
}

static rf_constraint *constrain(const bench *b, const rf_answer_spec *spec) {
    rf_automaton *a = NULL;
    rf_constraint *c = NULL;
    rf_error err = {0};
    if (rf_answer_constraint_compile(spec, b->tokenizer, true, &a, &err) != RF_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rf_constraint_create(a, a->n_bytes, b->trie, 1 << 20, &c, &err), RF_OK);
    rf_free(a);
    return c;
}

static bool allows(rf_constraint *c, uint32_t state, int32_t id) {
    uint32_t n_allowed;
    const uint32_t *mask = rf_constraint_mask(c, state, &n_allowed);
    assert_non_null(mask);
    return (mask[id / 32] >> id % 32 & 1) != 0;
}

/* Is the text, cut into these tokens, what the constraint allows? */
static bool takes(const bench *b, rf_constraint *c, const char *text, bool parse_special) {
    rf_tokens ids = {0};
    rf_error err = {0};
    const rf_encode_options options = {.parse_special = parse_special};
    assert_int_equal(rf_tokenizer_encode(b->tokenizer, rf_str_of(text), options, &ids, &err),
                     RF_OK);
    uint32_t state = rf_constraint_begin(c);
    bool ok = true;
    for (size_t i = 0; i < ids.n && ok; i++)
        ok = allows(c, state, ids.ids[i]) && rf_constraint_accept(c, &state, ids.ids[i]);
    rf_tokens_deinit(&ids);
    return ok && rf_constraint_may_end(c, state);
}

static const struct {
    const char *vocab, *syntax, *text;
} cases[] = {
    {"gptoss", "gpt-oss",
     "<|channel|>analysis<|message|>Rome.<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.weather <|constrain|>json<|message|>{\"town\": \"Rome\"}"},
    {"gptoss", "gpt-oss",
     "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{\"town\": \"Rome\"}"},
    {"deepseek_v3", "deepseek-v3.1",
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"town\": \"Rome\"}"
     "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"},
    {"deepseek_v3", "deepseek",
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"
     "{\"town\": \"Rome\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"},
};

static void test_markers_are_tokens(void **state) {
    (void)state;
    json_t *tools = json_loads("[{\"function\": {\"name\": \"weather\", \"parameters\": {\"type\": "
                               "\"object\", \"properties\": {\"town\": {\"type\": \"string\"}}, "
                               "\"required\": [\"town\"]}}}]",
                               0, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        open_bench(&b, cases[i].vocab);
        rf_answer_spec spec = {.calls = rf_call_syntax_named(cases[i].syntax), .tools = tools};
        rf_constraint *c = constrain(&b, &spec);
        if (!takes(&b, c, cases[i].text, true))
            fail_msg("%s: its own call is refused", cases[i].syntax);
        if (takes(&b, c, cases[i].text, false))
            fail_msg("%s: markers may be spelt", cases[i].syntax);
        rf_constraint_destroy(c);
        close_bench(&b);
    }
    json_decref(tools);
}

/* A name or a text that looks like a control token is spelt, as ever. */
static void test_texts_are_spelt(void **state) {
    (void)state;
    static const char *const texts[] = {"<|channel|>"};
    bench b;
    open_bench(&b, "gptoss");
    rf_answer_spec spec = {.choices = texts, .n_choices = 1};
    rf_constraint *c = constrain(&b, &spec);
    assert_true(takes(&b, c, texts[0], false));
    assert_false(takes(&b, c, texts[0], true));
    rf_constraint_destroy(c);
    close_bench(&b);
}

/* What allows every text allows no control token, and no byte that only they have. */
static void test_no_text_is_a_control_token(void **state) {
    (void)state;
    static const char *const vocabs[] = {"gptoss", "llama-spm", "mistral"};
    for (size_t v = 0; v < 3; v++) {
        bench b;
        open_bench(&b, vocabs[v]);
        rf_answer_spec spec = {.pattern = "[^\\x00]*"};
        rf_constraint *c = constrain(&b, &spec);
        uint32_t at = rf_constraint_begin(c), n_control = 0;
        for (uint32_t id = 0; id < b.trie->n_tokens; id++) {
            uint32_t from = b.trie->offsets[id], n = b.trie->offsets[id + 1] - from;
            bool marked = n > 0 && memchr(b.trie->text + from, 0xff, n);
            bool control = rf_tokenizer_type(b.tokenizer, (int32_t)id) == RF_TOKEN_CONTROL &&
                           !rf_tokenizer_is_eog(b.tokenizer, (int32_t)id);
            assert_int_equal(marked, control);
            n_control += control;
            assert_false(marked && allows(c, at, (int32_t)id));
        }
        assert_true(n_control > 0);
        rf_constraint_destroy(c);
        close_bench(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_markers_are_tokens),
                                       cmocka_unit_test(test_texts_are_spelt),
                                       cmocka_unit_test(test_no_text_is_a_control_token)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
