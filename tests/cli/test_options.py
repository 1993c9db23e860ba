import re
import subprocess

import pytest

from conftest import BIN, ROOT, environment, fails, ok, run

COMMANDS = ["generate", "chat", "inspect", "plan", "perplexity", "logits", "bench", "tokenize", "template", "completion", "help"]


def test_help_names_every_command():
    text = ok("--help").out
    assert all(re.search(rf"^  {name} ", text, re.M) for name in COMMANDS)
    assert ok("help").out == text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    text = ok(command, "--help").out
    assert text.startswith(f"Usage: rocmforge {command} [options]")
    assert ok("help", command).out == text and "--print-config" in text
    assert max(map(len, text.split("\n"))) <= 100


def test_version_and_no_command():
    assert re.fullmatch(r"rocmforge \d+\.\d+\.\d+\n", ok("--version").out)
    assert fails(2, says=["no command", "rocmforge --help"]).out == ""


@pytest.mark.parametrize("args, says", [
    (["generate", "--tmep", "1"], ["--tmep", "did you mean --temp?", "rocmforge generate --help"]),
    (["genrate"], ['"genrate"', 'did you mean "generate"?']),
    (["zzzzzz"], ['"zzzzzz" is no command']),
    (["generate", "--temp"], ["--temp", "nothing after it", "a number from 0"]),
    (["generate", "-p", "-n", "3"], ["-p", "found the option -n", "--prompt=TEXT"]),
    (["generate", "--program"], ["--program", "inspect"]),
    (["inspect", "a", "b"], ['"b"', "expected FILE"]),
    (["completion"], ["found no argument"]),
    (["completion", "tcsh"], ['"tcsh"', "bash, zsh or fish"]),
    (["help", "genrate"], ['"genrate"', "rocmforge help generate"]),
    (["generate", "--help=yes"], ["--help", "expected none"]),
    (["generate", "--no-raw=off"], ["no such option"]),
    (["generate", "--no-model"], ["no such option"]),
    (["generate", "--isa", "sse"], ['"sse"', "auto, avx512, avx2, none"]),
    (["generate", "--raw=maybe"], ['"maybe"', "on or off"]),
    (["generate", "--model="], ["--model", "a file name"]),
])
def test_usage(args, says):
    assert fails(2, *args, says=says).out == ""


@pytest.mark.parametrize("option", ["--temp", "--n-predict", "--threads", "--top-p", "--seed"])
@pytest.mark.parametrize("value", ["", " 1", "1 ", "1x", "nan", "inf", "-inf", "0x10", "1e999", "--5", "1,0", "½", "٣",
                                   "99999999999999999999999999"])
def test_numbers_are_strict(option, value):
    fails(2, "generate", f"{option}={value}", says=[option, f'found "{value}"', "expected a"])


@pytest.mark.parametrize("option, value, ok_value", [
    ("--temp", "-0.1", "0"), ("--top-p", "1.01", "1"), ("--threads", "-1", "512"), ("--threads", "513", "0"),
    ("--predict", "-2", "-1"), ("--ctx-size", "16777217", "16777216"), ("--batch-size", "0", "1"), ("--temp", "1.5", ".5"),
    ("--n-probs", "129", "128"),
])
def test_ranges(option, value, ok_value):
    ok("generate", "--print-config", f"{option}={ok_value}")
    if option != "--temp" or value != "1.5":
        fails(2, "generate", f"{option}={value}", says=[option, value, "from"])
    else:
        assert re.search(r"^temp +1\.5  \(command line\)$", ok("generate", "--print-config", "--temp=1.5").out, re.M)


def test_print_config_tells_the_source():
    text = ok("generate", "--print-config", "--temp", "0.5", "--no-raw", "--stop", "a", "--stop", "b",
              env={"ROCMFORGE_CTX_SIZE": "123", "ROCMFORGE_TEMP": "0.1", "ROCMFORGE_SEED": "", "ROCMFORGE_STOP": "x"}).out
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines()}
    assert rows["temp"] == "0.5 (command line)" and rows["ctx-size"] == "123 (environment)"
    assert rows["seed"] == "-1 (default)" and rows["raw"] == "off (command line)" and rows["model"] == "(not set)"
    assert rows["stop"] == "a | b (command line)"
    assert "program" not in rows and "help" not in rows


def test_every_variable_is_read():
    """Each line of the list of variables, uncommented with a value, reaches --print-config."""
    listed = re.findall(r"^#(ROCMFORGE_\w+)=(.*)$", ok("help", "environment").out, re.M)
    assert len(listed) > 50
    samples = {name: value or "7" for name, value in listed}
    rows = {line.split()[0]: line for line in ok("--print-config", env=samples).out.splitlines()}
    assert len(rows) == len(listed)
    for name, value in samples.items():
        flag = name[len("ROCMFORGE_"):].lower().replace("_", "-")
        assert "(environment)" in rows[flag] and (value in rows[flag] or "(hidden)" in rows[flag])


def test_bad_and_unknown_variables():
    fails(2, "generate", env={"ROCMFORGE_TEMP": "hot"}, says=["ROCMFORGE_TEMP", '"hot"', "rocmforge help environment"])
    done = ok("--print-config", env={"ROCMFORGE_CTXSIZE": "5", "ROCMFORGE_QWERTZUIOP": "1"})
    assert "ROCMFORGE_CTXSIZE: no such variable; did you mean ROCMFORGE_CTX_SIZE?" in done.err
    assert "ROCMFORGE_QWERTZUIOP: no such variable" in done.err
    ok("--help", env={"ROCMFORGE_TEMP": "hot"})


def test_variables_of_other_commands_are_checked_and_left_alone(tiny):
    other = {"ROCMFORGE_KV_TOKENS": "1", "ROCMFORGE_PROGRAM": "on", "ROCMFORGE_STOP": "e"}
    assert ok("logits", "-m", tiny, "--ids", "1,2,3", env=other).out.count("row") == 3
    fails(2, "logits", "-m", tiny, "--ids", "1", env={"ROCMFORGE_KV_TOKENS": "x"}, says="ROCMFORGE_KV_TOKENS")


def test_env_example_is_fresh():
    assert (ROOT / ".env.example").read_text() == ok("help", "environment").out, \
        "run: build/release/rocmforge help environment > .env.example"


def test_colors():
    assert "\033[" not in ok("--help").out
    assert "\033[1m" in ok("--help", "--color", "always").out
    assert "\033[" in run("chat", "--color=always").err
    assert "\033[" not in run("chat").err
    assert "\033[" not in run("chat", env={"NO_COLOR": "1"}).err


def test_bash_completion(tmp_path):
    script = tmp_path / "completion.bash"
    script.write_text(ok("completion", "bash").out)

    def complete(*words):
        code = (f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
                "[[ ${words[-1]} ]]; _rocmforge; printf '%s\\n' \"${COMPREPLY[@]}\"")
        return subprocess.run(["bash", "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert complete("rocmforge", "gen") == ["generate"]
    assert "--program" in complete("rocmforge", "inspect", "--pro") and complete("rocmforge", "chat", "--prog") == []
    assert complete("rocmforge", "plan", "-ctk", "q") == ["q8_0"]


@pytest.mark.parametrize("shell, mark", [("zsh", "_arguments"), ("fish", "complete -c rocmforge")])
def test_other_completions(shell, mark):
    text = ok("completion", shell).out
    assert mark in text and "ctx-size" in text and "fail-alloc" not in text


def test_standard_output_is_full():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BIN, "--help"], stdout=full, stderr=subprocess.PIPE, env=environment())
    assert done.returncode == 1 and b"No space left on device" in done.stderr
