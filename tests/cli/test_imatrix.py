"""imatrix: sums of squares of what each matrix is multiplied with, against a forward pass written here."""
import functools
import json
import math
import operator
import os
import struct

import pytest

from conftest import GOLDEN, fails, ok

MODELS = GOLDEN / "models"
CHUNK, CHUNKS = 20, 2
TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness. "
HEAD, N_HEAD, N_KV = 16, 6, 2  # of the tiny models
EPS = 1e-5


class Gguf:
    """F32 tensors of a file as lists of rows, matrix by matrix."""

    def __init__(self, path):
        self.bytes = path.read_bytes()
        about = json.loads(ok("inspect", path, "--json").out)
        self.metadata = about["metadata"]
        self.tensors = {t["name"]: t for t in about["tensors"]}

    @functools.cache
    def __getitem__(self, name):
        tensor = self.tensors[name]
        flat = struct.unpack_from(f"<{tensor['bytes'] // 4}f", self.bytes, tensor["offset"])
        shape = tensor["shape"] + [1] * (3 - len(tensor["shape"]))
        rows = [flat[i:i + shape[0]] for i in range(0, len(flat), shape[0])]
        return [rows[i:i + shape[1]] for i in range(0, len(rows), shape[1])]


def dot(a, b):
    return sum(map(operator.mul, a, b))


class Forward:
    """A Llama with or without experts in doubles; sums[name][matrix] and counts[name][matrix]."""

    def __init__(self, model, rope_base):
        self.model, self.rope_base = model, rope_base
        self.n_layer = 3
        self.sums, self.counts = {}, {}

    def times(self, name, x, matrix=0):
        weight = self.model[name]
        sums = self.sums.setdefault(name, [[0.0] * len(x) for _ in weight])
        counts = self.counts.setdefault(name, [0] * len(weight))
        sums[matrix] = [s + v * v for s, v in zip(sums[matrix], x)]
        counts[matrix] += 1
        return [dot(row, x) for row in weight[matrix]]

    def norm(self, name, x):
        scale = 1 / math.sqrt(dot(x, x) / len(x) + EPS)
        return [v * scale * w for v, w in zip(x, self.model[name][0][0])]

    def rotate(self, x, position):
        out = []
        for at in range(0, len(x), HEAD):
            for i in range(0, HEAD, 2):
                angle = position * self.rope_base ** (-i / HEAD)
                a, b, cos, sin = x[at + i], x[at + i + 1], math.cos(angle), math.sin(angle)
                out += [a * cos - b * sin, a * sin + b * cos]
        return out

    def attention(self, q, cache):
        out = []
        for h in range(N_HEAD):
            at, kv = h * HEAD, h // (N_HEAD // N_KV) * HEAD
            scores = [dot(q[at:at + HEAD], k[kv:kv + HEAD]) / math.sqrt(HEAD) for k, _ in cache]
            top = max(scores)
            weights = [math.exp(s - top) for s in scores]
            total = sum(weights)
            out += [sum(w * v[kv + i] for w, (_, v) in zip(weights, cache)) / total for i in range(HEAD)]
        return out

    def ffn(self, blk, h, kind="", matrix=0):
        gate = self.times(f"{blk}.ffn_gate{kind}.weight", h, matrix)
        up = self.times(f"{blk}.ffn_up{kind}.weight", h, matrix)
        return self.times(f"{blk}.ffn_down{kind}.weight", [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up)], matrix)

    def experts(self, blk, h):
        logits = self.times(f"{blk}.ffn_gate_inp.weight", h)
        chosen = sorted(range(len(logits)), key=lambda e: -logits[e])[:2]
        weights = [math.exp(logits[e] - logits[chosen[0]]) for e in chosen]
        parts = [self.ffn(blk, h, "_exps", e) for e in chosen]
        return [sum(w * v for w, v in zip(weights, row)) / sum(weights) for row in zip(*parts)]

    def chunk(self, tokens):
        caches = [[] for _ in range(self.n_layer)]
        for position, token in enumerate(tokens):
            x = list(self.model["token_embd.weight"][0][token])
            for layer, cache in enumerate(caches):
                blk = f"blk.{layer}"
                h = self.norm(f"{blk}.attn_norm.weight", x)
                q, k, v = (self.times(f"{blk}.attn_{n}.weight", h) for n in "qkv")
                cache.append((self.rotate(k, position), v))
                a = self.attention(self.rotate(q, position), cache)
                x = [u + w for u, w in zip(x, self.times(f"{blk}.attn_output.weight", a))]
                h = self.norm(f"{blk}.ffn_norm.weight", x)
                moe = f"{blk}.ffn_gate_inp.weight" in self.model.tensors
                x = [u + w for u, w in zip(x, self.experts(blk, h) if moe else self.ffn(blk, h))]
            self.times("output.weight", self.norm("output_norm.weight", x))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT * 3)
    return path


@functools.cache
def expected(name, rope_base, text):
    ids = json.loads(ok("tokenize", "-m", MODELS / f"{name}.gguf", "-f", text, "--json").out)["ids"]
    forward = Forward(Gguf(MODELS / f"{name}.gguf"), rope_base)
    for i in range(CHUNKS):
        forward.chunk(ids[i * CHUNK:(i + 1) * CHUNK])
    return forward


@pytest.mark.parametrize("name,rope_base", [("llama", 1e4), ("mixtral", 1e6)])
@pytest.mark.parametrize("options", [["--process-output"], ["-t", 3, "-b", 7], ["--reference"]])
def test_equals_a_forward_pass(tmp_path, text, name, rope_base, options):
    out = tmp_path / "out.gguf"
    ok("imatrix", "-m", MODELS / f"{name}.gguf", "-f", text, "-o", out, "-c", CHUNK, "--chunks", CHUNKS, "-ctk", "f32",
       "-ctv", "f32", *options)
    forward = expected(name, rope_base, text)
    got = Gguf(out)
    names = {n for n in forward.sums if n != "output.weight" or "--process-output" in options}
    assert set(got.tensors) == {n + end for n in names for end in (".in_sum2", ".counts")}
    assert got.metadata["general.type"] == "imatrix"
    assert got.metadata["imatrix.datasets"]["first_items"] == [str(text)]
    assert got.metadata["imatrix.chunk_count"] == CHUNKS and got.metadata["imatrix.chunk_size"] == CHUNK
    for n in names:
        assert [row[0] for row in got[n + ".counts"][0]] == forward.counts[n], n
        for mine, wanted in zip(got[n + ".in_sum2"][0], forward.sums[n]):
            assert list(mine) == pytest.approx(wanted, rel=1e-3, abs=1e-5 * max(wanted)), n


def test_tensors_that_hold_several_matrices(tmp_path, text):
    """phi3 has q, k and v in one tensor and gate and up in another: each counts a token once."""
    ok("imatrix", "-m", MODELS / "phi3.gguf", "-f", text, "-o", tmp_path / "out.gguf", "-c", CHUNK, "--chunks", 2)
    got = Gguf(tmp_path / "out.gguf")
    assert "blk.0.attn_qkv.weight.counts" in got.tensors and "blk.0.ffn_up.weight.counts" in got.tensors
    assert {got[n][0][0][0] for n in got.tensors if n.endswith(".counts")} == {2 * CHUNK}


def test_quantize_takes_it(tmp_path, text):
    matrix = tmp_path / "imatrix.gguf"
    ok("imatrix", "-m", MODELS / "mixtral.gguf", "-f", text, "-c", CHUNK, "-o", matrix)
    ok("quantize", MODELS / "mixtral.gguf", tmp_path / "plain.gguf", "Q4_0")
    ok("quantize", MODELS / "mixtral.gguf", tmp_path / "told.gguf", "Q4_0", "--imatrix", matrix)
    about = json.loads(ok("inspect", tmp_path / "told.gguf", "--json").out)["metadata"]
    assert about["quantize.imatrix.chunks_count"] > 0 and about["quantize.imatrix.dataset"] == str(text)
    told, plain = (tmp_path / "told.gguf").read_bytes(), (tmp_path / "plain.gguf").read_bytes()
    assert told != plain


def test_default_name_and_quiet(tmp_path, text):
    done = ok("imatrix", "-m", MODELS / "llama.gguf", "-f", text, "-c", CHUNK, "-q", cwd=tmp_path)
    assert done.err == "" and os.listdir(tmp_path) == ["imatrix.gguf"]


def test_bad_input(tmp_path, text):
    model, out = MODELS / "llama.gguf", tmp_path / "out.gguf"
    fails(2, "imatrix", "-f", text, "-o", out, says="--model")
    fails(2, "imatrix", "-m", model, "-o", out, says="--file")
    fails(1, "imatrix", "-m", model, "-f", tmp_path / "none.txt", "-o", out, says="none.txt")
    fails(2, "imatrix", "-m", model, "-f", text, "-o", out, "-c", 512, says=["at least one chunk of 512", "-c "])
    fails(2, "imatrix", "-m", model, "-f", text, "-o", out, "-c", CHUNK, "--chunks", 0, says="--chunks")
    fails(2, "imatrix", "-m", model, "-f", text, "-o", text, "-c", CHUNK, says="text.txt")
    fails(1, "imatrix", "-m", model, "-f", text, "-o", tmp_path / "none" / "out.gguf", "-c", CHUNK, says="none")
    (tmp_path / "bad.txt").write_bytes(b"abc\xff" * 100)
    fails(1, "imatrix", "-m", model, "-f", tmp_path / "bad.txt", "-o", out, "-c", CHUNK, says=["bad.txt", "UTF-8"])
    assert os.listdir(tmp_path) == ["bad.txt"] and text.read_text() == TEXT * 3
