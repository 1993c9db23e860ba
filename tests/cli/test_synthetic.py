"""synthesize: models of random weights that load and run; shapes and types that do not exist are named."""
import json
import os

import pytest

from conftest import fails, ok

SHAPES = ["smollm2-135m", "gemma3-270m", "llama3.2-1b", "qwen3-4b", "llama3-8b", "qwen3-30b-a3b", "mixtral-8x7b",
          "llama3-70b"]


@pytest.mark.parametrize("spec", ["smollm2-135m:q4_k_m", "smollm2-135m:bf16", "gemma3-270m:Q4_0"])
def test_runs_on_ids(tmp_path, spec):
    model, out = tmp_path / "model.gguf", tmp_path / "logits.gguf"
    ok("synthesize", spec, model)
    lines = ok("logits", "-m", model, "--ids", "1,2,3,4").out.splitlines()
    assert len(lines) == 4 and len({line.split("best ")[1].split()[0] for line in lines}) > 1
    ok("logits", "-m", model, "--ids", "1,2,3,4", "-o", out)
    ok("logits", "-m", model, "--compare", out, "--tolerance", 0.1, "--reference")
    about = json.loads(ok("inspect", model, "--json").out)
    assert about["metadata"]["tokenizer.ggml.model"] == "no_vocab"
    assert sorted(os.listdir(tmp_path)) == ["logits.gguf", "model.gguf"]
    for command in (["generate", "-p", "hi"], ["tokenize", "-p", "hi"], ["perplexity", "-f", __file__]):
        fails(1, *command[:1], "-m", model, *command[1:], says="no vocabulary")


def test_same_bytes_each_time(tmp_path):
    for name in "ab":
        ok("synthesize", "smollm2-135m:q2_k", tmp_path / name, "-q")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_does_not_exist(tmp_path):
    out = tmp_path / "out.gguf"
    fails(2, "synthesize", "llama4:q4_0", out, says=["llama4", *SHAPES])
    fails(2, "synthesize", "llama3-8b:q9", out, says=["q9", "Q4_K_M", "MXFP4"])
    fails(2, "synthesize", "llama3-8b", out, says="SHAPE:TYPE")
    fails(2, "synthesize", "llama3-8b:q4_0", says="OUT")
    fails(1, "synthesize", "smollm2-135m:q4_0", tmp_path / "none" / "out.gguf", says="none")
    assert os.listdir(tmp_path) == []
