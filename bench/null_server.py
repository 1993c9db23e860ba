"""A server on the null backend, what it takes of the machine, and streams that are read at little cost."""
import itertools
import json
import os
import pathlib
import re
import resource
import select
import signal
import socket
import string
import struct
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = os.environ.get("ROCMFORGE_BIN") or str(ROOT / "build" / "release" / "rocmforge")
TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def vocabulary():
    """A byte-level one of 1,024 tokens, so that the null backend's logits cost little: bytes, and pairs of letters."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    tokens = [chr(b if b in plain else next(others)) for b in range(256)]
    pairs = list(itertools.islice(itertools.product(string.ascii_lowercase + string.ascii_uppercase, string.ascii_lowercase), 765))
    tokens += ["".join(pair) for pair in pairs] + ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]

    def text(words):
        data = words.encode()
        return struct.pack("<Q", len(data)) + data

    def texts(words):
        return struct.pack("<IQ", 8, len(words)) + b"".join(map(text, words))
    values = {"general.architecture": (8, text("llama")), "tokenizer.ggml.model": (8, text("gpt2")),
              "tokenizer.ggml.pre": (8, text("gpt-2")), "tokenizer.ggml.tokens": (9, texts(tokens)),
              "tokenizer.ggml.token_type": (9, struct.pack("<IQ", 5, len(tokens)) + struct.pack(f"<{len(tokens)}i", *(
                  [1] * (len(tokens) - 3) + [3] * 3))),
              "tokenizer.ggml.merges": (9, texts([" ".join(pair) for pair in pairs])),
              "tokenizer.ggml.eos_token_id": (4, struct.pack("<I", len(tokens) - 2)),
              "tokenizer.ggml.bos_token_id": (4, struct.pack("<I", len(tokens) - 1))}
    keys = b"".join(text(key) + struct.pack("<I", kind) + value for key, (kind, value) in values.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(values)) + keys


class NullServer:
    def __init__(self, *options):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.folder = tempfile.TemporaryDirectory()
        model, template = (pathlib.Path(self.folder.name) / name for name in ("vocab.gguf", "chatml.jinja"))
        model.write_bytes(vocabulary())
        template.write_text(TEMPLATE)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ROCMFORGE_")}
        self.process = subprocess.Popen(
            [BIN, "serve", "-m", model, "--device", "null", "--chat-template-file", template, "--port", "0",
             "--no-log-requests", *map(str, options)], stderr=subprocess.PIPE, env=kept)
        said = b""
        for line in self.process.stderr:
            said += line
            if found := re.match(rb"READY http://(.*):(\d+)\n", line):
                self.address = found[1].decode(), int(found[2])
                return
        raise SystemExit(f"the server did not start: {said.decode()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()

    def end(self):
        """Its exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            return None

    def resident(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def cpu_by_thread(self):
        """Nanoseconds on a processor, the oldest thread first: main, engine and its pool, workers, pump, loop."""
        folder = pathlib.Path(f"/proc/{self.process.pid}/task")
        return {int(task.name): int((task / "schedstat").read_text().split()[0]) for task in folder.iterdir()}

    def cpu_ns(self):
        return sum(self.cpu_by_thread().values())

    def cpu_split(self):
        """Seconds in the program and in the kernel."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:13]]

    def connect(self, receive_bytes=0):
        one = socket.socket()
        if receive_bytes:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        one.settimeout(30)
        one.connect(self.address)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return one


def post(path, body, headers=""):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def read_answer(one):
    """Status and body of the next answer, whole, streamed or not."""
    held = b""
    while b"\r\n\r\n" not in held:
        more = one.recv(65536)
        if not more:
            raise EOFError("the server closed before an answer")
        held += more
    head, body = held.split(b"\r\n\r\n", 1)
    if b"chunked" in head:
        while not body.endswith(b"0\r\n\r\n"):
            more = one.recv(65536)
            if not more:
                raise EOFError("the server closed within a stream")
            body += more
    else:
        n = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
        while len(body) < n:
            more = one.recv(65536)
            if not more:
                raise EOFError("the server closed within an answer")
            body += more
    return int(head.split(b" ", 2)[1]), body


class Streams:
    """Many streams at once; of each only what tells whether it goes well is kept."""

    def __init__(self, server, n, request):
        self.poll, self.sockets, self.n_events, self.begun, self.problems = select.epoll(), {}, 0, set(), []
        for i in range(n):
            one = server.connect()
            one.sendall(request)
            if i % 1000 == 999:
                time.sleep(0.2)  # as many as may wait go into a step
            one.setblocking(False)
            self.sockets[one.fileno()] = one
            self.poll.register(one, select.EPOLLIN)

    def read(self, seconds, until=lambda streams: False):
        end = time.monotonic() + seconds
        while self.sockets and time.monotonic() < end and not until(self):
            for fd, _ in self.poll.poll(0.05, 4096):
                self.take(fd, self.sockets[fd].recv(65536))

    def take(self, fd, data):
        if fd not in self.begun and data:
            self.begun.add(fd)
            if not data.startswith(b"HTTP/1.1 200"):
                self.problems.append(data[:600].decode("latin1"))
        self.n_events += data.count(b"data: {")
        if not data or data.endswith(b"\r\n0\r\n\r\n"):
            if not data:
                self.problems.append("the server closed a stream")
            self.poll.unregister(fd)
            self.sockets.pop(fd).close()

    def close(self):
        for one in self.sockets.values():
            one.close()
        self.sockets = {}
