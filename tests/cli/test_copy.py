"""copy, split and merge: the same model, other keys or other files."""
import json
import os

import pytest

from conftest import GOLDEN, fails, ok

TINY = GOLDEN / "models" / "mixtral.gguf"
EXPECTED = GOLDEN / "models" / "mixtral.expected.gguf"


def inspect(path):
    return json.loads(ok("inspect", path, "--json").out)


def metadata(path):
    return inspect(path)["metadata"]


def weights(path):
    """Type, shape and bytes of every tensor of a whole file."""
    content = path.read_bytes()
    return {t["name"]: (t["type"], t["shape"], content[t["offset"]:][:t["bytes"]]) for t in inspect(path)["tensors"]}


def rel(model):
    return json.loads(ok("logits", "-m", model, "--compare", EXPECTED, "--json").out)["relative_error"]


def parts(folder):
    return sorted(n for n in os.listdir(folder) if n.startswith("m-"))


def test_copy(tmp_path):
    ok("copy", TINY, tmp_path / "out.gguf")
    assert weights(tmp_path / "out.gguf") == weights(TINY)
    assert metadata(tmp_path / "out.gguf") == metadata(TINY)
    assert os.listdir(tmp_path) == ["out.gguf"]


def test_set(tmp_path):
    out = tmp_path / "out.gguf"
    edits = ["general.name=A b=c:d", "llama.context_length=77", "llama.attention.layer_norm_rms_epsilon=0.5",
             "x.flag=bool:true", "x.small=i8:-128", "x.text=string:", "x.large=u64:9007199254740993", "x.real=f64:0.25"]
    ok("copy", TINY, out, *[a for edit in edits for a in ("--set", edit)])
    got, before = inspect(out)["metadata"], metadata(TINY)
    shown = json.dumps(got)
    assert "A b=c:d" in shown and "9007199254740993" in shown
    changed = {"general.name", "llama.context_length", "llama.attention.layer_norm_rms_epsilon"}
    assert set(got) - set(before) == {"x.flag", "x.small", "x.text", "x.large", "x.real"}
    assert {k for k in before if before[k] != got[k]} == changed
    assert inspect(out)["model"]["n_ctx_train"] == 77
    assert weights(out) == weights(TINY)


@pytest.mark.parametrize("edit,says", [
    ("general.name", "KEY=VALUE"), ("=3", "KEY=VALUE"), ("", "KEY=VALUE"),
    ("llama.context_length=-1", ["llama.context_length", "\"-1\"", "u32"]),
    ("llama.context_length=4294967296", "u32"), ("llama.context_length=u32:5", "u32:5"),
    ("llama.attention.layer_norm_rms_epsilon=nan", "f32"), ("llama.attention.layer_norm_rms_epsilon=1e39", "f32"),
    ("x.new=5", ["x.new", "TYPE:VALUE"]), ("x.new=array:5", "TYPE:VALUE"), ("x.new=u8:256", "u8"),
    ("x.new=bool:yes", "bool"), ("tokenizer.ggml.tokens=a", "no list"), ("split.count=u16:3", "another key"),
    ("general.alignment=u32:64", "another key"), ("k" * 300 + "=u8:1", "KEY=VALUE")])
def test_bad_edits(tmp_path, edit, says):
    fails(2, "copy", TINY, tmp_path / "out.gguf", "--set", edit, says=says)
    assert os.listdir(tmp_path) == []


def test_quantize_sets_keys(tmp_path):
    ok("quantize", TINY, tmp_path / "out.gguf", "Q8_0", "--set", "general.name=Small")
    assert inspect(tmp_path / "out.gguf")["model"]["n_layer"] > 0
    assert "Small" in json.dumps(metadata(tmp_path / "out.gguf"))


@pytest.mark.parametrize("most", [1, 3, 7, 1000])
def test_split_and_merge(tmp_path, most):
    ok("split", TINY, tmp_path / "m", "--split-max-tensors", most)
    n = -(-len(inspect(TINY)["tensors"]) // most)
    assert parts(tmp_path) == [f"m-{i + 1:05}-of-{n:05}.gguf" for i in range(n)]
    first = tmp_path / parts(tmp_path)[0]
    assert rel(first) == rel(TINY)
    ok("merge", first, tmp_path / "whole.gguf")
    assert weights(tmp_path / "whole.gguf") == weights(TINY)
    assert metadata(tmp_path / "whole.gguf") == metadata(TINY)
    ok("quantize", first, tmp_path / "q.gguf", "F32", "-q")
    assert weights(tmp_path / "q.gguf") == weights(TINY)


@pytest.mark.parametrize("size", ["20", "20M"])
def test_split_by_size(tmp_path, smollm, size):
    ok("split", smollm, tmp_path / "m", "--split-max-tensors", "0", "--split-max-size", size)
    sizes = [(tmp_path / name).stat().st_size for name in parts(tmp_path)]
    assert 5 <= len(sizes) <= 8
    assert sum(size > 34 << 20 for size in sizes) == 0  # the embedding takes 30 MiB by itself
    ok("merge", tmp_path / parts(tmp_path)[0], tmp_path / "whole.gguf")
    assert weights(tmp_path / "whole.gguf") == weights(smollm)


def test_outputs_that_are_inputs(tmp_path):
    whole = tmp_path / "whole.gguf"
    whole.write_bytes(TINY.read_bytes())
    fails(2, "copy", whole, whole, says="to be the input")
    ok("split", whole, tmp_path / "m", "--split-max-tensors", "10")
    names = parts(tmp_path)
    assert len(names) > 1
    before = [(tmp_path / n).read_bytes() for n in names]
    fails(2, "merge", tmp_path / names[0], tmp_path / names[1], says="to be the input")
    fails(2, "split", tmp_path / names[0], tmp_path / "m", "--split-max-tensors", "10", says="to be the input")
    assert before == [(tmp_path / n).read_bytes() for n in names]


def test_failures(tmp_path):
    fails(1, "copy", TINY, "/dev/full", says="No space left")
    fails(1, "copy", tmp_path / "none.gguf", tmp_path / "out.gguf", says="none.gguf")
    fails(1, "split", TINY, tmp_path / "no" / "m", says="No such file")
    fails(2, "split", TINY, tmp_path / "m", "--split-max-tensors", "-1", says="--split-max-tensors")
    for size in ("20X", "M", "1.5G", "-1"):
        fails(2, "split", TINY, tmp_path / "m", "--split-max-size", size, says=["--split-max-size", "400M"])
    assert os.listdir(tmp_path) == []


def test_a_failed_part_takes_the_others_with_it(tmp_path):
    (tmp_path / "m-00003-of-00003.gguf").mkdir()
    n = len(inspect(TINY)["tensors"])
    fails(1, "split", TINY, tmp_path / "m", "--split-max-tensors", -(-n // 3), says="m-00003-of-00003.gguf")
    assert os.listdir(tmp_path) == ["m-00003-of-00003.gguf"]
