"""Times prefill and decode of rocmforge and llama.cpp in turn and prints the ratios.

The tests are llama-bench's: ppN is a prefill of N tokens, tgN is N tokens one at a time, xS in S
sequences at once, @ dD with D tokens in the cache before. Each round runs both engines, each in a
process of its own and warmed up, so that a machine whose speed drifts drifts for both; the ratio is
taken round by round, and its median and range are printed.
"""
import argparse
import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import time

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "rocmforge", "variants")
CACHE_TYPES = {"f32": 0, "f16": 1, "q8_0": 8}  # ggml's numbers
FLASH = {"auto": -1, "off": 0, "on": 1}
UBATCH = 512  # llama-bench's


class Peer:
    """llama.cpp through the low-level interface of llama-cpp-python."""

    def __init__(self, path, arguments):
        import llama_cpp
        self.api = api = llama_cpp
        api.llama_backend_init()
        self.log = api.llama_log_callback(lambda level, text, user: None)
        api.llama_log_set(self.log, ctypes.c_void_p(0))
        self.model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama.cpp: cannot load {path}")
        self.n_vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))
        self.n_seqs = max(arguments.sequences)
        longest = max(arguments.depths) + max(arguments.prompts + arguments.generates)
        options = api.llama_context_default_params()
        options.n_ctx = self.n_seqs * (longest + 64)
        options.n_batch, options.n_ubatch = 2048, UBATCH
        options.n_seq_max = self.n_seqs
        options.kv_unified = True
        options.n_threads = options.n_threads_batch = arguments.threads
        options.type_k, options.type_v = CACHE_TYPES[arguments.type_k], CACHE_TYPES[arguments.type_v]
        options.flash_attn_type = FLASH["on" if arguments.type_v == "q8_0" else arguments.flash]
        self.context = api.llama_init_from_model(self.model, options)
        if not self.context:
            sys.exit("llama.cpp: cannot make a context")
        self.memory = api.llama_get_memory(self.context)
        self.batch = api.llama_batch_init(2048, 0, 1)
        rng = random.Random(1)
        self.tokens = [[rng.randrange(self.n_vocab) for _ in range(longest)] for _ in range(self.n_seqs)]

    def decode(self, rows):
        """rows: (sequence, position, wants logits)."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (seq, position, wanted) in enumerate(rows):
            batch.token[i] = self.tokens[seq][position]
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = seq
            batch.logits[i] = wanted
        if self.api.llama_decode(self.context, batch) != 0:
            sys.exit("llama.cpp: decode failed")

    def prefill(self, seq, begin, end, wanted):
        for at in range(begin, end, UBATCH):
            stop = min(at + UBATCH, end)
            self.decode([(seq, p, int(wanted and p == end - 1)) for p in range(at, stop)])
        self.api.llama_synchronize(self.context)

    def generate(self, n_seqs, begin, n):
        for position in range(begin, begin + n):
            self.decode([(seq, position, 1) for seq in range(n_seqs)])
            self.api.llama_synchronize(self.context)

    def prepare(self, n_seqs, depth):
        """Leaves depth tokens in each sequence."""
        kept = all(self.api.llama_memory_seq_rm(self.memory, seq, depth, -1) for seq in range(self.n_seqs))
        held = [self.api.llama_memory_seq_pos_max(self.memory, seq) + 1 for seq in range(n_seqs)]
        if kept and held == [depth] * n_seqs and (n_seqs == self.n_seqs or depth == 0):
            return
        self.api.llama_memory_clear(self.memory, True)
        for seq in range(n_seqs if depth else 0):
            self.prefill(seq, 0, depth, False)

    def time(self, test):
        kind, n, n_seqs, depth = test

        def work(count):
            if kind == "pp":
                self.prefill(0, depth, depth + n, True)
            else:
                self.generate(n_seqs, depth, count)
        self.prepare(n_seqs, depth)
        work(1)  # llama-bench's warm-up: the whole prompt, or one token
        self.prepare(n_seqs, depth)
        start = time.perf_counter()
        work(n)
        return n * n_seqs / (time.perf_counter() - start)


def tests_of(arguments):
    """In the order of `rocmforge bench`."""
    found = []
    for depth in arguments.depths:
        found += [("pp", n, 1, depth) for n in arguments.prompts]
        found += [("tg", n, seqs, depth) for n in arguments.generates for seqs in arguments.sequences]
    return found


def name_of(test):
    kind, n, n_seqs, depth = test
    return f"{kind}{n}" + (f" x{n_seqs}" if n_seqs > 1 else "") + (f" @ d{depth}" if depth else "")


def theirs(path, argv):
    done = subprocess.run([sys.executable, os.path.abspath(__file__), "--peer", path, *argv], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip().split("\n")[-1] or "llama.cpp: failed")
    return json.loads(done.stdout)


def joined(numbers):
    return ",".join(map(str, numbers)) or "none"


def ours(path, arguments):
    """Tokens a second of each test, and the share of the read bandwidth."""
    command = [arguments.rocmforge, "bench", "-m", path, "-p", joined(arguments.prompts), "-n", joined(arguments.generates),
               "-d", joined(arguments.depths), "-npl", joined(arguments.sequences), "-t", str(arguments.threads), "-r", "1",
               "-ctk", arguments.type_k, "-ctv", arguments.type_v, "-b", str(UBATCH), "-q", "-o", "json",
               *(["--isa", "avx2"] if arguments.avx2 else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return {row["test"]: row for row in json.loads(done.stdout)}


def made(arguments, target, *command):
    """A file in the cache, made by rocmforge unless it is there."""
    path = os.path.join(CACHE, target)
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        print(f"compare-cpu: making {path}", file=sys.stderr)
        full = [arguments.rocmforge, *(path if word is None else word for word in command), "-q"]
        if subprocess.run(full, stdout=subprocess.DEVNULL).returncode:
            sys.exit(f"compare-cpu: {' '.join(full)}: failed")
    return path


def models_of(arguments):
    paths = list(arguments.models)
    if arguments.variants:
        source = os.path.abspath(paths[0])
        stem = os.path.basename(source).removesuffix(".gguf")
        key = f"{os.stat(source).st_size:x}"
        paths += [made(arguments, f"{stem}-{key}-{kind}.gguf", "quantize", source, None, kind, "--allow-requantize")
                  for kind in arguments.variants]
    paths += [made(arguments, spec.replace(":", "-") + ".gguf", "synthesize", spec, None) for spec in arguments.synthetic]
    return paths


def spread(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}} … {max(values):{form}})"


def compare(path, arguments, argv):
    """One row a test: both engines' tokens a second of each round, and their ratio."""
    rounds = [(ours(path, arguments), theirs(path, argv)) for _ in range(arguments.rounds)]
    for test in map(name_of, tests_of(arguments)):
        mine, other = [a[test]["avg_ts"] for a, _ in rounds], [b[test] for _, b in rounds]
        yield {"model": os.path.basename(path), "test": test, "rocmforge_ts": mine, "llama_cpp_ts": other,
               "ratio": [a / b for a, b in zip(mine, other)], "read_share": [a[test]["read_share"] for a, _ in rounds],
               "logits_hash": rounds[0][0][test]["logits_hash"]}


def print_table_row(row):
    print(f"| {row['model']} | {row['test']} | {spread(row['rocmforge_ts'], '.0f')} | {spread(row['llama_cpp_ts'], '.0f')} "
          f"| {spread(row['ratio'], '.2f')} | {100 * statistics.median(row['read_share']):.0f} % |", flush=True)


def counts(least):
    """Numbers between commas; none is an empty list."""
    def parse(text):
        numbers = [] if text == "none" else [int(item) for item in text.split(",")]
        if any(n < least for n in numbers):
            raise argparse.ArgumentTypeError(f"found {text}, expected numbers from {least}")
        return numbers
    parse.__name__ = "list of numbers"
    return parse


def words(text):
    return [word for word in text.split(",") if word]


def parse(argv):
    parser = argparse.ArgumentParser(prog="bench/compare-cpu", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL.gguf")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("-p", dest="prompts", type=counts(1), default=[512], metavar="N,N", help="prefill (default 512)")
    parser.add_argument("-n", dest="generates", type=counts(1), default=[128], metavar="N,N", help="decode (default 128)")
    parser.add_argument("-d", dest="depths", type=counts(0), default=[0], metavar="N,N", help="tokens in the cache (default 0)")
    parser.add_argument("-npl", dest="sequences", type=counts(1), default=[1], metavar="N,N", help="sequences of decode (default 1)")
    parser.add_argument("-t", dest="threads", type=int, default=os.cpu_count(), metavar="N", help="threads of both engines")
    parser.add_argument("-r", dest="rounds", type=int, default=5, metavar="N", help="rounds of both in turn (default 5)")
    parser.add_argument("-ctk", dest="type_k", choices=CACHE_TYPES, default="f16", help="how both keep keys")
    parser.add_argument("-ctv", dest="type_v", choices=CACHE_TYPES, default="f16", help="how both keep values")
    parser.add_argument("-fa", dest="flash", choices=FLASH, default="auto", help="llama.cpp's flash attention; q8_0 values need it")
    parser.add_argument("--variants", type=words, default=[], metavar="TYPE,TYPE",
                        help="also what `quantize` makes of the first model, kept in the cache folder")
    parser.add_argument("--synthetic", type=words, default=[], metavar="SHAPE:TYPE,…", help="also random weights of a shape")
    parser.add_argument("--avx2", action="store_true", help="both engines without AVX-512")
    parser.add_argument("-o", dest="output", choices=["md", "json"], default="md", help="form of the result (default md)")
    parser.add_argument("--rocmforge", default="build/release/rocmforge", help="the binary to time")
    arguments = parser.parse_args(argv)
    if not arguments.models and not arguments.synthetic and not arguments.peer:
        parser.error("name at least one model file")
    if arguments.variants and not arguments.models:
        parser.error("--variants: needs a model to make them of")
    if not arguments.prompts + arguments.generates or not arguments.depths or not arguments.sequences:
        parser.error("no test is left")
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("-r and -t: expected at least 1")
    return arguments


def main():
    arguments = parse(sys.argv[1:])
    if arguments.peer:
        peer = Peer(arguments.peer, arguments)
        print(json.dumps({name_of(test): peer.time(test) for test in tests_of(arguments)}))
        return
    # What the peer must know; its own arguments are the same program's.
    argv = ["-p", joined(arguments.prompts), "-n", joined(arguments.generates), "-d", joined(arguments.depths), "-npl",
            joined(arguments.sequences), "-t", str(arguments.threads), "-ctk", arguments.type_k, "-ctv", arguments.type_v,
            "-fa", arguments.flash]
    rows = []
    for path in models_of(arguments):
        for row in compare(path, arguments, argv):
            if arguments.output == "md" and not rows:
                print("| model | test | rocmforge, tokens/s | llama.cpp, tokens/s | ratio | of read |\n|---|---|---|---|---|---|")
            if arguments.output == "md":
                print_table_row(row)
            rows.append(row)
    if arguments.output == "json":
        print(json.dumps(rows, indent=1))


main()
