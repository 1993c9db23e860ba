"""bench --serve-sim: counts that add up, whatever the times are."""
import json

import pytest

from conftest import fails, ok

LOAD = ["--num-prompts", "12", "--input-len", "16", "--output-len", "6", "-q", "-t", "1"]


def sim(tiny, *args):
    return json.loads(ok("bench", "--serve-sim", "-m", tiny, *LOAD, "-o", "json", *args).out)


def test_rates(tiny):
    rows = sim(tiny, "--request-rate", "200,inf")
    assert [row["request_rate"] for row in rows] == [200, "inf"]
    for row in rows:
        assert row["num_prompts"] == 12 and row["cached_tokens"] == 0 and row["preemptions"] == 0
        assert row["computed_tokens"] == row["input_tokens"] and 12 * 8 <= row["input_tokens"] <= 12 * 24
        assert 12 * 3 <= row["output_tokens"] <= 12 * 9 and row["output_tokens_per_second"] > 0
        for name in ("ttft", "itl", "e2e"):
            p = [row[f"{name}_{q}_ms"] for q in ("p50", "p90", "p99", "max")]
            assert p == sorted(p) and p[0] >= 0
    assert {(row["input_tokens"], row["output_tokens"]) for row in rows} == \
        {(row["input_tokens"], row["output_tokens"]) for row in sim(tiny)}
    assert sim(tiny, "-s", "2")[0]["input_tokens"] != rows[0]["input_tokens"]


def test_shared_prefix(tiny):
    """All requests' common beginning is computed once."""
    [row] = sim(tiny, "--prefix-len", "96", "--random-range-ratio", "0")
    assert row["input_tokens"] == 12 * 112 and row["computed_tokens"] == 96 + 12 * 16
    assert row["cached_tokens"] == 11 * 96


def test_small_pool(tiny):
    [row] = sim(tiny, "--kv-tokens", "96", "--max-seqs", "8", "--output-len", "40")
    assert row["preemptions"] > 0 and row["num_prompts"] == 12
    [row] = sim(tiny, "--max-concurrency", "1")
    assert row["preemptions"] == 0


def test_intruding_prompt(tiny):
    [row] = sim(tiny, "--intrude", "300")
    assert row["num_prompts"] == 2 and row["computed_tokens"] == 308 and row["quiet_itl_p50_ms"] > 0
    assert row["p99_ratio"] > 0


@pytest.mark.parametrize("form", ["md", "csv"])
def test_formats(tiny, form):
    out = ok("bench", "--serve-sim", "-m", tiny, *LOAD, "-o", form).out.splitlines()
    assert len(out) == (3 if form == "md" else 2)
    assert len({line.count("|" if form == "md" else ",") for line in out}) == 1


def test_record_of_steps(tiny, tmp_path):
    log, trace = tmp_path / "steps.jsonl", tmp_path / "trace.json"
    [row] = sim(tiny, "--step-log", log, "--step-trace", trace)
    steps = [json.loads(line) for line in open(log)]
    assert sum(step["prefill"] for step in steps) == 2 * row["computed_tokens"]  # a run before warms up
    assert len(json.load(open(trace))) > len(steps)


def test_bad_options(tiny):
    for rate in ("0", "-1", "x", "1,,2", ""):
        fails(2, "bench", "--serve-sim", "-m", tiny, f"--request-rate={rate}", says="--request-rate")
    fails(2, "bench", "--serve-sim", "-m", tiny, "--num-prompts", "0", says="--num-prompts")
