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


def test_real_model(smollm):
    done = ok("generate", "-m", smollm, "-p", "Give me a phone number.", "--regex", "[0-9]{3}-[0-9]{4}", "-q")
    assert re.fullmatch("[0-9]{3}-[0-9]{4}", done.out.strip())
    done = ok("generate", "-m", smollm, "-p", "Is the sky blue? Answer yes or no.", "--temp", "0", "--choice", "Yes",
              "--choice", "No", "-q")
    assert done.out.strip() in ("Yes", "No")
    chat = ok("chat", "-m", smollm, "--choice", "red", "--choice", "blue", "-q", input="A colour?\nAnother?\n")
    assert set(chat.out.split()) <= {"red", "blue"} and len(chat.out.split()) == 2
