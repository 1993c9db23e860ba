#!/usr/bin/env python3
"""Writes tests/golden/regex.json: patterns, texts, and whether Python's re matches the whole text.

The oracle is CPython's `re` with ASCII classes; $ and ^ only where they hold anyway. Run from the
repository root; the seed makes the file reproducible.
"""
import json
import random
import re

FIXED = {
    "abc": ["abc", "ab", "abcd", ""],
    "a|b|cd": ["a", "b", "cd", "c", "abcd"],
    "": ["", "a"],
    "a*": ["", "a", "aaaa", "b", "aab"],
    "(ab)+c?": ["ab", "ababc", "c", "abab", "abcc"],
    "a{3}": ["aa", "aaa", "aaaa"],
    "a{2,}": ["a", "aa", "aaaaaaaa"],
    "a{0,2}b": ["b", "ab", "aab", "aaab"],
    "(a|b){2,3}c{0}": ["ab", "aba", "abab", "abc", "a"],
    "x{0}": ["", "x"],
    "(a{2}){3}": ["aaaaaa", "aaaaa", "aaaaaaa"],
    "[0-9]{3}-[0-9]{4}": ["555-1234", "5555-123", "555-12345", "abc-defg"],
    r"\d+(\.\d+)?": ["3", "3.14", ".5", "3.", "10.25"],
    r"[A-Za-z_]\w*": ["x", "_a1", "1a", "a-b", "Ab_9"],
    r"\s*\S+\s*": [" a ", "a", "  ", "a b", "\tx\n"],
    r"[^abc]": ["d", "a", "é", "😀", "\n", ""],
    r"[^\d\s]+": ["ab", "a1", "a b", "é"],
    ".*": ["", "anything é 😀", "a\nb"],
    ".": ["é", "😀", "a", "\n", "ab"],
    "é+|日本語?": ["é", "éé", "日本", "日本語", "日"],
    "[à-ÿ]{2}": ["éà", "e\u0301", "ÿÿ", "é"],
    "[😀-😂]": ["😀", "😁", "😂", "😃"],
    r"[\u0800-\uffff]": ["ࠀ", "\uffff", "a", "😀", "߿"],
    r"\x41\u00e9": ["Aé", "A", "é"],
    r"\(\)\[\]\{\}\.\*\+\?\|\^\$\\\/\-": ["()[]{}.*+?|^$\\/-", ""],
    "[]a]".replace("[]a]", r"[\]a]"): ["]", "a", "b"],
    r"[a\-z]": ["a", "-", "z", "m"],
    "[-a]": ["-", "a", "b"],
    "[a-]": ["-", "a", "b"],
    "[.*+?()|{}^$]+": [".*+?()|{}^$", "a"],
    "^abc$": ["abc", "abcd"],
    "^a|b$": ["a", "b", "ab"],
    "(?:a|bc)*?d": ["d", "abcd", "abc", "bcbcad"],
    "a+?b??": ["a", "aab", "b"],
    "(a|ab)(c|bcd)(d*)": ["abcd", "acd", "abc", "ac", "abbcd"],
    "(a*)*": ["", "aaa", "b"],
    "(a|b)*abb": ["abb", "aababb", "ab"],
    "(|a)b": ["b", "ab", "aab"],
    "((((a))))": ["a", ""],
    r'"([^"\\]|\\.)*"': ['""', '"a\\"b"', '"a', '"\\\\"', '"a"b"'],
    r"(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)": ["true", "-0", "01", "1e9", "1.5E-3", "-"],
    r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}": ["192.168.0.1", "256.1.1.1", "1.2.3", "0.0.0.0"],
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])": ["2026-11-24", "2026-13-01", "2026-1-1"],
}


def random_pattern(rng, depth):
    kind = rng.randrange(9 if depth > 0 else 4)
    if kind <= 1:
        return rng.choice(["a", "b", "c", "é", "日", r"\d", r"\w", ".", r"\.", "1"])
    if kind == 2:
        return rng.choice(["[ab]", "[^a]", "[a-c1-3]", r"[^\W]", "[é-ê]", r"[\s1]"])
    if kind == 3:
        return rng.choice(["ab", "ba", "1é", "cab"])
    if kind <= 5:
        return random_pattern(rng, depth - 1) + random_pattern(rng, depth - 1)
    if kind == 6:
        return "(" + random_pattern(rng, depth - 1) + "|" + random_pattern(rng, depth - 1) + ")"
    inner = "(?:" + random_pattern(rng, depth - 1) + ")"
    return inner + rng.choice(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?"])


def random_text(rng):
    return "".join(rng.choice("aabbc1é日. 23_\n") for _ in range(rng.randrange(9)))


def main():
    rng = random.Random(20261124)
    cases = dict(FIXED)
    while len(cases) < 700:
        pattern = random_pattern(rng, 4)
        texts = {random_text(rng) for _ in range(30)}
        cases[pattern] = sorted(t for t in texts)
    out = []
    for pattern, texts in cases.items():
        compiled = re.compile(pattern, re.ASCII)
        results = [(text, compiled.fullmatch(text) is not None) for text in texts]
        out.append({"pattern": pattern, "yes": [t for t, ok in results if ok], "no": [t for t, ok in results if not ok]})
    with open("tests/golden/regex.json", "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in out) + "\n]\n")


if __name__ == "__main__":
    main()
