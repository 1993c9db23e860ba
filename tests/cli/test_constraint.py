"""Answers that must be of a form, on a tiny model that would never write it and on the real one."""
import json
import re

import pytest

from conftest import fails, ok

PATTERNS = ["[0-9]{3}-[0-9]{4}", "(yes|no)!?", '"([a-z ]|é)*"', "[A-Z][a-z]{2,5}( [a-z]+){0,3}\\.", "x{0,3}"]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("extra", [["--temp", "0"], ["--temp", "1.5", "-s", "7"], ["--lookup", "-s", "3"]])
def test_regex(tiny, pattern, extra):
    for seed in ("1", "2"):
        got = json.loads(ok("generate", "-m", tiny, "--raw", "-p", "ab", "-n", "60", "--regex", pattern, "--json",
                            *extra, *([] if "-s" in extra else ["-s", seed])).out)
        if got["finish_reason"] == "stop":
            assert re.fullmatch(pattern, got["text"])
        else:
            assert got["finish_reason"] == "length" and "*" in pattern


def test_choices(tiny):
    seen = set()
    for seed in range(12):
        done = ok("generate", "-m", tiny, "--raw", "-p", "ab", "-s", str(seed), "--samplers", "temperature", "--temp", "50", "--choice",
                  "yes",
                  "--choice", "yes, of course", "--choice", "no", "-q")
        seen.add(done.out.strip())
    assert seen <= {"yes", "yes, of course", "no"} and len(seen) > 1


def test_bad_constraints(tiny):
    base = ["generate", "-m", tiny, "--raw", "-p", "a"]
    fails(2, *base, "--regex", "(a", says=["--regex: at 0: ( without )"])
    fails(2, *base, "--regex", "(?=a)", says=["--regex", "not supported"])
    fails(2, *base, "--regex", "a", "--choice", "b", says="expected one of them")
    fails(2, *base, "--choice", "a", "--choice", "", says=["--choice: choice 2", "empty"])


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 10, "maximum": 99}, "b": {"type": "boolean"}},
          "required": ["n", "b"]}


def test_grammars(tiny, chat_template, tmp_path):
    base = ["generate", "-m", tiny, "--raw", "-p", "ab", "-n", "90", "-q", "--temp", "1.5", "-s", "3"]
    gbnf = 'root ::= "(" [0-9]{2} ")" # two digits'
    (tmp_path / "g.gbnf").write_text(gbnf)
    for given in (["--grammar", gbnf], ["--grammar-file", str(tmp_path / "g.gbnf")]):
        assert re.fullmatch(r"\([0-9]{2}\)", ok(*base, *given).out.strip())
    done = ok("chat", "-m", tiny, "--chat-template-file", chat_template, "--grammar", gbnf, "-q", input="A?\nB?\n")
    assert re.fullmatch(r"(\([0-9]{2}\)\s*){2}", done.out)


def test_schemas(tiny, tmp_path):
    base = ["generate", "-m", tiny, "--raw", "-p", "ab", "-n", "200", "-q", "--temp", "1.5", "-s", "3"]
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    for given in (["--json-schema", json.dumps(SCHEMA)], ["-j", json.dumps(SCHEMA)],
                  ["--json-schema-file", str(tmp_path / "s.json")], ["-jf", str(tmp_path / "s.json")]):
        got = json.loads(ok(*base, *given).out)
        assert set(got) == {"n", "b"} and 10 <= got["n"] <= 99 and isinstance(got["b"], bool)


def test_bad_grammars_and_schemas(tiny, tmp_path):
    base = ["generate", "-m", tiny, "--raw", "-p", "a"]
    fails(2, *base, "--grammar", "root = 1", says=["--grammar: ", "line 1"])
    fails(2, *base, "--grammar", "", says="--grammar: found no text")
    fails(2, *base, "--json-schema", "{", says=["--json-schema: no JSON", "line 1"])
    fails(2, *base, "--json-schema", '{"properties": {"a": {"if": {}}}}', says="--json-schema: keyword if at #/properties/a is not")
    fails(2, *base, "--json-schema", "{}", "--grammar", 'root ::= "a"', says="found --grammar and --json-schema, expected one")
    fails(2, *base, "--json-schema", "{}", "-jf", "x", says="found --json-schema and --json-schema-file, expected one of them")
    fails(2, *base, "--regex", "a", "--grammar-file", "x", says="found --regex and --grammar-file")
    fails(1, *base, "--grammar-file", str(tmp_path / "none"), says=["none", "No such file"])
    (tmp_path / "long").write_bytes(b"a" * (1 << 21))
    fails(1, *base, "--grammar-file", str(tmp_path / "long"), says=["long: longer than"])


def test_real_model(smollm):
    done = ok("generate", "-m", smollm, "-p", "Give me a phone number.", "--regex", "[0-9]{3}-[0-9]{4}", "-q")
    assert re.fullmatch("[0-9]{3}-[0-9]{4}", done.out.strip())
    done = ok("generate", "-m", smollm, "-p", "Is the sky blue? Answer yes or no.", "--temp", "0", "--choice", "Yes",
              "--choice", "No", "-q")
    assert done.out.strip() in ("Yes", "No")
    chat = ok("chat", "-m", smollm, "--choice", "red", "--choice", "blue", "-q", input="A colour?\nAnother?\n")
    assert set(chat.out.split()) <= {"red", "blue"} and len(chat.out.split()) == 2
