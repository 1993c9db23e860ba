import json
import random

import pytest

from conftest import GOLDEN, fails, ok, run

CLOCK = "2026-01-02T03:04:05"


def check(tmp_path, template, context, case, *flags):
    (tmp_path / "t.jinja").write_text(template, newline="")
    (tmp_path / "c.json").write_text(json.dumps(context))
    args = ["template", "--file", tmp_path / "t.jinja", "--context", tmp_path / "c.json", "--clock", CLOCK, *flags]
    if "expected" in case:
        assert ok(*args).bytes.decode() == case["expected"], case["id"]
        return
    done = fails(1, *args, "--json")
    answer = json.loads(done.out)
    if case["error_kind"] == "raise_exception":
        assert answer == {"error_kind": "raise_exception", "error": case["error"]}
    assert answer["error_kind"] in done.err


def chosen(cases, n):
    return random.Random(1).sample(cases, min(n, len(cases)))


@pytest.mark.parametrize("name", ["gguf-SmolLM2-135M-Instruct", "Qwen-Qwen3-0.6B", "meta-llama-Llama-3.1-8B-Instruct"])
def test_golden_templates(tmp_path, name):
    golden = json.load(open(GOLDEN / "templates" / f"{name}.json"))
    for case in chosen(golden["cases"], 25):
        context = {"messages": case["messages"], "tools": case.get("tools"), "documents": None,
                   "add_generation_prompt": case["add_generation_prompt"], "bos_token": golden["bos_token"],
                   "eos_token": golden["eos_token"], **case.get("kwargs", {})}
        flags = ["--continue-final-message"] if case.get("continue_final_message") else []
        check(tmp_path, golden["template"], context, case, *flags)


def test_language(tmp_path):
    for case in chosen(json.load(open(GOLDEN / "templates" / "language.json")), 80):
        check(tmp_path, case["template"], case["context"], case)


def test_continue_final(tmp_path):
    golden = json.load(open(GOLDEN / "templates" / "gguf-SmolLM2-135M-Instruct.json"))
    [case] = [c for c in golden["cases"] if c.get("continue_final_message")]
    context = {"messages": case["messages"], "add_generation_prompt": False}
    check(tmp_path, golden["template"], context, case, "--continue-final-message")


def test_of_a_model(smollm):
    text = ok("template", "-m", smollm, "--system", "S", "-p", "Hi").out
    assert text == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    context = json.dumps({"messages": [{"role": "user", "content": "x"}]})
    assert ok("template", "-m", smollm, "--context", "-", input=context).out.endswith("user\nx<|im_end|>\n")


def test_tokens_of_the_model(tmp_path, tiny):
    source = tmp_path / "t.jinja"
    source.write_text("{{ bos_token }}{{ eos_token }}{{ tools is none }}{{ x }}")
    args = ["template", "-m", tiny, "--file", source]
    assert ok(*args).out == "<|bos|><|eos|>True"
    assert ok(*args, "--context", "-", input='{ "bos_token": "B", "x": 5}').out == "B<|eos|>True5"
    assert ok(*args, "--context", "-", input=" {\n } ").out == "<|bos|><|eos|>True"


def test_bad_input(tmp_path, tiny):
    source = tmp_path / "t.jinja"
    source.write_text("{% if %}")
    fails(2, "template", says="--model FILE or --file FILE")
    fails(1, "template", "-m", tiny, says=["no chat template", "--raw"])
    fails(1, "template", "--file", source, says=["template: other", "line 1"])
    source.write_text("{{ raise_exception('why') }}")
    fails(1, "template", "--file", source, says=["raise_exception: why"])
    for context in ("", "[]", "{", '{"a": }', "null", "{} x"):
        assert run("template", "--file", source, "--context", "-", input=context).status == 1
    fails(2, "template", "--file", source, "--clock", "yesterday", says=["--clock", "yesterday"])
    fails(2, "template", "--file", source, "--clock", "2026-13-01T00:00:00", says="--clock")
    source.write_text("{{ strftime_now('%Y-%m-%d %H:%M:%S') }}")
    assert ok("template", "--file", source, "--clock", "0").out == "1970-01-01 00:00:00"
