"""The real models, where they are in the cache."""
import json

import pytest

from conftest import CACHE, GOLDEN, ok

SURE_GAP = 0.35  # below it, rounding may choose the other token (tests/golden/README.md)
CASES = json.load(open(GOLDEN / "models" / "smollm2-135m.json"))


def check_agreement(got, case):
    """Equal up to the first place where the golden answer was unsure."""
    for i, (a, b) in enumerate(zip(got, case["ids"])):
        if a != b:
            assert case["gaps"][i] < SURE_GAP, (i, a, b, case["gaps"][i])
            return


def test_golden_greedy_text(smollm):
    for case in CASES["greedy"][::2]:
        args = ["-p", case["prompt"], "--raw"] if "prompt" in case else ["-p", case["chat"]]
        got = json.loads(ok("generate", "-m", smollm, *args, "-n", "24", "--temp", "0", "--json").out)
        assert got["prompt_ids"] == case["prompt_ids"]
        check_agreement(got["ids"], case)


def test_exact_golden_text(smollm):
    """Activations and cache in F32 give the golden text to the last token."""
    [case] = [c for c in CASES["greedy"] if c.get("chat") == "What is the capital of France?"]
    done = ok("generate", "-m", smollm, "-p", case["chat"], "--temp", "0", "--reference", "-ctk", "f32", "-ctv", "f32")
    assert done.out == case["text"].replace("<|im_end|>", "")


def test_perplexity(smollm):
    path = GOLDEN / "text" / CASES["perplexity"]["text"]
    got = json.loads(ok("perplexity", "-m", smollm, "-f", path, "--chunks", "2", "--json").out)
    assert got["scored"] == 2 * 255
    assert got["running"] == pytest.approx(CASES["perplexity"]["running"][:2], rel=0.02)


def test_importance_matrix_helps(smollm, tmp_path):
    """Measured on other text than it was collected on."""
    text = (GOLDEN / "text" / CASES["perplexity"]["text"]).read_text()
    (tmp_path / "seen.txt").write_text(text[len(text) // 2:])
    ok("imatrix", "-m", smollm, "-f", tmp_path / "seen.txt", "--chunks", 6, "-o", tmp_path / "imatrix.gguf")
    perplexity = {}
    for name, more in {"plain": [], "told": ["--imatrix", tmp_path / "imatrix.gguf"]}.items():
        ok("quantize", smollm, tmp_path / name, "Q3_K_S", "--allow-requantize", *more)
        done = ok("perplexity", "-m", tmp_path / name, "-f", GOLDEN / "text" / CASES["perplexity"]["text"], "--chunks", 2,
                  "--json")
        perplexity[name] = json.loads(done.out)["perplexity"]
    assert perplexity["told"] < 0.98 * perplexity["plain"]


def test_chat(smollm):
    done = ok("chat", "-m", smollm, "--temp", "0", "-n", "10", input="Hi! Who are you?\n/stats\n")
    assert len(done.out) > 10 and "2 messages" in done.err


def test_perplexity_with_a_bos_in_each_window():
    model = CACHE / "gemma3-270m-Q4_K_M.gguf"
    if not model.exists():
        pytest.skip("Gemma 3 is not in the cache; make demo MODEL=gemma3-270m fetches it")
    golden = json.load(open(GOLDEN / "models" / "gemma3-270m.json"))["perplexity"]
    got = json.loads(ok("perplexity", "-m", model, "-f", GOLDEN / "text" / golden["text"], "--chunks", "1", "--json",
                        "--reference", "-ctk", "f32", "-ctv", "f32").out)
    assert got["running"] == pytest.approx(golden["running"][:1], rel=1e-4)
