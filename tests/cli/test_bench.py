import csv
import io
import json
import re

import pytest

from conftest import BIN, fails, ok

SHORT = ["-p", "5", "-n", "3", "-r", "2", "-t", "1"]


def bench(tiny, *args, **more):
    return json.loads(ok("bench", "-m", tiny, *SHORT, "-o", "json", *args, **more).out)


def test_json_says_everything(tiny):
    prefill, decode = bench(tiny, "-d", "4", "-ctk", "f32", "-b", "2")
    assert [prefill["test"], decode["test"]] == ["pp5 @ d4", "tg3 @ d4"]
    for row in (prefill, decode):
        assert row["model_filename"] == str(tiny) and row["model_arch"] == "llama"
        assert row["n_threads"] == 1 and row["n_batch"] == 2 and row["n_depth"] == 4
        assert (row["type_k"], row["type_v"]) == ("f32", "f16")
        assert len(row["samples_ns"]) == len(row["samples_ts"]) == 2 and min(row["samples_ns"]) > 0
        assert row["avg_ts"] == pytest.approx(sum(row["samples_ts"]) / 2)
        assert row["avg_ns"] == pytest.approx(sum(row["samples_ns"]) / 2)
        assert row["stddev_ts"] == pytest.approx(abs(row["samples_ts"][0] - row["samples_ts"][1]) / 2 ** .5, abs=1e-3)
        assert row["peak_read_gbs"] > 0 and row["read_share"] == pytest.approx(row["read_gbs"] / row["peak_read_gbs"])
        assert row["read_gbs"] == pytest.approx(row["bytes_per_token"] * row["avg_ts"] / 1e9)
        assert re.fullmatch(r"[0-9a-f]{16}", row["logits_hash"])
    assert (prefill["n_prompt"], prefill["n_gen"], decode["n_prompt"], decode["n_gen"]) == (5, 0, 0, 3)


def test_bytes_of_a_token_are_weights_and_cache(tiny):
    """One token from an empty cache reads each weight once, of the embedding one row; every further one its cache."""
    step = json.loads(ok("inspect", tiny, "--program", "--json").out)["program"]
    step = step["ops"] if isinstance(step, dict) else step
    weights = sum(op["bytes"] // (op["weights"][0]["rows"] if op["op"] == "embed" else 1) for op in step)
    rows = {n: bench(tiny, "-p", "none", "-n", str(n))[0]["bytes_per_token"] for n in (1, 2, 3)}
    token = 2 * (rows[2] - rows[1])
    assert token > 0 and rows[1] == weights + token and rows[3] == pytest.approx(weights + 2 * token)


def test_every_list_is_a_product(tiny):
    rows = bench(tiny, "-p", "2,3", "-n", "1,2", "-d", "0,4", "-npl", "1,3", "-t", "1,2", "-b", "1,4", "-ctk", "f16,f32")
    assert len(rows) == 2 * 2 * 2 * 2 * (2 + 2 * 2)
    assert [row["test"] for row in rows[:6]] == ["pp2", "pp3", "tg1", "tg1 x3", "tg2", "tg2 x3"]
    assert {row["n_threads"] for row in rows} == {1, 2}
    assert len(bench(tiny, "-m", f"{tiny},{tiny}")) == 6
    assert [row["test"] for row in bench(tiny, "-n", "none")] == ["pp5"]


def test_logits_do_not_depend_on_threads_batches_or_neighbours(tiny):
    rows = bench(tiny, "-t", "1,2", "-b", "1,2,512", "-npl", "1,4", "-d", "0,7", "--no-warmup")
    by_test = {}
    for row in rows:
        by_test.setdefault((row["n_prompt"], row["n_depth"]), set()).add(row["logits_hash"])
    assert len(by_test) == 4 and all(len(hashes) == 1 for hashes in by_test.values())
    assert len(set.union(*by_test.values())) == 4
    assert bench(tiny)[0]["logits_hash"] == bench(tiny)[0]["logits_hash"]


def test_tables(tiny):
    done = ok("bench", "-m", tiny, *SHORT, "-npl", "1,2")
    head, rule, *rows = done.out.splitlines()
    assert done.err == "" and "| t/s " in re.sub(" +", " ", head) + " " and set(rule) <= set("|-: ")
    assert len(rows) == 3 and all(row.count("|") == head.count("|") for row in rows)
    assert all(re.search(r"\| +\d+\.\d\d ± \d+\.\d\d \|", row) for row in rows)
    text = ok("bench", "-m", tiny, *SHORT, "-o", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["test"] for row in rows] == ["pp5", "tg3"]
    assert set(rows[0]) == {key for key, value in bench(tiny)[0].items() if not isinstance(value, list)}


def test_trace(tiny, tmp_path):
    path = tmp_path / "trace.json"
    rows = bench(tiny, f"--trace={path}", "-npl", "1,2")
    events = json.loads(path.read_text())
    names = {event["pid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert [name.split()[-1] for name in names.values()] == ["pp5", "tg3", "x2"]
    n_ops = len(json.loads(ok("inspect", tiny, "--program", "--json").out)["program"])
    steps = {pid: [event for event in events if event["pid"] == pid and event["ph"] == "X"] for pid in names}
    assert [len(found) for found in steps.values()] == [n_ops, 3 * n_ops, 3 * n_ops]
    for found in steps.values():
        assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in found)
        assert [event["ts"] for event in found] == sorted(event["ts"] for event in found)
    for row in rows:
        assert sum(op["share"] for op in row["ops"]) == pytest.approx(1)
        assert sum(op["ns"] for op in row["ops"]) <= sum(row["samples_ns"])
        assert {"embed", "norm", "attention", "matmul"} <= {op["op"] for op in row["ops"]}
        assert sum(op["calls"] for op in row["ops"]) == n_ops * 2 * (3 if row["n_gen"] else 1)
    table = ok("bench", "-m", tiny, *SHORT, "--trace").out
    assert table.count("us/call") == 2 and "Ops of pp5" in table and "attn_q+attn_k+attn_v" in table


def test_trace_file_appears_whole_or_not_at_all(tiny, tmp_path):
    path = tmp_path / "trace.json"
    path.write_text("before")
    fails(2, "bench", "-m", tiny, "-p", "100000", f"--trace={path}", says="context")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    fails(1, "bench", "-m", tiny, f"--trace={tmp_path}/none/x.json", says="none/x.json")


@pytest.mark.parametrize("args, says", [
    (["-p", "0"], ['-p: found "0"', "from 1"]), (["-p", "-5"], ['"-5"']), (["-p", "5,0"], ['"5,0"']),
    (["-n", "0"], ['-n: found "0"']), (["-n", "x"], ['"x"']), (["-d", "-1"], ['-d: found "-1"', "from 0"]),
    (["-r", "0"], ['-r: found "0"']), (["-r", "-1"], ['"-1"']), (["-t", "0"], ['-t: found "0"']), (["-t", "-2"], ['"-2"']),
    (["-b", "0"], ['-b: found "0"']), (["-npl", "0"], ['-npl: found "0"']), (["-npl", "1,,2"], ['"1,,2"']),
    (["-t", "none"], ['"none"']), (["-p", ","], ['","']), (["-p", ",".join("1" * 17)], ["separated by commas"]),
    (["-p", "none", "-n", "none"], ["--n-prompt none"]), (["-ctk", "f8"], ['"f8"', "f32, f16, q8_0"]),
    (["-ctv", "f16,q4_0"], ['"f16,q4_0"']), (["-o", "xml"], ['"xml"', "md, json, csv"]), (["-o", "csv", "--trace"], ["--trace"]),
    (["-p", "100000"], ["llama.gguf", "pp100000", "100000 tokens", "trained for"]),
    (["-d", "100000"], ["@ d100000", "trained for"]), (["-n", "16777216", "-npl", "4096"], ["tg16777216 x4096", "at most"]),
    (["--synthetic", "llama9-1b:q4_0"], ["--synthetic", "llama9-1b"]), (["--synthetic", "llama3-8b:q9"], ["--synthetic", "q9"]),
    (["--synthetic", "llama3-8b"], ["--synthetic"]), (["-c", "5"], ["--ctx-size", "not an option"]), (["word"], ['"word"']),
])
def test_bad_arguments_are_named(tiny, args, says):
    assert fails(2, "bench", "-m", tiny, *args, says=says).out == ""


def test_synthetic_weights():
    """The same shape and type give the same weights, so the same logits; --model and --synthetic go together."""
    args = ["bench", "--synthetic", "gemma3-270m:q4_0,SmolLM2-135M:Q4_K_M", "-p", "3", "-n", "none", "-r", "1", "-o", "json"]
    first, second = json.loads(ok(*args, "-t", "2").out), json.loads(ok(*args, "-t", "1").out)
    assert [row["model_arch"] for row in first] == ["gemma3", "llama"]
    assert [row["logits_hash"] for row in first] == [row["logits_hash"] for row in second]
    fails(2, "bench", "--synthetic", "smollm2-135m:q4_0", "-d", "99999", says=["smollm2-135m:q4_0", "trained for"])


def test_models_that_are_not_there(tiny, tmp_path):
    fails(2, "bench", says=["no model", "--model FILE"])
    fails(2, "bench", "-m", "", *SHORT, says="--model")
    fails(2, "bench", "-m", f"{tiny},", *SHORT, says="--model")
    assert fails(1, "bench", "-m", tmp_path / "none.gguf", *SHORT, says="none.gguf").out == ""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes()[:1000])
    assert fails(1, "bench", "-m", broken, *SHORT, "-o", "json", says="broken.gguf").out == ""


def test_spellings_belong_to_their_command(tiny):
    """-p is a number of tokens for bench and a prompt for generate, wherever the command stands."""
    assert "pp2" in ok("-p", "2", "-r", "1", "bench", "-m", tiny, "-n", "1").out
    fails(2, "-p", "two", "bench", "-m", tiny, says='"two"')
    config = ok("bench", "--print-config", env={"ROCMFORGE_N_PROMPT": "7,8", "ROCMFORGE_PROMPT": "text"}).out
    assert re.search(r"^n-prompt +7,8  \(environment\)$", config, re.M) and "text" not in config
    assert "(command line)" in ok("generate", "--print-config", "-p", "5").out
    fails(2, "bench", env={"ROCMFORGE_N_PROMPT": "0"}, says=["ROCMFORGE_N_PROMPT", '"0"'])


def test_isa_and_reference_are_timed_too(tiny):
    reference = bench(tiny, "--reference")[0]
    assert reference["logits_hash"] != bench(tiny)[0]["logits_hash"]
    assert bench(tiny, "--isa", "none")[0]["peak_int8_gops"] is None


def test_interrupted(tiny):
    import signal
    import subprocess
    import time
    process = subprocess.Popen([BIN, "bench", "-m", tiny, "-r", "100000", "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and b"interrupted" in err
