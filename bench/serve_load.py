"""Load on an OpenAI server: prompts of a mix of lengths, streamed completions, the time of each event.

The answer's length is fixed (max_tokens and ignore_eos), so that every server does the same work. Tokens are those of
`usage`; the gap between two tokens is that between two events of the stream.
"""
import asyncio
import json
import math
import random
import time
import urllib.parse

# Tokens of prompts and answers. Kwon et al. 2023 (PagedAttention, arXiv 2309.06180, figure 11) give means of what
# people sent: ShareGPT 161.31 and 337.99, Alpaca 19.31 and 58.45. Patel et al. 2023 (Splitwise, arXiv 2311.18677,
# section III) give medians of Azure's trace: conversation 1020 and 129, code 1500 and 13. Log-normal with a deviation
# of 1 for their long tails, which is a choice of this table.
SIGMA = 1.0
MIXES = {
    "sharegpt": (161.31 / math.exp(SIGMA ** 2 / 2), 337.99 / math.exp(SIGMA ** 2 / 2)),
    "alpaca": (19.31 / math.exp(SIGMA ** 2 / 2), 58.45 / math.exp(SIGMA ** 2 / 2)),
    "azure-chat": (1020, 129),
    "azure-code": (1500, 13),
}
WORDS = ("time year people way day man thing woman life child world school state family student group country problem hand "
         "part place case week company system program question work number night point home water room mother area money "
         "story fact month lot right study book eye job word business issue side kind head house service friend father "
         "power hour game line end member law car city name team minute idea body back parent face level office door "
         "health person art war history party result change morning reason research girl guy moment air teacher").split()


class Work:
    """One request to be: its prompt, tokens of its answer, when it is sent after the start (by rate)."""

    def __init__(self, prompt, n_out, at_s=0.0):
        self.prompt, self.n_out, self.at_s = prompt, n_out, at_s


class Outcome:
    """What came of a request; times in seconds."""

    def __init__(self):
        self.status, self.error = 0, ""
        self.begun = self.ended = 0.0
        self.events = []  # times at which text arrived
        self.n_in = self.n_out = 0

    @property
    def ok(self):
        return self.status == 200 and not self.error and bool(self.events)

    @property
    def ttft(self):
        return self.events[0] - self.begun

    @property
    def tpot(self):
        return (self.events[-1] - self.events[0]) / max(1, self.n_out - 1)


def lengths(mix, most_in, most_out, rng):
    n_in, n_out = (rng.lognormvariate(math.log(median), SIGMA) for median in MIXES[mix])
    return max(4, min(most_in, round(n_in))), max(2, min(most_out, round(n_out)))


def make_work(arguments, n, rate=None):
    """The same for the same seed; no prompt of any point of load begins as another, for a cache to serve it."""
    rng = random.Random(f"{arguments.seed} {n} {rate}")
    work, at_s = [], 0.0
    for _ in range(n):
        n_in, n_out = lengths(arguments.mix, arguments.max_input_len, arguments.max_output_len, rng)
        n_in, n_out = arguments.input_len or n_in, arguments.output_len or n_out
        prompt = " ".join(rng.choice(WORDS) for _ in range(n_in))
        at_s += rng.expovariate(rate) if rate else 0.0
        work.append(Work(prompt, n_out, at_s))
    return work


class Target:
    """A server: where it is and how it is spoken to."""

    def __init__(self, url, model, key=None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise SystemExit(f"serve: --url {url}: expected http://HOST:PORT")
        self.host, self.port = parts.hostname, parts.port or 80
        self.path = parts.path.rstrip("/").removesuffix("/v1") + "/v1/completions"
        self.model, self.key = model, key

    def request(self, work):
        body = json.dumps({"model": self.model, "prompt": work.prompt, "max_tokens": work.n_out, "ignore_eos": True,
                           "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}).encode()
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        return (f"POST {self.path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n{key}"
                f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def take_line(outcome, line, now):
    if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
        return
    event = json.loads(line[6:])
    if "error" in event:
        outcome.error = str(event["error"])
        return
    if usage := event.get("usage"):
        outcome.n_in, outcome.n_out = usage["prompt_tokens"], usage["completion_tokens"]
    if any(choice.get("text") for choice in event.get("choices", ())):
        outcome.events.append(now)


async def read_head(reader):
    """The status, and whether the body comes in chunks."""
    status = int((await reader.readline()).split()[1])
    chunked = False
    while (line := await reader.readline()).strip():
        chunked |= line.lower().startswith(b"transfer-encoding:") and b"chunked" in line.lower()
    return status, chunked


async def lines(reader, chunked):
    """Of a body; an event may be cut anywhere by a chunk's border."""
    held = b""
    while True:
        if chunked:
            n = int(await reader.readline(), 16)
            more = (await reader.readexactly(n + 2))[:n]
        else:
            more = await reader.read(65536)
        if not more:
            return
        *whole, held = (held + more).split(b"\n")
        for line in whole:
            yield line


async def send(target, work, timeout_s):
    outcome = Outcome()
    outcome.begun = time.perf_counter()
    writer = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(target.host, target.port)
            writer.write(target.request(work))
            outcome.status, chunked = await read_head(reader)
            async for line in lines(reader, chunked):
                take_line(outcome, line, time.perf_counter())
    except (OSError, EOFError, TimeoutError, ValueError, IndexError) as error:
        outcome.error = outcome.error or f"{type(error).__name__}: {error}"
    finally:
        if writer:
            writer.close()
    outcome.ended = time.perf_counter()
    return outcome


async def closed_loop(target, work, concurrency, timeout_s):
    """So many at once, the next as soon as one has ended."""
    left = iter(work)
    outcomes = []

    async def client():
        for one in left:
            outcomes.append(await send(target, one, timeout_s))
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return outcomes


async def open_loop(target, work, timeout_s):
    """Each at its time, whatever became of those before."""
    start = time.perf_counter()

    async def client(one):
        await asyncio.sleep(max(0.0, start + one.at_s - time.perf_counter()))
        return await send(target, one, timeout_s)
    return await asyncio.gather(*map(client, work))


def share(values, part):
    """The value below which so large a part lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)] if ordered else 0.0


def summary(outcomes, arguments):
    """Figures of one point of load: milliseconds, and what came a second."""
    good = [o for o in outcomes if o.ok]
    took = max(o.ended for o in outcomes) - min(o.begun for o in outcomes)
    gaps = [b - a for o in good for a, b in zip(o.events, o.events[1:])]
    met = [o for o in good if 1e3 * o.ttft <= arguments.ttft_ms and 1e3 * o.tpot <= arguments.tpot_ms]
    row = {"requests": len(outcomes), "ok": len(good), "rejected": sum(o.status in (429, 503) for o in outcomes),
           "seconds": took, "requests_s": len(good) / took, "output_tokens_s": sum(o.n_out for o in good) / took,
           "input_tokens_s": sum(o.n_in for o in good) / took, "goodput_share": len(met) / len(outcomes),
           "goodput_requests_s": len(met) / took}
    for name, values in (("ttft", [o.ttft for o in good]), ("tpot", [o.tpot for o in good]), ("itl", gaps)):
        row.update({f"{name}_p{p}_ms": 1e3 * share(values, p / 100) for p in (50, 90, 99)})
    row["errors"] = sorted({o.error or f"status {o.status}" for o in outcomes if not o.ok})[:3]
    return row


def measure(target, arguments, concurrency=None, rate=None):
    n = arguments.requests or max(16, 2 * (concurrency or 8))
    work = make_work(arguments, n, rate)
    run = closed_loop(target, work, concurrency, arguments.timeout) if concurrency else open_loop(target, work, arguments.timeout)
    load = {"load": f"{concurrency} at once" if concurrency else f"{rate:g}/s", "x": concurrency or rate}
    return {**load, **summary(asyncio.run(run), arguments)}
