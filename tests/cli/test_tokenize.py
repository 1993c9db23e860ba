import json

import pytest

from conftest import GOLDEN, fails, ok, run


@pytest.mark.parametrize("name", ["smollm2", "llama-spm"])
def test_golden_vectors(vocab, name):
    cases = [json.loads(line) for line in open(GOLDEN / "vocab" / f"{name}.jsonl", encoding="utf-8")]
    cases = [c for c in cases if "needs" not in c]
    asked = "".join(json.dumps({k: c[k] for k in (("text", "parse_special", "add_special") if "text" in c else ("ids",))})
                    + "\n" for c in cases)
    answers = [json.loads(line) for line in ok("tokenize", "-m", vocab(name), "--jsonl", input=asked).out.splitlines()]
    assert len(answers) == len(cases)
    for case, answer in zip(cases, answers):
        if "text" in case:
            assert answer == {"ids": case["ids"]}, case
        elif "decoded" in case:
            assert answer == {"text": case["decoded"]}, case
        else:
            assert answer["decoded_bytes_hex"] == case["decoded_bytes_hex"], case


def test_jsonl_goes_on_after_an_error(tiny):
    lines = ['{"text": "a"}', "nonsense", '{"ids": [99999]}', '{"ids": [-1]}', '{"ids": "a"}', "[]", '{"text": 3}', "",
             '{"text": "a", "add_special": 1}', '{"text": "a"}']
    done = fails(1, "tokenize", "-m", tiny, "--jsonl", input="\n".join(lines), says="8 of 10 lines")
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [("error" in a) for a in answers] == [False] + [True] * 8 + [False]
    assert "99999" in answers[2]["error"] and answers[0] == answers[9]


def test_pieces_and_decode(vocab):
    path = vocab("smollm2")
    assert ok("tokenize", "-m", path, "-p", "Hello world").out == '  19556  "Hello"\n    905  " world"\n'
    assert json.loads(ok("tokenize", "-m", path, "Hello world", "--json").out) == {"ids": [19556, 905]}
    assert ok("tokenize", "-m", path, "--decode", "--ids", "19556, 905").out == "Hello world\n"
    assert ok("tokenize", "-m", path, "--decode", input="19556,905\n").out == "Hello world\n"
    assert ok("tokenize", "-m", path, input="Hello world\n").out.count("\n") == 2


def test_special_tokens(vocab):
    path = vocab("llama-spm")
    ids = [json.loads(ok("tokenize", "-m", path, "-p", "</s>x", "--json", *flags).out)["ids"]
           for flags in ([], ["--no-add-special"], ["--no-parse-special"])]
    assert ids[0][:2] == [1, 2] and ids[1][0] == 2 and ids[2][0] == 1 and 2 not in ids[2]


def test_bad_input(tiny, tmp_path):
    fails(2, "tokenize", says="found no model")
    fails(2, "tokenize", "-m", tiny, "--decode", "--ids", "1,,2", says=["--ids", 'found ""', "item 2"])
    fails(2, "tokenize", "-m", tiny, "--decode", "--ids", "1,2147483648", says="2147483648")
    fails(1, "tokenize", "-m", tiny, "--decode", "--ids", "320", says="320")
    fails(1, "tokenize", "-m", tiny, input=b"ab\xff", says=["0xff", "offset 2", "UTF-8"])
    fails(2, "tokenize", "-m", tiny, input=b"", says="empty")
    fails(2, "tokenize", "-m", tiny, "-p", "a", "-f", tmp_path / "x", says="several prompts")
    fails(1, "tokenize", "-m", tiny, "-f", tmp_path / "x", says="No such file")


def test_a_long_word_is_fast(vocab):
    done = run("tokenize", "-m", vocab("smollm2"), "--json", input="a" * 1_000_000, timeout=20)
    assert done.status == 0 and len(json.loads(done.out)["ids"]) > 1000
