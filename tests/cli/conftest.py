"""Drives the program that ROCMFORGE_BIN names (default: the release build) as a user would."""
import lzma
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
BIN = os.environ.get("ROCMFORGE_BIN") or str(ROOT / "build" / "release" / "rocmforge")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "rocmforge" / "models"


def environment(**more):
    """This process's variables without any that change the program."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ROCMFORGE_") and k != "NO_COLOR"}
    return {**kept, **more}


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.bytes = done.stdout
        self.out = done.stdout.decode(errors="replace")
        self.err = done.stderr.decode(errors="replace")


def run(*args, input=b"", env=None, timeout=60, **more):
    if isinstance(input, str):
        input = input.encode()
    if "stdin" not in more:
        more["input"] = input
    return Result(subprocess.run([BIN, *map(str, args)], stdout=more.pop("stdout", subprocess.PIPE),
                                 stderr=subprocess.PIPE, env=environment(**(env or {})), timeout=timeout, **more))


def ok(*args, **more):
    result = run(*args, **more)
    assert result.status == 0, result.err
    return result


def fails(status, *args, says=(), **more):
    """The program ends with this status, names everything in says and prints no result."""
    result = run(*args, **more)
    assert result.status == status, (result.status, result.out, result.err)
    for text in [says] if isinstance(says, str) else says:
        assert text in result.err, (text, result.err)
    return result


@pytest.fixture(scope="session")
def tiny():
    return GOLDEN / "models" / "llama.gguf"


@pytest.fixture(scope="session")
def chat_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "chat.jinja"
    path.write_text("{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}"
                    "{% if add_generation_prompt %}[assistant]{% endif %}")
    return path


@pytest.fixture(scope="session")
def vocab(tmp_path_factory):
    """Unpacks one of the golden vocabularies."""
    folder = tmp_path_factory.mktemp("vocab")

    def unpack(name):
        path = folder / f"{name}.gguf"
        if not path.exists():
            path.write_bytes(lzma.open(GOLDEN / "vocab" / f"{name}.gguf.xz").read())
        return path
    return unpack


@pytest.fixture(scope="session")
def smollm():
    path = CACHE / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if not path.exists():
        pytest.skip("SmolLM2 is not in the cache; make demo fetches it")
    return path
