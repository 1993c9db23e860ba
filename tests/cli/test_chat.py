import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import BIN, environment, fails, ok, run


@pytest.fixture
def chat(tiny, chat_template):
    return ["chat", "-m", tiny, "--chat-template-file", chat_template, "-n", "12", "--temp", "0", "-q"]


def saved(tmp_path, name="chat.json"):
    return json.loads((tmp_path / name).read_text())["messages"]


def test_piped(chat, tmp_path):
    lines = ["hello", "/stats", "more", f"/save {tmp_path}/chat.json", "/regen", f"/save {tmp_path}/again.json", "/help"]
    done = ok(*chat, input="\n".join(lines) + "\n")
    messages = saved(tmp_path)
    assert [m["role"] for m in messages] == ["user", "assistant"] * 2 and messages[2]["content"] == "more"
    assert done.out == "".join(messages[i]["content"] + "\n" for i in (1, 3, 3))
    assert saved(tmp_path, "again.json") == messages
    assert "2 messages" in done.err and "/regen" in done.err
    whole = ok("generate", *chat[1:], "-p", "hello").out
    assert whole == messages[1]["content"]


def test_cache_is_reused_without_a_trace(chat, tmp_path):
    """The second answer of a chat is that of a fresh one which loads the first turn."""
    ok(*chat, input=f"hello\n/save {tmp_path}/one.json\nmore\n/save {tmp_path}/two.json\n/stats\n")
    ok(*chat, input=f"/load {tmp_path}/one.json\nmore\n/save {tmp_path}/three.json\n")
    assert saved(tmp_path, "two.json") == saved(tmp_path, "three.json")


def test_cache_is_saved(chat, tmp_path):
    """Another process goes on with the cache that was saved: it computes none of the first turn again."""
    chat = [arg for arg in chat if arg != "-q"]
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    first = ok(*chat, input=f"hello, is anybody there?\n/save {one}\nmore\n/stats\n/save {two}\n")
    assert f"tokens: {one}.kv, " in first.err and one.with_name("one.json.kv").stat().st_size > 1000
    second = ok(*chat, input=f"/load {one}\nmore\n/stats\n/save {two}2\n")
    assert "tokens are in the cache" in second.err

    def prompt(err):  # "prompt 9 tokens (31 more in the cache)"
        return re.findall(r"prompt (\d+) tokens \((\d+) more in the cache\)", err)[-1]
    assert prompt(first.err) == prompt(second.err) and int(prompt(second.err)[1]) > 10
    assert saved(tmp_path, "two.json") == saved(tmp_path, "two.json2")


def test_cache_that_is_no_good(chat, tmp_path, tiny):
    """Without its cache, or with a damaged or foreign one, a conversation is loaded and goes on."""
    one = tmp_path / "one.json"
    ok(*chat, input=f"hello\n/save {one}\nmore\n/save {tmp_path}/two.json\n")
    cache = tmp_path / "one.json.kv"
    whole = cache.read_bytes()
    for damaged, says in [(whole[:-1], "expected"), (whole[:200] + b"?" + whole[201:], "damaged"),
                          (b"?" * 400, "not a saved sequence"), (b"", "0 bytes"), (None, "No such file")]:
        cache.write_bytes(damaged) if damaged is not None else cache.unlink()
        done = ok(*chat, input=f"/load {one}\nmore\n/save {tmp_path}/three.json\n")
        assert "2 messages" in done.err and "reads the conversation anew" in done.err and says in done.err
        assert saved(tmp_path, "three.json") == saved(tmp_path, "two.json")
    cache.write_bytes(whole)
    done = ok(*chat, "--cache-type-k", "f32", input=f"/load {one}\n")
    assert "keys as f16 and values as f16, this one f32 and f16" in done.err
    assert "nothing of it is in the cache" in ok(*chat, input=f"/save {tmp_path}/empty.json\n").err
    assert not (tmp_path / "empty.json.kv").exists()


def test_steps_are_recorded(chat, tmp_path):
    log, trace = tmp_path / "steps.jsonl", tmp_path / "trace.json"
    ok(*chat, "--step-log", log, "--step-trace", trace, input="hello\nmore\n")
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1)) and len(steps) > 10
    assert steps[-1]["requests"] == steps[-1]["finished"] == 2 and steps[-1]["cached_tokens"] > 0
    events = json.loads(trace.read_text())
    ends = [e["args"]["finish"] for e in events if e["ph"] == "X" and e["name"].startswith("request")]
    assert len(ends) == 2 and set(ends) <= {"stop", "length", "cancelled"}
    fails(1, *chat, "--step-log", "/proc/no/log", input="hello\n", says="/proc/no/log: cannot open")


def test_system_and_reset(chat, tmp_path):
    lines = ["/system Be brief", "hi", f"/save {tmp_path}/a.json", "/reset", f"/save {tmp_path}/b.json", "/system",
             f"/save {tmp_path}/c.json", "/exit", "never"]
    done = ok(*chat, input="\n".join(lines))
    assert [m["role"] for m in saved(tmp_path, "a.json")] == ["system", "user", "assistant"]
    assert saved(tmp_path, "b.json") == [{"role": "system", "content": "Be brief"}] and saved(tmp_path, "c.json") == []
    assert done.out.count("\n") == saved(tmp_path, "a.json")[2]["content"].count("\n") + 1


def test_errors_do_not_end_it(chat, tmp_path):
    (tmp_path / "bad.json").write_text('{"messages": [{"role": "user"}]}')
    lines = [b"/sav", b"/save", b"/load " + os.fsencode(tmp_path) + b"/absent.json", b"/load " + os.fsencode(tmp_path) + b"/bad.json",
             b"/save /proc/x.json", b"/regen", b"/reset now", b"a\xffb", b"word " * 300, b"   ", b"hi"]
    done = fails(1, *chat, input=b"\n".join(lines), says=[
        "did you mean /save?", "expected /save FILE", "absent.json: No such file", "message 0: expected", "/proc",
        "nothing has been asked", 'found "now"', "offset 1", "context of 512", "9 lines could not be answered"])
    assert done.out.endswith("\n") and len(done.out) > 1


def test_no_template(tiny):
    fails(1, "chat", "-m", tiny, says=["no chat template", "rocmforge generate --raw -m"])


class Terminal:
    """The program on a pseudo terminal."""

    def __init__(self, args, state):
        try:
            self.pid, self.fd = pty.fork()
        except OSError as error:  # a container without devpts
            pytest.skip(f"no pseudo terminal here: {error}")
        if self.pid == 0:
            os.execve(BIN, [BIN, *map(str, args)], environment(XDG_STATE_HOME=str(state), TERM="dumb"))
        self.seen = ""

    def wait_for(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, (text, self.seen)
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode(errors="replace")
                except OSError:
                    break
        assert text in self.seen, self.seen
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def type(self, text):
        os.write(self.fd, text.encode())

    def status(self):
        for _ in range(200):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("still running: " + self.seen)


def test_on_a_terminal(tiny, chat_template, tmp_path):
    args = ["chat", "-m", tiny, "--chat-template-file", chat_template, "-c", "60000", "--reference",
            "--logit-bias", "319-inf"]
    terminal = Terminal(args, tmp_path / "state")
    terminal.wait_for("> ")
    terminal.type("heLlo")
    terminal.type("\x7f\x7f\x7flo wörld\n")  # line editing
    terminal.wait_for("wörld\r\n")
    terminal.wait_for("e")  # of the answer
    terminal.type("\x03")  # stops the answer, not the program
    terminal.wait_for("(stopped)")
    terminal.wait_for("> ")
    terminal.type(f"/save {tmp_path}/chat.json\n")
    terminal.wait_for("> ")
    terminal.type("abc\x03")  # at the prompt: a hint
    terminal.wait_for("Ctrl-D leaves")
    terminal.wait_for("> ")
    terminal.type("/stats\n")
    terminal.wait_for("2 messages")
    terminal.wait_for("> ")  # only then is the terminal the editor's again
    terminal.type("\x04")
    assert terminal.status() == 0
    assert saved(tmp_path)[0]["content"] == "helo wörld"
    history = (tmp_path / "state" / "rocmforge" / "chat_history").read_text()
    assert "/stats" in history


def test_interrupted_when_piped(chat):
    child = subprocess.Popen([BIN, *map(str, chat)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20) == 130


def test_the_file_shrinks_while_it_is_mapped(tiny, chat_template, tmp_path):
    copy = tmp_path / "shrinks.gguf"
    copy.write_bytes(tiny.read_bytes())
    child = subprocess.Popen([BIN, "chat", "-m", copy, "--chat-template-file", chat_template, "-q", "-n", "4", "--reference"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    child.stdin.write(b"hi\n")
    child.stdin.flush()
    child.stdout.readline()
    os.truncate(copy, 4096)
    _, err = child.communicate(b"again\n", timeout=20)
    assert child.returncode == 1 and b"shrinks.gguf" in err and b"shrank" in err, err
