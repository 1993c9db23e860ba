import csv
import io
import json

import pytest

from conftest import GOLDEN, fails, ok

TEXT = GOLDEN / "text" / "persuasion.txt"


@pytest.mark.parametrize("name", ["smollm2", "llama-spm"])
def test_tokens_and_forms(vocab, name):
    common = ["bench", "--tokenizer", "-m", vocab(name), "-f", TEXT, "--repetitions", "2"]
    ids = json.loads(ok("tokenize", "-m", vocab(name), "-f", "-", "--json", "--no-add-special", "--no-parse-special",
                        input=TEXT.read_bytes() + b"\n").out)["ids"]
    (row,) = json.loads(ok(*common, "--output-format", "json").out)
    assert row["tokens"] == len(ids) and row["bytes"] == TEXT.stat().st_size and row["repetitions"] == 2
    for test in ("encode", "decode"):
        speed = row[f"{test}_mb_per_second"]
        assert speed["mean"] > 0 and speed["deviation"] >= 0
    (line,) = csv.DictReader(io.StringIO(ok(*common, "--output-format", "csv").out))
    assert line["file"] == str(vocab(name)) and int(line["tokens"]) == len(ids) and float(line["encode_mb_per_second"]) > 0
    head, rule, body = ok(*common).out.splitlines()
    assert head.count("|") == rule.count("|") == body.count("|") and str(len(ids)) in body


def test_bad_input(tiny, tmp_path):
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    fails(2, "bench", says="found no model")
    fails(2, "bench", "-m", tiny, "--tokenizer", says="found no text")
    fails(2, "bench", "-m", tiny, "--tokenizer", "-f", empty, says="empty text")
    fails(1, "bench", "-m", tiny, "--tokenizer", "-f", tmp_path / "x", says="No such file")
    fails(1, "bench", "-m", tiny, "--tokenizer", "-f", "-", input=b"ab\xff", says=["0xff", "UTF-8"])
    fails(2, "bench", "-m", tiny, "--tokenizer", "-f", TEXT, "--repetitions", "0", says="--repetitions")
    fails(2, "bench", "-m", tiny, "--tokenizer", "-f", TEXT, "--output-format", "xml", says="md, json")
