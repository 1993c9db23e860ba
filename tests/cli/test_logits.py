import json
import os
import subprocess

import pytest

from conftest import BIN, GOLDEN, environment, fails, ok

F32_CACHE = ["-ctk", "f32", "-ctv", "f32"]
MODELS = sorted(p.name[:-len(".expected.gguf")] for p in (GOLDEN / "models").glob("*.expected.gguf"))


def files(name):
    return GOLDEN / "models" / f"{name}.gguf", GOLDEN / "models" / f"{name}.expected.gguf"


@pytest.mark.parametrize("name", MODELS)
def test_golden_models(name):
    model, expected = files(name)
    got = json.loads(ok("logits", "-m", model, "--compare", expected, "--tolerance", "2e-5", "--json", *F32_CACHE).out)
    assert got["rows"] == got["same_best"] == 56 and got["relative_error"] <= 2e-5 and 0 <= got["mean_kl"] < 1e-8
    got = json.loads(ok("logits", "-m", model, "--compare", expected, "--tolerance", "3e-3", "--json", "-b", "7").out)
    assert got["relative_error"] > 0


def test_instruction_sets_agree():
    model, expected = files("gemma3")
    for isa in ("none", "avx2", "auto"):
        ok("logits", "-m", model, "--compare", expected, "--tolerance", "2e-5", "--isa", isa, *F32_CACHE)


def test_written_file(tmp_path):
    model, _ = files("qwen3")
    out = tmp_path / "out.gguf"
    ok("logits", "-m", model, "--ids", "5,6,7", "-o", out)
    assert os.listdir(tmp_path) == ["out.gguf"]
    got = json.loads(ok("logits", "-m", model, "--compare", out, "--json", "--tolerance", "0").out)
    assert got["rows"] == 3 and got["relative_error"] == 0
    shown = json.loads(ok("inspect", out, "--json").out)
    assert shown["tensors"][0]["shape"] == [320, 3] and shown["metadata"]["golden.tokens"]["first_items"] == [5, 6, 7]
    assert ok("logits", "-m", model, "-p", "ab").out.count("row ") == 2


def test_outside_the_tolerance():
    model, expected = files("llama")
    done = fails(1, "logits", "-m", model, "--compare", expected, "--tolerance", "1e-12", says="expected at most 1e-12")
    assert "relative error" in done.out


def test_bad_input(tmp_path):
    model, expected = files("llama")
    fails(2, "logits", "-m", model, "--ids", "320", says=["320", "vocabulary of 320"])
    fails(2, "logits", "-m", model, "--ids", "1", "-p", "x", says="one of them")
    fails(2, "logits", "-m", model, "--ids", "1", "--tolerance", "1", says="--compare")
    fails(1, "logits", "-m", model, "--ids", "1,2", "--compare", expected, says="320 x 56")
    fails(1, "logits", "-m", model, "--ids", "1", "--compare", model, says="tensor logits")
    fails(1, "logits", "-m", model, "--ids", ",".join(["1"] * 9), "-c", "8", says=["9 tokens", "context of 8"])
    fails(1, "logits", "-m", model, "--ids", "1", "-o", tmp_path / "no" / "out.gguf", says="No such file")
    fails(1, "logits", "-m", model, "--ids", "1", "-o", "/proc/out.gguf", says="/proc")
    fails(1, "logits", "-m", model, "--ids", "1", "-o", "/dev/full", says="No space left")
    assert os.listdir(tmp_path) == []


def test_full_disk_leaves_nothing(tmp_path):
    """A file size limit stands for a full disk: what was there before stays."""
    model, _ = files("llama")
    out = tmp_path / "out.gguf"
    out.write_bytes(b"before")
    done = subprocess.run(["bash", "-c", f"ulimit -f 4; trap '' XFSZ; exec {BIN} logits -m {model} --ids 1,2,3,4,5,6,7,8 -o {out}"],
                          stderr=subprocess.PIPE, env=environment())
    assert done.returncode == 1 and b"out.gguf" in done.stderr
    assert os.listdir(tmp_path) == ["out.gguf"] and out.read_bytes() == b"before"


def test_not_a_number_in_the_weights(tmp_path):
    model, _ = files("llama")
    [norm] = [t for t in json.loads(ok("inspect", model, "--json").out)["tensors"] if t["name"] == "output_norm.weight"]
    for bits in (b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f"):
        data = bytearray(model.read_bytes())
        data[norm["offset"]:norm["offset"] + 4] = bits
        (tmp_path / "nan.gguf").write_bytes(data)
        fails(1, "generate", "-m", tmp_path / "nan.gguf", "--raw", "-p", "a", says=[""])


def test_plan_and_perplexity(tiny, tmp_path):
    plan = json.loads(ok("plan", "-m", tiny, "--json", "-c", "64").out)
    assert plan["total_bytes"] == sum(
        plan[k] for k in ("weights_bytes", "mapped_bytes", "kv_bytes", "workspace_bytes", "engine_bytes"))
    more = json.loads(ok("plan", "-m", tiny, "--json", "-c", "64", "--kv-tokens", "640", "-np", "8", "-ctk", "f32").out)
    assert plan["kv_bytes"] * 10 < more["kv_bytes"] and more["sequences"] == 8
    assert "workspace" in ok("plan", "-m", tiny).out
    text = tmp_path / "text.txt"
    text.write_text("It is a truth universally acknowledged, that a single man must be in want. " * 8)
    got = json.loads(ok("perplexity", "-m", tiny, "-f", text, "-c", "64", "--chunks", "3", "--json").out)
    assert got["windows"] == 3 and got["scored"] == 3 * 31 and len(got["running"]) == 3 and got["perplexity"] > 1
    small = json.loads(ok("perplexity", "-m", tiny, "-f", text, "-c", "64", "--chunks", "3", "--json", "-b", "5").out)
    assert small["perplexity"] == pytest.approx(got["perplexity"], rel=1e-3)
    fails(2, "perplexity", "-m", tiny, says="found no text")
    text.write_text("short")
    fails(2, "perplexity", "-m", tiny, "-f", text, "-c", "64", says="at least one window of 64")
    text.write_bytes(b"\xff" * 100)
    fails(1, "perplexity", "-m", tiny, "-f", text, says="text.txt")


def test_pool(tiny):
    """-c is the longest request, --kv-tokens or --kv-bytes the pool; plan and the start-up line say the same."""
    for pool in (["--kv-tokens", "640"], ["--kv-bytes", "3M"]):
        plan = json.loads(ok("plan", "-m", tiny, "--json", "-c", "64", *pool).out)
        assert plan["context_tokens"] == 64 and plan["pool_tokens"] >= 640 and plan["kv_bytes"] <= 3e6
        done = ok("generate", "-m", tiny, "--raw", "-p", "a", "-n", "2", "-c", "64", *pool)
        assert f"longest request 64 tokens; cache of {plan['pool_tokens']} tokens" in done.err
    fails(2, "plan", "-m", tiny, "--kv-tokens", "64", "--kv-bytes", "1M", says="expected one of them")
    fails(2, "plan", "-m", tiny, "--kv-bytes", "1K", says=["--kv-bytes", "400M or 2G"])
