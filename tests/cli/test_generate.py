import json
import os
import signal
import subprocess
import time

import pytest

from conftest import BIN, ROOT, environment, fails, ok, run

RAW = ["--raw", "--ignore-eos", "-q"]


def start(*args, **more):
    return subprocess.Popen([BIN, *map(str, args)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            env=environment(), **more)


def generate(tiny, *args, **more):
    return ok("generate", "-m", tiny, *RAW, "-p", "hello", *args, **more)


def test_text_alone_on_standard_output(tiny):
    done = ok("generate", "-m", tiny, "--raw", "--ignore-eos", "-p", "hello", "-n", "30", "--seed", "1")
    done.bytes.decode()
    assert "tok/s" in done.err and "GB/s" in done.err and "first token after" in done.err
    quiet = generate(tiny, "-n", "30", "--seed", "1")
    assert quiet.bytes == done.bytes and quiet.err == ""


def test_sources_of_the_prompt(tiny, tmp_path):
    want = generate(tiny, "-n", "8", "--temp", "0").bytes
    path = tmp_path / "prompt.txt"
    path.write_text("hello\n")
    args = ["generate", "-m", tiny, *RAW, "-n", "8", "--temp", "0"]
    assert ok(*args, "hello").bytes == ok(*args, "-f", path).bytes == ok(*args, input="hello").bytes == want
    assert ok(*args, "-f", "-", input="hello\n").bytes == want
    assert ok(*args[:1], *args[3:], env={"ROCMFORGE_MODEL": str(tiny), "ROCMFORGE_PROMPT": "hello"}).bytes == want


def test_json(tiny):
    got = json.loads(generate(tiny, "-n", "5", "--seed", "7", "--json", "--logprobs", "3").out)
    assert len(got["ids"]) == 5 == got["timings"]["generated_tokens"] and got["finish_reason"] == "length"
    assert got["seed"] == 7 and len(got["logprobs"]) == 5
    for item, token in zip(got["logprobs"], got["ids"]):
        assert item["id"] == token and len(item["top"]) == 3 and item["logprob"] <= item["top"][0]["logprob"] <= 0
    assert generate(tiny, "-n", "5", "--seed", "7").out == got["text"]
    assert json.loads(generate(tiny, "-n", "0", "--json").out)["ids"] == []


def test_a_seed_gives_the_same_text(tiny):
    args = ["-n", "40", "--seed", "42", "--temp", "1.5"]
    texts = {generate(tiny, *args, "-t", threads).bytes for threads in ("1", "2", "5")}
    texts.add(generate(tiny, *args, "-b", "2").bytes)
    assert len(texts) == 1 and generate(tiny, *args[:3], "43", *args[4:]).bytes not in texts


def test_stop_texts_across_tokens(tiny):
    ids = json.loads(generate(tiny, "-n", "60", "--seed", "3", "--json").out)
    text = ids["text"]
    for length in (1, 2, 5):
        stop = text[len(text) // 2:][:length]
        got = json.loads(generate(tiny, "-n", "60", "--seed", "3", "--json", "--stop", "never", "--stop", stop).out)
        assert got["text"] == text[:text.index(stop)] and got["finish_reason"] == "stop_text"
    assert generate(tiny, "-n", "60", "--seed", "3", "--stop", text[-3:] + "more").out == text


def test_end_token_and_bias(tiny):
    base = ["generate", "-m", tiny, "--raw", "-p", "hello", "--json", "-n", "20"]
    assert json.loads(ok(*base, "--logit-bias", "319+100").out)["finish_reason"] == "stop"
    got = json.loads(ok(*base, "--logit-bias", "319+100", "--ignore-eos").out)
    assert got["finish_reason"] == "length" and 319 not in got["ids"]
    got = json.loads(ok(*base, "--logit-bias", "70+100", "-l", "319-inf", "--samplers", "top_k;temperature").out)
    assert got["ids"] == [70] * 20


def test_samplers(tiny):
    greedy = generate(tiny, "-n", "10", "--temp", "0").out
    assert generate(tiny, "-n", "10", "--top-k", "1").out == greedy
    for extra in (["--mirostat", "2"], ["--dry-multiplier", "0.8"], ["--dynatemp-range", "0.5"], ["--sampler-seq", "kt"],
                  ["--dry-multiplier", "1", "--dry-sequence-breaker", "none"], ["--xtc-probability", "0.5"]):
        generate(tiny, "-n", "10", "--seed", "1", *extra)


def test_context(tiny):
    got = json.loads(ok("generate", "-m", tiny, *RAW, "-p", "ab", "-c", "16", "--json").out)
    assert got["finish_reason"] == "context_full" and len(got["prompt_ids"]) + len(got["ids"]) == 16
    done = fails(1, "generate", "-m", tiny, *RAW, "-p", "a b c d e f g h i j k l m", "-c", "8", says="context of 8")
    assert "has 18 tokens" in done.err and "-c " in done.err
    fails(1, "generate", "-m", tiny, *RAW, "-f", ROOT / "Makefile", says="context of 512")


def test_chat_template(tiny, chat_template):
    args = ["generate", "-m", tiny, "-p", "x", "--json", "-n", "1", "--chat-template-file", chat_template]
    got = json.loads(ok(*args, "--system", "S").out)
    shown = ok("tokenize", "-m", tiny, "--decode", "--ids", ",".join(map(str, got["prompt_ids"]))).out
    assert shown == "[system]S\n[user]x\n[assistant]\n"
    done = ok("generate", "-m", tiny, "-p", "x", "-n", "1")
    assert "no chat template" in done.err
    fails(1, "generate", "-m", tiny, "-p", "x", "--system", "S", says="tokenizer.chat_template")


@pytest.mark.parametrize("args, status, says", [
    ([], 2, "found no model"),
    (["-m", "TINY", "-p", ""], 2, "empty text"),
    (["-m", "TINY", "-p", b"a\xffb"], 1, "byte 0xff at offset 1"),
    (["-m", "TINY", "-p", "x", "--stop", ""], 2, "--stop"),
    (["-m", "TINY", "-p", "x", "--logit-bias", "x"], 2, "--logit-bias"),
    (["-m", "TINY", "-p", "x", "--logit-bias", "999+1"], 2, "999"),
    (["-m", "TINY", "-p", "x", "--samplers", "foo"], 2, 'sampler "foo" is unknown'),
    (["-m", "TINY", "-p", "x", "--samplers", "top_k", "--sampler-seq", "k"], 2, "one of them"),
    (["-m", "/nonexistent.gguf", "-p", "x"], 1, "/nonexistent.gguf"),
    (["-m", "TINY", "-p", "x", "-f", "y"], 2, "several prompts"),
    (["-m", "TINY", "-p", "x", "--chat-template-file", "/nonexistent"], 1, "/nonexistent"),
])
def test_bad_input(tiny, args, status, says):
    args = [str(tiny) if a == "TINY" else a for a in args]
    done = subprocess.run([BIN, "generate", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment())
    assert done.returncode == status and says in done.stderr.decode() and done.stdout == b""


def test_slow_types_are_refused(tmp_path):
    from conftest import GOLDEN
    data = bytearray((GOLDEN / "types" / "type-q4_k.gguf").read_bytes())
    name = b"blk.0.ffn_down.weight"
    at = data.index(name) + len(name) + 4 + 16  # after the name: n_dims, two dimensions, then the type
    data[at:at + 4] = (16).to_bytes(4, "little")
    (tmp_path / "iq2.gguf").write_bytes(data)
    fails(1, "generate", "-m", tmp_path / "iq2.gguf", *RAW, "-p", "x", "-n", "1", says="blk.0.ffn_down.weight")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tiny, number):
    child = start("generate", "-m", tiny, *RAW, "-p", "hello", "-c", "60000", "--reference", stdout=subprocess.PIPE)
    assert child.stdout.read(1)
    child.send_signal(number)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 128 + number and b"interrupted" in err


def test_interrupted_while_reading_the_prompt(tiny):
    child = subprocess.Popen([BIN, "generate", "-m", tiny, "-f", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=environment())
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20) == 130


def test_closed_and_full_standard_output(tiny):
    child = start("generate", "-m", tiny, *RAW, "-p", "hello", "-c", "4000", "-lv", "error", stdout=subprocess.PIPE)
    assert child.stdout.read(1)
    child.stdout.close()
    err = child.stderr.read()
    assert child.wait(timeout=20) == 1 and err == b"", err
    with open("/dev/full", "wb") as full:
        child = start("generate", "-m", tiny, *RAW, "-p", "hello", "-n", "50", stdout=full)
        assert b"No space left on device" in child.communicate(timeout=20)[1] and child.returncode == 1


def test_n_th_allocation_fails(tiny, chat_template):
    """Whichever allocation fails: a message and status 1, or none noticed it; never a crash or a leak."""
    program = ROOT / "build" / "asan" / "rocmforge"
    if not program.exists():
        pytest.skip("build/asan/rocmforge is not built")

    def go(n):
        args = [program, "generate", "-m", tiny, "--chat-template-file", chat_template, "-p", "hi", "-n", "3", "-q", "--seed",
                "1", "--logprobs", "2", "--json", "--stop", "zzz", "-t", "2", "-c", "64", "--fail-alloc", str(n)]
        return subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment(ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1"), timeout=60)
    whole = go(0)
    assert whole.returncode == 0, whole.stderr
    numbers = [*range(1, 24), *range(24, 200, 11), *range(200, 2000, 97), 10**8]
    n_failed = 0
    for n in numbers:
        done = go(n)
        assert done.returncode in (0, 1) and b"Sanitizer" not in done.stderr, (n, done.stderr.decode())
        assert done.returncode == 1 or json.loads(done.stdout)["ids"] == json.loads(whole.stdout)["ids"], n
        assert done.returncode == 0 or b"error: " in done.stderr, n
        n_failed += done.returncode
    assert n_failed > 20 and done.returncode == 0


def test_drafts_leave_the_output_as_it_is(tiny):
    for how in (["--temp", "0"], ["--temp", "1.2", "--seed", "5"]):
        want = generate(tiny, "-n", "80", *how).bytes
        assert generate(tiny, "-n", "80", *how, "--lookup").bytes == want
        assert generate(tiny, "-n", "80", *how, "--draft", tiny).bytes == want
        assert generate(tiny, "-n", "80", *how, "-md", tiny, "--draft-max", "3", "-b", "2").bytes == want
    timings = json.loads(generate(tiny, "-n", "80", "--temp", "0", "--draft", tiny, "--json").out)["timings"]
    assert 0 < timings["accepted_tokens"] <= timings["drafted_tokens"]
    note = ok("generate", "-m", tiny, *RAW[:2], "-p", "hello", "-n", "80", "--temp", "0", "--draft", tiny).err
    assert "drafts accepted" in note
    assert "drafts" not in ok("generate", "-m", tiny, *RAW[:2], "-p", "hello", "-n", "8").err


def test_refused_drafts(tiny, tmp_path):
    args = ["generate", "-m", tiny, *RAW, "-p", "hello", "-n", "8"]
    fails(2, *args, "--draft", tiny, "--lookup", says=["--draft and --lookup"])
    fails(2, *args, "--lookup", "--draft-max", "17", says=["--draft-max", "16"])
    fails(1, *args, "--draft", tmp_path / "none.gguf", says=["none.gguf"])
    other = tmp_path / "other.gguf"
    data = bytearray(tiny.read_bytes())
    at = data.index(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens") + 16
    for _ in range(300):  # strings: length in 8 bytes, then the text
        at += 8 + int.from_bytes(data[at:at + 8], "little")
    data[at + 8] ^= 1
    other.write_bytes(data)
    fails(1, *args, "--draft", other, says=["other.gguf", "llama.gguf", "token 300"])


def test_plan_counts_a_draft_model(tiny):
    alone = json.loads(ok("plan", "-m", tiny, "--json").out)
    drafting = json.loads(ok("plan", "-m", tiny, "--draft", tiny, "--json").out)
    assert drafting["weights_bytes"] == 2 * alone["weights_bytes"]
    assert drafting["kv_bytes"] >= 2 * alone["kv_bytes"]
