"""--device gpu from end to end on the emulator, and what goes wrong on the way."""
import pytest
from conftest import GOLDEN, ROOT, fails, ok

TINY = GOLDEN / "models" / "llama.gguf"
NOT_HERE = {"LD_LIBRARY_PATH": ""}


def emulator(wave, **more):
    return {"LD_LIBRARY_PATH": str(ROOT / "build" / "emu" / f"wave{wave}"), **{k: str(v) for k, v in more.items()}}


def numbers(*args, **more):
    return ok("generate", "-m", TINY, "--raw", "-p", "Hello there", "-n", 6, "--temp", 0, "--ignore-eos", "-c", 64, *args, **more).out


@pytest.mark.parametrize("wave", [32, 64])
def test_the_answer_is_the_processors(wave):
    assert numbers("--device", "gpu", env=emulator(wave)) == numbers()


def test_a_machine_without_gpus():
    fails(1, "generate", "-m", TINY, "--raw", "-p", "x", "--device", "gpu", env=NOT_HERE,
          says=["no GPU", "NVIDIA", "AMD", "rocmforge doctor"])


@pytest.mark.parametrize("fault, says", [
    ({"FAKE_FREE_MIB": 1}, ["free", "too few", "smaller context"]),
    ({"FAKE_LOAD": 218}, ["loading kernels", "218"]),
    ({"FAKE_LAUNCH": 719}, ["launching a kernel", "719"]),
    ({"FAKE_WAIT": 700}, ["waiting for", "700"]),
    ({"FAKE_ALLOC": 2}, ["taking", "bytes", "OUT_OF_MEMORY"]),
    ({"FAKE_COPY": 999}, ["copying from it", "999"]),
])
def test_what_fails_is_named(fault, says):
    fails(1, "generate", "-m", TINY, "--raw", "-p", "Hello", "-n", 2, "--device", "gpu", env=emulator(32, **fault), says=says)
