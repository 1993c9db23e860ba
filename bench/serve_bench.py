"""Times an OpenAI server as its users see it, at rising load; with --peer, this one and llama-server in turn."""
import argparse
import csv
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import serve_load
import serve_plot

SHOWN = ("load", "ok", "requests_s", "output_tokens_s", "ttft_p50_ms", "ttft_p99_ms", "tpot_p50_ms", "itl_p50_ms", "itl_p90_ms",
         "itl_p99_ms", "goodput_share", "goodput_requests_s")
RATIOS = ("output_tokens_s", "requests_s", "ttft_p50_ms", "ttft_p99_ms", "tpot_p50_ms", "itl_p99_ms")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Started:
    """A server of this program's own, ready to answer; ends with the block."""

    def __init__(self, name, command, ready):
        self.name, self.command, self.ready = name, command, ready

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.ready, timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise SystemExit(f"serve: {' '.join(self.command)}: did not get ready")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def ours(arguments, n_seqs):
    port, context = free_port(), arguments.max_input_len + arguments.max_output_len
    command = [arguments.rocmforge, "serve", "-m", arguments.model_file, "--port", str(port), "-t", str(arguments.threads),
               "--max-seqs", str(n_seqs), "--max-waiting", "4096", "-c", str(context), "--kv-tokens", str(context * n_seqs),
               "--no-log-requests"]
    return Started("rocmforge", command, f"http://127.0.0.1:{port}/readyz"), port


def theirs(arguments, n_seqs):
    port, context = free_port(), arguments.max_input_len + arguments.max_output_len
    command = [os.environ.get("LLAMA_SERVER", "llama-server"), "-m", arguments.model_file, "--port", str(port), "-t",
               str(arguments.threads), "-tb", str(arguments.threads), "-np", str(n_seqs), "-c", str(context * n_seqs)]
    return Started("llama-server", command, f"http://127.0.0.1:{port}/health"), port


def points(target, arguments):
    serve_load.measure(target, argparse.Namespace(**{**vars(arguments), "requests": 2, "output_len": 8}), 1)  # warm-up
    rows = [serve_load.measure(target, arguments, concurrency=n) for n in arguments.concurrency]
    return rows + [serve_load.measure(target, arguments, rate=r) for r in arguments.request_rate]


def in_turn(arguments):
    """Rows by server; of several rounds in turn, those with the most tokens a second at each point."""
    n_seqs, best = max(arguments.concurrency + [16 if arguments.request_rate else 1]), {}
    for _ in range(arguments.rounds):
        for make in (ours, theirs):
            server, port = make(arguments, n_seqs)
            with server:
                target = serve_load.Target(f"http://127.0.0.1:{port}", arguments.model)
                rows = points(target, arguments)
            kept = best.setdefault(server.name, rows)
            best[server.name] = [max(pair, key=lambda row: row["output_tokens_s"]) for pair in zip(kept, rows)]
    return best


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) and value < 100 else f"{value:.0f}" if isinstance(value, float) else str(value)


def print_md(series):
    print("| server | " + " | ".join(SHOWN) + " |\n|" + "---|" * (len(SHOWN) + 1))
    for name, rows in series.items():
        for row in rows:
            print(f"| {name} | " + " | ".join(cell(row[key]) for key in SHOWN) + " |")
    if len(series) == 2:
        (first, mine), (second, other) = series.items()
        print(f"\n{first} / {second}:\n\n| load | " + " | ".join(RATIOS) + " |\n|" + "---|" * (len(RATIOS) + 1))
        for a, b in zip(mine, other):
            print(f"| {a['load']} | " + " | ".join(f"{a[key] / b[key]:.2f}" if b[key] else "-" for key in RATIOS) + " |")


def print_csv(series):
    rows = [{"server": name, **row, "errors": "; ".join(row["errors"])} for name, found in series.items() for row in found]
    out = csv.DictWriter(sys.stdout, list(rows[0]))
    out.writeheader()
    out.writerows(rows)


def numbers(kind):
    def parse(text):
        found = [kind(item) for item in re.split(",", text) if item]
        if any(n <= 0 for n in found):
            raise argparse.ArgumentTypeError(f"found {text}, expected numbers above 0")
        return found
    parse.__name__ = "list of numbers"
    return parse


def parse(argv):
    parser = argparse.ArgumentParser(prog="bench/serve", description=__doc__)
    parser.add_argument("--url", help="an OpenAI server, as http://127.0.0.1:8080")
    parser.add_argument("--peer", dest="model_file", metavar="MODEL.gguf", help="start rocmforge and llama-server on this, in turn")
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY"), help="default: OPENAI_API_KEY")
    parser.add_argument("--model", default="default", help="the name that requests carry")
    parser.add_argument("--concurrency", type=numbers(int), default=None, metavar="N,N", help="requests at once (default 1,2,4,…,256)")
    parser.add_argument("--request-rate", type=numbers(float), default=[], metavar="R,R", help="requests a second, Poisson")
    parser.add_argument("--requests", type=int, metavar="N", help="at each point (default twice the concurrency, at least 16)")
    parser.add_argument("--mix", choices=serve_load.MIXES, default="sharegpt", help="lengths (default sharegpt)")
    parser.add_argument("--input-len", type=int, metavar="WORDS", help="the same for all, about a token a word")
    parser.add_argument("--output-len", type=int, metavar="TOKENS", help="the same for all")
    parser.add_argument("--max-input-len", type=int, default=1024, metavar="N", help="cut a mix's tail (default 1024)")
    parser.add_argument("--max-output-len", type=int, default=512, metavar="N", help="cut a mix's tail (default 512)")
    parser.add_argument("--ttft-ms", type=float, default=2000, metavar="MS", help="goodput: first token within (default 2000)")
    parser.add_argument("--tpot-ms", type=float, default=100, metavar="MS", help="goodput: each further one within (default 100)")
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="of a request (default 600)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-t", dest="threads", type=int, default=os.cpu_count(), metavar="N", help="--peer: threads of both")
    parser.add_argument("-r", dest="rounds", type=int, default=1, metavar="N", help="--peer: rounds in turn; the best counts")
    parser.add_argument("-o", dest="output", choices=["md", "json", "csv"], default="md")
    parser.add_argument("--plot", metavar="FILE.svg", help="throughput and latency over load")
    parser.add_argument("--rocmforge", default="build/release/rocmforge", help="--peer: the binary to time")
    arguments = parser.parse_args(argv)
    if bool(arguments.url) == bool(arguments.model_file):
        parser.error("name one of --url and --peer")
    if arguments.concurrency is None:
        arguments.concurrency = [] if arguments.request_rate else [2 ** i for i in range(9)]
    arguments.max_input_len = max(arguments.max_input_len, 2 * (arguments.input_len or 0))
    arguments.max_output_len = max(arguments.max_output_len, arguments.output_len or 0)
    return arguments


def main():
    arguments = parse(sys.argv[1:])
    if arguments.url:
        series = {"server": points(serve_load.Target(arguments.url, arguments.model, arguments.api_key), arguments)}
    else:
        series = in_turn(arguments)
    {"md": print_md, "csv": print_csv, "json": lambda found: print(json.dumps(found, indent=1))}[arguments.output](series)
    if arguments.plot:
        serve_plot.write(arguments.plot, series)
    problems = [(name, row["load"], row["errors"]) for name, rows in series.items() for row in rows if row["errors"]]
    for name, load, errors in problems:
        print(f"serve: {name}, {load}: {'; '.join(errors)}", file=sys.stderr)
    sys.exit(1 if problems else 0)


main()
