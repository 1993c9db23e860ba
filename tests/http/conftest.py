"""Starts the program that ROCMFORGE_BIN names as a server, on the null backend unless told otherwise."""
import json
import lzma
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
BIN = os.environ.get("ROCMFORGE_BIN") or str(ROOT / "build" / "release" / "rocmforge")
TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def hears_hangups():
    """Also where the tests run under nohup, which has its children ignore them."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Reply:
    def __init__(self, head, body):
        lines = head.decode("latin1").split("\r\n")
        self.version, status, *_ = lines[0].split(" ")
        self.status = int(status)
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def events(self):
        """What a stream said: its data lines but [DONE], as JSON."""
        lines = [e[6:] for e in self.body.decode().split("\n\n") if e.startswith("data: ")]
        assert lines[-1] == "[DONE]" or "error" in json.loads(lines[-1])
        return [json.loads(line) for line in lines if line != "[DONE]"]


class Wire:
    """One connection, byte by byte."""

    def __init__(self, address, timeout=10):
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout=timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin1"))

    def more(self):
        data = self.socket.recv(65536)
        self.held += data
        return bool(data)

    def until(self, mark):
        while mark not in self.held:
            if not self.more():
                raise EOFError(self.held)
        found, self.held = self.held.split(mark, 1)
        return found

    def exactly(self, n):
        while len(self.held) < n:
            if not self.more():
                raise EOFError(self.held)
        found, self.held = self.held[:n], self.held[n:]
        return found

    def reply(self):
        """The next whole answer; raises EOFError where the server closes instead."""
        head = self.until(b"\r\n\r\n")
        reply = Reply(head, b"")
        if reply.status == 100:
            return self.reply()
        if reply.status == 204:
            return reply
        if reply.headers.get("transfer-encoding") == "chunked":
            while n := int(self.until(b"\r\n"), 16):
                reply.body += self.exactly(n)
                self.exactly(2)
            self.exactly(2)
        else:
            reply.body = self.exactly(int(reply.headers["content-length"]))
        return reply

    def is_closed(self):
        try:
            while self.more():
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


class Server:
    def __init__(self, *args, env=None, model=None):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ROCMFORGE_")}
        self.process = subprocess.Popen([BIN, "serve", "-m", str(model), "--port", "0", *map(str, args)],
                                        stderr=subprocess.PIPE, env={**kept, **(env or {})},
                                        preexec_fn=hears_hangups)
        self.log, self.urls = b"", []
        for line in self.process.stderr:
            self.log += line
            if found := re.match(rb"READY (.*)\n", line):
                self.urls.append(found[1].decode())
                break
        assert self.urls, self.log.decode()
        os.set_blocking(self.process.stderr.fileno(), False)
        host, port = self.urls[0].split("://")[1].rsplit(":", 1) if "://" in self.urls[0] else (None, None)
        self.address = (host, int(port)) if port else self.urls[0].removeprefix("unix:")

    def wire(self, timeout=10):
        return Wire(self.address, timeout)

    def request(self, method, path, body=None, headers=(), timeout=30):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        head = "".join(f"{k}: {v}\r\n" for k, v in dict(headers).items())
        length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
        with self.wire(timeout) as wire:
            wire.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}{head}\r\n".encode() + (body or b""))
            return wire.reply()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def client(self, **more):
        return openai.OpenAI(base_url=self.urls[0] + "/v1", api_key=more.pop("api_key", "none"), max_retries=0,
                             timeout=30, **more)

    def metric(self, name):
        text = self.get("/metrics").body.decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))

    def until(self, name, value, seconds=5):
        """Waits until a metric has a value."""
        end = time.monotonic() + seconds
        while (found := self.metric(name)) != value:
            assert time.monotonic() < end, (name, found, value)
            time.sleep(0.02)

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def stop(self, sign=signal.SIGTERM, seconds=20):
        """Its exit status; what it said is in log."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        os.set_blocking(self.process.stderr.fileno(), True)
        try:
            _, rest = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.log += rest
        return self.process.returncode


@pytest.fixture(scope="session")
def vocab(tmp_path_factory):
    """A vocabulary without weights."""
    path = tmp_path_factory.mktemp("vocab") / "smollm2.gguf"
    path.write_bytes(lzma.open(GOLDEN / "vocab" / "smollm2.gguf.xz").read())
    return path


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "chatml.jinja"
    path.write_text(TEMPLATE)
    return path


@pytest.fixture(scope="session")
def start(vocab, template):
    """start(option, …) runs a server; all of them must end well when the tests do."""
    servers = []

    def make(*args, null=True, model=None, **more):
        server = Server(*(["--device", "null"] if null else []), "--chat-template-file", template, *args,
                        model=model or vocab, **more)
        servers.append(server)
        return server

    yield make
    for server in servers:
        if server.process.poll() is None:
            assert server.stop() == 0, server.log.decode()


@pytest.fixture(scope="session")
def server(start):
    return start("-c", 512, "--kv-tokens", 4096)
