import json
import os

import pytest

from conftest import GOLDEN, fails, ok


@pytest.mark.parametrize("name", ["llama", "gemma3", "qwen3moe", "phi3"])
def test_json(name):
    path = GOLDEN / "models" / f"{name}.gguf"
    got = json.loads(ok("inspect", path, "--json", "--program").out)
    assert got["file_bytes"] == path.stat().st_size and got["version"] == 3
    assert got["model"]["arch"] == name and got["metadata"]["general.architecture"] == name
    assert got["tokenizer"]["n_tokens"] == got["model"]["n_vocab"] == 320
    names = [t["name"] for t in got["tensors"]]
    assert len(set(names)) == len(names) and "token_embd.weight" in names
    assert sum(t["bytes"] for t in got["tensors"]) < got["file_bytes"]
    ops = got["program"]
    assert ops[0]["op"] == "embed" and ops[-1]["out"]["columns"] == 320
    used = {w["name"] for op in ops for w in op["weights"]}
    assert used <= set(names) and "token_embd.weight" in used
    assert all(op["bytes"] == sum(w["bytes"] for w in op["weights"]) for op in ops)


def test_text(tiny):
    text = ok("inspect", tiny).out
    for part in ("File", "Model", "Tokenizer", "Chat template", "Metadata", "Tensors", "Types", "blk.0.attn_q.weight", "F32"):
        assert part in text
    program = ok("inspect", "-m", tiny, "--program").out
    assert "attention" in program and "x[96] -> qkv[160]" in program.replace("h[96]", "x[96]")


def test_vocabulary_only(vocab):
    text = ok("inspect", vocab("gemma3")).out
    assert "cannot run" in text and "model llama" in text and "262144 tokens" in text
    fails(1, "inspect", vocab("gemma3"), "--program", says="gemma3")


def test_bad_files(tmp_path, tiny):
    fails(2, "inspect", says="found no file")
    fails(1, "inspect", tmp_path / "absent.gguf", says=["absent.gguf", "No such file"])
    fails(1, "inspect", tmp_path, says=str(tmp_path))
    fails(1, "inspect", "/dev/null", says="/dev/null")
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGML" + bytes(100))
    fails(1, "inspect", bad, says=["bad.gguf", "expected"])
    whole = tiny.read_bytes()
    for cut in (3, 23, 100, 5000, len(whole) // 2, len(whole) - 1):
        bad.write_bytes(whole[:cut])
        fails(1, "inspect", bad, says="bad.gguf")
    if os.getuid() != 0:
        bad.chmod(0)
        fails(1, "inspect", bad, says="Permission denied")


def test_control_characters_do_not_reach_the_terminal(tmp_path, tiny):
    evil = tmp_path / "evil.gguf"
    data = tiny.read_bytes()
    at = data.index(b"tokenizer.ggml.model")
    evil.write_bytes(data.replace(b"gpt-2", b"\x1b[2Jx", 1) if data.index(b"gpt-2") > at else data)
    assert b"\x1b" not in ok("inspect", evil).bytes
