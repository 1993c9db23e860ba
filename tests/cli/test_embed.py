import json
import math

from conftest import fails, ok

TEXTS = ["hello", "hello world", "a", "the quick brown fox " * 3]


def vector(tiny, text, *more):
    return json.loads(ok("embed", "-m", tiny, "-p", text, *more).out)


def test_one_text(tiny):
    one = vector(tiny, "hello world")
    assert len(one) == 96 and abs(math.fsum(x * x for x in one) - 1) < 1e-5
    got = json.loads(ok("embed", "-m", tiny, "-p", "hello world", "--json").out)
    assert got["embedding"] == one and got["tokens"] > 1
    raw = vector(tiny, "hello world", "--no-normalize")
    length = math.sqrt(math.fsum(x * x for x in raw))
    assert abs(length - 1) > 1e-3 and max(abs(a / length - b) for a, b in zip(raw, one)) < 1e-6


def test_pooling(tiny):
    """The mean of a text is that of its tokens' vectors; the first token's does not know the rest."""
    mean, last, cls = (vector(tiny, "ab", "--no-normalize", "--pooling", p) for p in ("mean", "last", "cls"))
    assert json.loads(ok("embed", "-m", tiny, "-p", "ab", "--json").out)["tokens"] == 2
    assert max(abs((a + b) / 2 - m) for a, b, m in zip(cls, last, mean)) < 1e-6
    assert cls == vector(tiny, "a", "--no-normalize")


def test_many_texts(tiny):
    """Texts that share steps get the vectors that they get alone, in their order."""
    lines = [json.dumps({"text": text}) for text in TEXTS * 10] + ['{"text":""}', "[]", "no"]
    done = fails(1, "embed", "-m", tiny, "--jsonl", input="\n".join(lines), says="3 of 43 lines")
    got = [json.loads(line) for line in done.out.splitlines()]
    assert len(got) == 43 and all("error" in line for line in got[40:])
    alone = [vector(tiny, text) for text in TEXTS]
    assert [line["embedding"] for line in got[:40]] == alone * 10


def test_bad_input(tiny):
    fails(1, "embed", "-m", tiny, "-p", "ab" * 20, "-c", "8", says=["tokens", "at most 8"])
    fails(2, "embed", "-m", tiny, "-p", "a", "--pooling", "max", says=["--pooling", "mean"])
    fails(2, "embed", "-p", "a", says="--model")
