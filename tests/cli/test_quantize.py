"""quantize: what it writes loads, answers and has the types it says; what it refuses it names."""
import json
import os
import struct

import pytest

from conftest import GOLDEN, fails, ok, run

MODELS = GOLDEN / "models"
MIXES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S",
         "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]
# Largest relative error of the logits of the tiny F32 models, whose random weights forgive less than real ones.
TOLERANCE = {"F32": 3e-3, "F16": 1e-2, "BF16": 4e-2, "Q8_0": 0.15, "Q6_K": 0.2, "Q5_K_M": 0.3}


def tensors(path):
    return {t["name"]: t for t in json.loads(ok("inspect", path, "--json").out)["tensors"]}


def find(path, name):
    """Offset of a tensor's data in the file."""
    return tensors(path)[name]["offset"]


def patch(path, name, i_weight, value):
    """Overwrites one F32 weight."""
    at = find(path, name) + 4 * i_weight
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(struct.pack("<f", value))


def rel(model, expected):
    return json.loads(ok("logits", "-m", model, "--compare", expected, "--json").out)["relative_error"]


@pytest.mark.parametrize("mix", MIXES)
def test_every_mix_answers(tmp_path, mix):
    """Rows of 96 and 128 are too short for the K types, which fall back and say so; the output matrix of other types asks
    for Q6_K. The model still works."""
    out = tmp_path / "out.gguf"
    done = ok("quantize", MODELS / "llama.gguf", out, mix)
    assert ("do not divide by 256" in done.err) == (mix not in ("F32", "F16", "BF16", "Q8_0", "MXFP4"))
    assert not any("_K" in t["type"] for t in tensors(out).values())
    assert rel(out, MODELS / "llama.expected.gguf") < TOLERANCE.get(mix, 0.8)
    assert os.listdir(tmp_path) == ["out.gguf"]


@pytest.mark.parametrize("name", ["mixtral", "gemma2", "phi3", "qwen3moe"])
def test_architectures(tmp_path, name):
    ok("quantize", MODELS / f"{name}.gguf", tmp_path / "out.gguf", "Q8_0")
    assert rel(tmp_path / "out.gguf", MODELS / f"{name}.expected.gguf") < 0.2
    kept = {n: t["type"] for n, t in tensors(tmp_path / "out.gguf").items() if "norm" in n or "gate_inp" in n}
    assert kept and set(kept.values()) == {"F32"}


def test_f32_is_a_copy(tmp_path):
    """Weights stay to the bit, keys too, and the file says what it is."""
    source = MODELS / "llama.gguf"
    ok("quantize", source, tmp_path / "out.gguf", "f32", "-t", "1")
    a, b = source.read_bytes(), (tmp_path / "out.gguf").read_bytes()
    for name, tensor in tensors(source).items():
        there = tensors(tmp_path / "out.gguf")[name]
        n = tensor["bytes"]
        assert a[tensor["offset"]:][:n] == b[there["offset"]:][:n]
    keys = json.loads(ok("inspect", tmp_path / "out.gguf", "--json").out)["metadata"]
    before = json.loads(ok("inspect", source, "--json").out)["metadata"]
    assert set(before) - set(keys) == set()


def test_threads_do_not_matter(tmp_path):
    for n in (1, 2, 7):
        ok("quantize", MODELS / "gemma2.gguf", tmp_path / f"{n}.gguf", "Q4_K_M", "-t", n, "-q")
    one = (tmp_path / "1.gguf").read_bytes()
    assert one == (tmp_path / "2.gguf").read_bytes() == (tmp_path / "7.gguf").read_bytes()


@pytest.mark.parametrize("kind", ["q4_0", "q6_k", "mxfp4", "f16"])
def test_quantised_already(tmp_path, kind):
    """Without leave a quantised file is refused; the same type goes through as it is."""
    source = GOLDEN / "types" / f"type-{kind}.gguf"
    out = tmp_path / "out.gguf"
    if kind != "f16":
        fails(1, "quantize", source, out, "Q5_K_S", says=[kind.upper(), "quantised already", "--allow-requantize"])
        assert os.listdir(tmp_path) == []
    ok("quantize", source, out, "Q8_0", "--allow-requantize", "--pure")
    assert rel(out, GOLDEN / "types" / f"type-{kind}.expected.gguf") < 0.1
    ok("quantize", source, out, kind, "--pure")
    a, b = source.read_bytes(), out.read_bytes()
    there = tensors(out)
    for name, tensor in tensors(source).items():
        assert tensor["type"] == there[name]["type"]
        assert a[tensor["offset"]:][:tensor["bytes"]] == b[there[name]["offset"]:][:tensor["bytes"]]


@pytest.mark.parametrize("value,shown", [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf")])
def test_not_finite(tmp_path, value, shown):
    source = tmp_path / "in.gguf"
    source.write_bytes((MODELS / "llama.gguf").read_bytes())
    patch(source, "blk.1.ffn_down.weight", 128 * 3 + 5, value)
    for mix in ("Q4_K_M", "F16"):
        fails(1, "quantize", source, tmp_path / "out.gguf", mix,
              says=["blk.1.ffn_down.weight", "weight 389 (row 3, column 5)", shown])
    fails(1, "quantize", source, tmp_path / "out.gguf", "F32", says=["blk.1.ffn_down.weight", "weight 389"])
    assert os.listdir(tmp_path) == ["in.gguf"]


def test_not_finite_in_what_stays(tmp_path):
    source = tmp_path / "in.gguf"
    source.write_bytes((MODELS / "llama.gguf").read_bytes())
    patch(source, "output_norm.weight", 7, float("nan"))
    fails(1, "quantize", source, tmp_path / "out.gguf", "Q8_0", says=["output_norm.weight", "weight 7 "])


def test_too_large_for_the_type(tmp_path):
    source = tmp_path / "in.gguf"
    source.write_bytes((MODELS / "llama.gguf").read_bytes())
    patch(source, "blk.0.ffn_up.weight", 2, 1e9)
    fails(1, "quantize", source, tmp_path / "out.gguf", "F16", says=["blk.0.ffn_up.weight", "weight 2 ", "1e+09", "F16"])
    ok("quantize", source, tmp_path / "out.gguf", "BF16")


def test_output_is_input(tmp_path):
    source = tmp_path / "in.gguf"
    bytes_before = (MODELS / "llama.gguf").read_bytes()
    source.write_bytes(bytes_before)
    (tmp_path / "hard.gguf").hardlink_to(source)
    (tmp_path / "soft.gguf").symlink_to(source)
    for out in (source, tmp_path / "hard.gguf", tmp_path / "soft.gguf", f"{tmp_path}/./in.gguf"):
        fails(2, "quantize", source, out, "Q8_0", says=["to be the input", str(out)])
    assert source.read_bytes() == bytes_before


def test_places_that_cannot_be_written(tmp_path):
    source = MODELS / "llama.gguf"
    fails(1, "quantize", source, "/dev/full", "Q8_0", says=["/dev/full", "No space left"])
    fails(1, "quantize", source, tmp_path / "no" / "out.gguf", "Q8_0", says="No such file")
    fails(1, "quantize", source, tmp_path, "Q8_0", says="directory")
    assert os.listdir(tmp_path) == []


def test_full_disk_leaves_what_was_there(tmp_path):
    """A limit on file size stands for the full disk: the old file stays, nothing lies beside it."""
    out = tmp_path / "out.gguf"
    out.write_bytes(b"what was there")

    def small_files():
        import resource
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    fails(1, "quantize", MODELS / "llama.gguf", out, "Q8_0", says="out.gguf", preexec_fn=small_files)
    assert out.read_bytes() == b"what was there"
    assert os.listdir(tmp_path) == ["out.gguf"]


def test_bad_arguments(tmp_path):
    source = MODELS / "llama.gguf"
    fails(2, "quantize", source, tmp_path / "o", "Q9_K", says=["Q9_K", "Q4_K_M", "MXFP4"])
    fails(2, "quantize", source, says="IN OUT TYPE")
    fails(2, "quantize", source, tmp_path / "o", "Q8_0", "4", says="4")
    fails(1, "quantize", tmp_path / "none.gguf", tmp_path / "o", "Q8_0", says="none.gguf")
    fails(1, "quantize", source, tmp_path / "o", "Q8_0", "--imatrix", source, says="importance matrix")
    assert run("quantize", source, tmp_path / "o", "Q8_0", "-t", "0").status == 0


def perplexity(model):
    text = GOLDEN / "text" / "persuasion.txt"
    return json.loads(ok("perplexity", "-m", model, "-f", text, "--chunks", "4", "--json", timeout=300).out)["perplexity"]


def test_smollm(tmp_path, smollm):
    """A real model at four bits predicts a text about as well as before."""
    out = tmp_path / "out.gguf"
    fails(1, "quantize", smollm, out, "Q4_K_M", says="--allow-requantize")
    done = ok("quantize", smollm, out, "Q4_K_M", "--allow-requantize", timeout=300)
    assert "bits a weight" in done.err
    assert {t["type"] for t in tensors(out).values()} >= {"Q4_K", "Q5_0", "Q8_0", "F32"}
    assert perplexity(out) < 1.1 * perplexity(smollm)
