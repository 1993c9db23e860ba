"""Every hostile file, through the whole program: a message that names the trouble, status 1, nothing on stdout."""
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("ROCMFORGE_BIN", os.path.join(ROOT, "build/release/rocmforge"))
GENERATOR = os.path.join(os.path.dirname(BIN), "tests", "hostile")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile")
    subprocess.run([GENERATOR, str(path)], cwd=ROOT, check=True)
    return path


def test_every_hostile_file_is_refused(folder):
    with open(folder / "index.tsv") as lines:
        files = [line.split("\t")[0] for line in lines]
    assert len(files) > 500
    wrong = []
    for name in files:
        done = subprocess.run([BIN, "generate", "-m", str(folder / name), "-p", "Hello", "-n", "2"],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        text = done.stderr.decode(errors="replace")
        if done.returncode != 1 or done.stdout or "error: " not in text or "error: \n" in text:
            wrong.append(f"{name}: status {done.returncode}: {text[-200:]}")
    assert not wrong, "\n".join(wrong)
