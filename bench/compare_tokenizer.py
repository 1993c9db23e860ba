"""Times rocmforge's tokenizer and Hugging Face's on one core and prints the ratio.

The peer is built from the GGUF's own tokens, merges or scores, with the normaliser and pre-tokeniser that
tokenizer.ggml.pre stands for. Each round runs both in turn on the same text, and the median and range of the
rounds' ratios are printed. Where the ids of the text differ, nothing is timed and the exit status is 1.
"""
import argparse
import json
import lzma
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers  # noqa: E402

TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "text", "persuasion.txt")
CONTROL, USER_DEFINED, BYTE, UNKNOWN = 3, 4, 6, 2
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
CASED = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{SUFFIX}"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def gguf_keys(path):
    """The metadata of a GGUF file, strings as bytes."""
    with (lzma.open if path.endswith(".xz") else open)(path, "rb") as stream:
        def scalar(form):
            return struct.unpack("<" + form, stream.read(struct.calcsize(form)))[0]

        def value(kind):
            if kind == 8:
                return stream.read(scalar("Q"))
            if kind == 9:
                item, n = scalar("I"), scalar("Q")
                return [value(item) for _ in range(n)]
            return scalar(SCALARS[kind])

        if stream.read(4) != b"GGUF":
            sys.exit(f"compare-tokenizer: {path}: not a GGUF file")
        scalar("I"), scalar("Q")
        n_keys, keys = scalar("Q"), {}
        for _ in range(n_keys):
            name = value(8).decode()
            keys[name] = value(scalar("I"))
        return keys


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)


def pre_tokenizer(pre):
    """What the names of tokenizer.ggml.pre that the peer is built for stand for."""
    return {
        "llama-bpe": [split(WORD + "{1,3}" + TAIL), byte_level(False)],
        "qwen2": [split(WORD + TAIL), byte_level(False)],
        "gpt-4o": [split(CASED), byte_level(False)],
        "gpt-2": [byte_level(True)],
        "smollm": [pre_tokenizers.Digits(individual_digits=True), byte_level(True)],
        "starcoder": [pre_tokenizers.Digits(individual_digits=True), byte_level(True)],
    }.get(pre)


def byte_level_peer(keys, path):
    pre = keys["tokenizer.ggml.pre"].decode()
    steps = pre_tokenizer(pre)
    if not steps:
        sys.exit(f"compare-tokenizer: {path}: no peer for tokenizer.ggml.pre {pre}")
    vocab = {text.decode(): i for i, text in enumerate(keys["tokenizer.ggml.tokens"])}
    merges = []
    for merge in keys["tokenizer.ggml.merges"]:
        merge = merge.decode()
        cut = merge.index(" ", 1)
        merges.append((merge[:cut], merge[cut + 1:]))
    peer = Tokenizer(models.BPE(vocab, merges, ignore_merges=pre == "llama-bpe"))
    peer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if pre == "qwen2":
        peer.normalizer = normalizers.NFC()
    return peer


def sentencepiece_peer(keys):
    """Every way to cut a token into two is a merge, the highest score first, as SentencePiece ranks them."""
    texts = [text.decode() for text in keys["tokenizer.ggml.tokens"]]
    scores, types = keys["tokenizer.ggml.scores"], keys["tokenizer.ggml.token_type"]
    vocab, merges = {}, []
    for i, text in enumerate(texts):
        vocab.setdefault(text, i)
    plain = {text for text, kind in zip(texts, types) if kind not in (CONTROL, UNKNOWN, BYTE)}
    for i in sorted(range(len(texts)), key=lambda i: -scores[i]):
        text = texts[i]
        if text in plain:
            cuts = [(text[:k], text[k:]) for k in range(1, len(text)) if text[:k] in plain and text[k:] in plain]
            merges += sorted(cuts, key=lambda cut: (vocab[cut[0]], vocab[cut[1]]))
    unknown = texts[keys.get("tokenizer.ggml.unknown_token_id", 0)]
    peer = Tokenizer(models.BPE(vocab, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    steps = [normalizers.Replace(" ", "▁")]
    if keys.get("tokenizer.ggml.add_space_prefix", True):
        steps.insert(0, normalizers.Prepend("▁"))
    peer.normalizer = normalizers.Sequence(steps)
    return peer


def peer_of(path):
    keys = gguf_keys(path)
    model = keys["tokenizer.ggml.model"]
    if model not in (b"gpt2", b"llama"):
        sys.exit(f"compare-tokenizer: {path}: no peer for tokenizer.ggml.model {model.decode()}")
    peer = byte_level_peer(keys, path) if model == b"gpt2" else sentencepiece_peer(keys)
    pairs = zip(keys["tokenizer.ggml.tokens"], keys.get("tokenizer.ggml.token_type", []))
    peer.add_tokens([AddedToken(t.decode(), normalized=False) for t, kind in pairs if kind == USER_DEFINED])
    return peer


def ours(arguments, path, text_path):
    command = [arguments.rocmforge, "bench", "--tokenizer", "-m", path, "-f", text_path, "--repetitions", "1",
               "--output-format", "json"]
    (row,) = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return row["encode_mb_per_second"]["mean"]


def ids_of(arguments, path, text):
    command = [arguments.rocmforge, "tokenize", "-m", path, "--jsonl", "--no-add-special", "--no-parse-special"]
    done = subprocess.run(command, check=True, input=json.dumps({"text": text}).encode(), stdout=subprocess.PIPE)
    return json.loads(done.stdout)["ids"]


def spread(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}} … {max(values):{form}})"


def compare(arguments, path, text, text_path):
    peer = peer_of(path)
    theirs = peer.encode(text, add_special_tokens=False).ids  # the warm-up too
    mine = ids_of(arguments, path, text)
    if mine != theirs:
        at = next((i for i, (a, b) in enumerate(zip(mine, theirs)) if a != b), min(len(mine), len(theirs)))
        print(f"compare-tokenizer: {path}: ids differ at token {at}: rocmforge {mine[at:at + 8]}, "
              f"tokenizers {theirs[at:at + 8]}", file=sys.stderr)
        return False
    megabytes, rounds = len(text.encode()) / 1e6, []
    for _ in range(arguments.rounds):
        speed = ours(arguments, path, text_path)
        start = time.perf_counter()
        peer.encode(text, add_special_tokens=False)
        rounds.append((speed, megabytes / (time.perf_counter() - start)))
    a, b = [r[0] for r in rounds], [r[1] for r in rounds]
    print(f"| {os.path.basename(path)} | {len(mine)} | {spread(a, '.1f')} | {spread(b, '.2f')} "
          f"| {spread([x / y for x, y in rounds], '.1f')} |", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(prog="bench/compare-tokenizer", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL.gguf", help="model or vocabulary, .xz too")
    parser.add_argument("-f", "--file", default=TEXT, help="text (default: the golden English one)")
    parser.add_argument("--times", type=int, default=8, help="times that the text is repeated (default 8)")
    parser.add_argument("-r", "--rounds", type=int, default=5, help="rounds of both in turn (default 5)")
    parser.add_argument("--rocmforge", default="build/release/rocmforge", help="the binary to time")
    arguments = parser.parse_args()
    with open(arguments.file, encoding="utf-8", newline="") as stream:
        text = stream.read() * arguments.times
    print("| vocabulary | tokens | rocmforge, MB/s | tokenizers, MB/s | ratio |\n|---|---|---|---|---|", flush=True)
    agree = True
    with tempfile.TemporaryDirectory() as folder:
        text_path = os.path.join(folder, "text")
        with open(text_path, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        for path in arguments.models:
            unpacked = path
            if path.endswith(".xz"):
                unpacked = os.path.join(folder, os.path.basename(path)[:-3])
                with open(unpacked, "wb") as stream:
                    stream.write(lzma.open(path).read())
            agree = compare(arguments, unpacked, text, text_path) and agree
    sys.exit(0 if agree else 1)


main()
