"""Times prefill and decode of rocmforge and llama.cpp in turn and prints the ratios.

Terms are llama-bench's: pp is one batch of prompt tokens (prose of about four characters a token, as
many tokens for both engines), tg is tokens one at a time from an empty cache. Each round runs both engines in a process of their own, so that a machine whose speed
drifts drifts for both; the ratio is taken round by round and its median and range are printed.
"""
import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time

TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "text", "persuasion.txt")
RANDOM_STEP = 7919  # a walk through the vocabulary: the tokens do not matter, their variety does


def tokens_of(n, n_vocab):
    return [1 + (i * RANDOM_STEP) % (n_vocab - 1) for i in range(n)]


def peer(path, arguments):
    """llama.cpp: seconds of each test through its low-level interface, warmed up once."""
    import llama_cpp as api

    api.llama_backend_init()
    log = api.llama_log_callback(lambda level, text, user: None)
    api.llama_log_set(log, ctypes.c_void_p(0))
    model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
    options = api.llama_context_default_params()
    options.n_ctx = arguments.prompt + arguments.generate + 64
    options.n_batch = options.n_ubatch = max(arguments.prompt, 1)
    options.n_threads = options.n_threads_batch = arguments.threads
    context = api.llama_init_from_model(model, options)
    n_vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))

    def decode(ids):
        array = (ctypes.c_int32 * len(ids))(*ids)  # the batch borrows it
        batch = api.llama_batch_get_one(array, len(ids))
        if api.llama_decode(context, batch) != 0:
            sys.exit("llama.cpp: decode failed")
        api.llama_synchronize(context)

    def clear():
        api.llama_memory_clear(api.llama_get_memory(context), True)

    def prefill():
        decode(tokens_of(arguments.prompt, n_vocab))

    def generate():
        for token in tokens_of(arguments.generate, n_vocab):
            decode([token])

    results = {}
    for name, work, n in (("pp", prefill, arguments.prompt), ("tg", generate, arguments.generate)):
        clear()
        decode(tokens_of(8, n_vocab))  # warm-up
        clear()
        start = time.perf_counter()
        work()
        results[name] = n / (time.perf_counter() - start)
    return results


def peer_in_process(path, arguments, n_prompt):
    command = [sys.executable, os.path.abspath(__file__), "--peer", path, "-p", str(n_prompt),
               "-n", str(arguments.generate), "-t", str(arguments.threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def generate(path, arguments, text, n):
    command = [arguments.rocmforge, "generate", "-m", path, "--raw", "-p", text, "-n", str(n), "-t", str(arguments.threads),
               "-b", "4096", "--temp", "0", "--ignore-eos", "--json", "-q"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout.decode(errors="replace"))["timings"]


def ours(path, arguments):
    """The same through `generate`: prose as the prompt, then tokens after a prompt of one word."""
    with open(TEXT, encoding="utf-8") as stream:
        prose = stream.read()[: arguments.prompt * 4]
    long = generate(path, arguments, prose, 1)
    short = generate(path, arguments, "The", arguments.generate)
    return long["prompt_tokens"], {"pp": long["prompt_tokens_per_second"], "tg": short["tokens_per_second"]}


def spread(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}} … {max(values):{form}})"


def main():
    parser = argparse.ArgumentParser(prog="bench/compare-cpu", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL.gguf")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("-p", "--prompt", type=int, default=512, help="prompt tokens, about (default 512)")
    parser.add_argument("-n", "--generate", type=int, default=64, help="tokens one at a time (default 64)")
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count(), help="threads of both engines")
    parser.add_argument("-r", "--rounds", type=int, default=5, help="rounds of both in turn (default 5)")
    parser.add_argument("--rocmforge", default="build/release/rocmforge", help="the binary to time")
    arguments = parser.parse_args()
    if arguments.peer:
        print(json.dumps(peer(arguments.peer, arguments)))
        return
    if not arguments.models:
        parser.error("name at least one model file")
    print("| model | test | rocmforge, tokens/s | llama.cpp, tokens/s | ratio |\n|---|---|---|---|---|")
    for path in arguments.models:
        rounds = []
        for _ in range(arguments.rounds):
            n_prompt, mine = ours(path, arguments)
            rounds.append((mine, peer_in_process(path, arguments, n_prompt)))
        for test, n in (("pp", n_prompt), ("tg", arguments.generate)):
            mine, theirs = [a[test] for a, _ in rounds], [b[test] for _, b in rounds]
            ratios = [a / b for a, b in zip(mine, theirs)]
            print(f"| {os.path.basename(path)} | {test}{n} | {spread(mine, '.0f')} | {spread(theirs, '.0f')} "
                  f"| {spread(ratios, '.2f')} |", flush=True)


main()
