"""Who is let in, where the server listens, how it begins and ends, what it tells about itself."""
import json
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import openai
import pytest

from conftest import BIN, ROOT, Wire

BODY = {"prompt": "a", "max_tokens": 1}
LONG = {"prompt": "a", "max_tokens": 100, "stream": True, "ignore_eos": True}
SLOW = ("--null-step-us", 10000)


def dumped(body):
    return json.dumps(body).encode()


def send(wire, body):
    body = dumped(body)
    wire.send(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def routes():
    rows = re.findall(r'^X\((GET|POST), "([^"]+)", (OPEN|KEY), (NONE|JSON),', (ROOT / "src/server/routes.def").read_text(), re.M)
    assert len(rows) > 15
    return rows


def fails(*args, says, env=None):
    done = subprocess.run([BIN, "serve", *map(str, args)], capture_output=True, timeout=20, text=True)
    assert done.returncode != 0 and says in done.stderr, done.stderr


@pytest.fixture(scope="module")
def keys(start, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text("# people\nalice:sk-alice-1\n\n  sk-bob-2  \n")
    return start("--api-key-file", path, "--api-key", "sk-carol-3", "--host", "0.0.0.0", "-lv", "info",
                 env={"ROCMFORGE_THREADS_HTTP": "1"})


@pytest.mark.parametrize("method, path, access, body", routes())
def test_every_route_asks_for_its_key(keys, server, method, path, access, body):
    path += "x" if path.endswith("/") else ""
    data = b"{}" if body == "JSON" else None
    assert server.request(method, path, data).status not in (401, 405, 500)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic sk-bob-2"}, {"X-Api-Key": "sk-bob"},
                    {"Authorization": "Bearer sk-bob-2x"}, {"Authorization": "Bearer "}, {"X-Api-Key": "x" * 5000}):
        reply = keys.request(method, path, data, headers=headers)
        assert (reply.status == 401) == (access == "KEY"), (headers, reply.status)
        if reply.status == 401:
            error = reply.json["error"]
            assert error.get("code") == "invalid_api_key" or error["type"] == "authentication_error"
            assert reply.headers["www-authenticate"] == "Bearer"
    for headers in ({"Authorization": "Bearer sk-alice-1"}, {"X-Api-Key": "sk-bob-2"}, {"authorization": "bearer sk-carol-3"}):
        assert keys.request(method, path, data, headers=headers).status != 401


def test_keys_of_clients(keys):
    assert keys.client(api_key="sk-alice-1").models.list().data
    with pytest.raises(openai.AuthenticationError):
        keys.client(api_key="nobody").models.list()


def test_names_of_keys_are_logged_and_keys_are_not(start, tmp_path):
    path = tmp_path / "keys"
    path.write_text("alice:sk-alice-1")
    server = start("--api-key-file", path, "--api-key", "sk-carol-3", "-lv", "trace")
    assert server.get("/v1/models", headers={"Authorization": "Bearer sk-alice-1"}).status == 200
    assert server.get("/v1/models", headers={"Authorization": "Bearer sk-mallory"}).status == 401
    assert server.stop() == 0
    assert b'"key":"alice"' in server.log and b"sk-" not in server.log
    shown = subprocess.run([BIN, "serve", "--api-key", "sk-carol-3", "--print-config"], capture_output=True, text=True)
    assert "sk-carol" not in shown.stdout and "(hidden)" in shown.stdout


def test_addresses_that_are_refused(vocab, tmp_path):
    model = ("-m", vocab, "--device", "null")
    fails(*model, "--host", "0.0.0.0", "--port", 0, says="--api-key")
    fails(*model, "--listen", "[::]:0", says="--insecure")
    fails(*model, "--host", "example.com", says="example.com")
    fails(*model, "--listen", "127.0.0.1:99999", says="127.0.0.1:99999")
    fails(*model, "--listen", "unix:" + "a" * 200, says="200 bytes")
    fails(*model, "--listen", "unix:/nowhere/x.sock", says="/nowhere/x.sock")
    fails(*model, "--api-key", "with blank", says="--api-key")
    empty = tmp_path / "keys"
    empty.write_text("# none\n")
    fails(*model, "--api-key-file", empty, says="found no keys")
    fails(*model, "--api-key-file", tmp_path / "absent", says="absent")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        fails(*model, "--port", taken.getsockname()[1], says="cannot bind")


def test_other_machines_with_insecure(start):
    server = start("--host", "0.0.0.0", "--insecure")
    with Wire(("127.0.0.1", server.address[1])) as wire:
        wire.send("GET /v1/models HTTP/1.1\r\nHost: some.name\r\n\r\n")
        assert wire.reply().status == 200


def test_several_addresses_and_unix_sockets(start, tmp_path):
    path = tmp_path / "a.sock"
    left_over = socket.socket(socket.AF_UNIX)
    left_over.bind(str(path))
    left_over.close()
    server = start("--listen", f"unix:{path}", "--listen", "127.0.0.1:0", "--listen", "[::1]:0")
    while len(server.urls) < 3:
        line = server.process.stderr.readline()
        server.log += line
        server.urls += [line.decode().split()[1]] if line.startswith(b"READY") else []
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    for address in (str(path), ("127.0.0.1", int(server.urls[1].rsplit(":", 1)[1])), ("::1", int(server.urls[2].rsplit(":", 1)[1]))):
        with Wire(address) as wire:
            wire.send("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert wire.reply().status == 200
    assert server.stop() == 0 and not path.exists()


def test_a_stream_ends_well_before_the_server_does(start):
    server = start(*SLOW)
    with server.wire() as wire, server.wire() as idle:
        idle.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.reply().status == 200
        send(wire, LONG)
        wire.until(b"data: ")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        idle.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = idle.reply()
        assert reply.status == 503 and reply.headers["connection"].lower() == "close"
        assert idle.is_closed()
        rest = wire.until(b"[DONE]")
        assert rest.count(b'"text":"') >= 60
    begun = time.monotonic()
    assert server.process.wait(10) == 0 and time.monotonic() - begun < 2


def test_time_to_drain_is_bounded(start):
    server = start("--null-step-us", 100000, "--drain-timeout", 1)
    wire = server.wire()
    send(wire, LONG)
    wire.until(b"data: ")
    begun = time.monotonic()
    assert server.stop() == 0 and 0.9 < time.monotonic() - begun < 3
    assert wire.is_closed()


def test_the_second_signal_ends_at_once(start):
    server = start("--null-step-us", 100000)
    wire = server.wire()
    send(wire, LONG)
    wire.until(b"data: ")
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert server.process.poll() is None
    assert server.stop(seconds=2) != 0


@pytest.mark.parametrize("phase", ["idle", "waiting", "streaming"])
def test_it_ends_in_any_phase(start, phase):
    server = start("--drain-timeout", 0, *SLOW)
    wires = [server.wire() for _ in range(6)]
    for wire in wires if phase != "idle" else []:
        send(wire, LONG)
        if phase == "streaming":
            wire.until(b"data: ")
    assert server.stop() == 0
    assert all(wire.is_closed() for wire in wires)


def test_ready_is_told_to_the_service_manager(start, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        server = start(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"})
        assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        threading.Thread(target=server.stop).start()
        while manager.recv(100) != b"STOPPING=1":
            pass
        assert server.process.wait(10) == 0


def test_a_step_that_hangs_is_told(start, tmp_path):
    """While a step hangs, systemd hears nothing and /livez is 503; it ends, and all is well."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        server = start("--null-step-us", 3500000, "--hang-timeout", 1,
                       env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"})
        asked = threading.Thread(target=server.post, args=("/v1/completions", {"prompt": "a", "max_tokens": 1}))
        asked.start()
        end = time.monotonic() + 3
        while (reply := server.get("/livez")).status == 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert (reply.status, reply.json["error"]["code"]) == (503, "engine_hung")
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            while manager.recv(100):
                pass
        time.sleep(0.5)
        with pytest.raises(BlockingIOError):
            manager.recv(100)
        asked.join(10)
        end = time.monotonic() + 3
        while server.get("/livez").status != 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        manager.settimeout(10)
        assert manager.recv(100) == b"WATCHDOG=1"


def test_steps_that_fail(start):
    """Whose step fails gets an error, the others their whole answers; the server goes on and keeps no block."""
    server = start("--null-fail-every", 40, "--null-step-us", 200, "--max-seqs", 4)
    found = []

    def ask(i):
        reply = server.post("/v1/completions", {"prompt": f"a {i}", "max_tokens": 20, "ignore_eos": True,
                                                "temperature": 0, "stream": i % 2 == 0})
        found.append((i, reply))

    for _ in range(3):
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(24)]
        [t.start() for t in threads]
        [t.join(30) for t in threads]
    assert len(found) == 72
    failed, whole = 0, {}
    for i, reply in found:
        last = reply.events[-1] if b"data: " in reply.body else reply.json
        if "error" in last:
            failed += 1
            assert "asked to fail" in last["error"]["message"] and reply.status == (200 if b"data: " in reply.body else 500)
        elif i % 2:
            assert whole.setdefault(i, last["choices"][0]["text"]) == last["choices"][0]["text"]
    assert 0 < failed < 72 and len(whole) > 4
    server.until("rocmforge:num_requests_in_engine", 0)
    assert server.metric("rocmforge:kv_blocks_used") == 0 and server.get("/livez").status == 200


def test_silent_streams_are_kept_alive(start):
    server = start("--sse-ping-interval", 1, "--null-step-us", 1200000)
    reply = server.post("/v1/completions", {"prompt": "a", "max_tokens": 2, "stream": True, "ignore_eos": True})
    assert b": ping\n\n" in reply.body and reply.events[-1]["choices"][0]["finish_reason"] == "length"


def test_metrics(start):
    server = start("-c", 256)
    n = [server.post("/v1/completions", {"prompt": "a b c d", "max_tokens": 5, "ignore_eos": True}).status for _ in range(3)]
    server.post("/v1/completions", {"prompt": 1})
    assert n == [200] * 3
    text = server.get("/metrics").body.decode()
    names = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            names.add(line.split()[2])
        elif not line.startswith("#"):
            found = re.fullmatch(r'([a-z_:0-9]+)(\{[a-z_]+="[^"]+"\})? [-+0-9.e]+', line)
            assert found and re.sub(r"_(bucket|sum|count)$", "", found[1]) in names | {found[1]}, line
    assert server.metric("rocmforge:generation_tokens_total") == 15
    assert server.metric("rocmforge:time_to_first_token_seconds_count") == 3
    assert server.metric("rocmforge:inter_token_latency_seconds_count") == 12
    assert server.metric("rocmforge:request_generation_tokens_sum") == 15
    assert 'rocmforge:http_responses_total{status="400"} 1' in text
    assert 'rocmforge:request_success_total{finished_reason="length"} 3' in text
    buckets = [float(v) for v in re.findall(r"rocmforge:e2e_request_latency_seconds_bucket\{.*\} (\S+)", text)]
    assert buckets == sorted(buckets) and buckets[-1] == 3


def test_memory_does_not_grow(start):
    server = start("-c", 256, "--max-seqs", 8)

    def round_of(n):
        for i in range(n):
            kind = i % 5
            if kind == 0:
                assert server.post("/v1/completions", {**BODY, "max_tokens": 20, "prompt": f"{i} words", "n": 3}).status == 200
            elif kind == 1:
                assert server.post("/v1/completions", {"prompt": i}).status == 400
            elif kind == 2:
                with server.wire() as wire:
                    send(wire, {**LONG, "prompt": f"{i}"})
                    wire.until(b"data: ")
            elif kind == 3:
                body = {"messages": [{"role": "user", "content": f"{i}"}], "max_tokens": 9, "logprobs": True, "stream": True}
                assert server.post("/v1/chat/completions", body).status == 200
            else:
                assert server.post("/tokenize", {"content": "text " * 500}).status == 200

    round_of(400)
    before = server.resident_bytes()
    round_of(800)
    assert server.resident_bytes() < before * 1.02 + (1 << 20)


def test_keys_are_read_again(start, tmp_path):
    """SIGHUP: new keys count, old ones do not; a file that is broken changes nothing, and work goes on."""
    path = tmp_path / "keys"
    path.write_text("a:sk-first-0001\n")
    server = start("--api-key-file", path, "--null-step-us", 20000)

    def status(key):
        return server.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status

    def until(key, want):
        end = time.monotonic() + 5
        while status(key) != want:
            assert time.monotonic() < end
            time.sleep(0.02)

    assert (status("sk-first-0001"), status("sk-second-0002")) == (200, 401)
    stream = server.client(api_key="sk-first-0001").completions.create(model="m", prompt="a", max_tokens=60, stream=True,
                                                                       extra_body={"ignore_eos": True})
    next(stream)
    path.write_text("b:sk-second-0002\n")
    server.process.send_signal(signal.SIGHUP)
    until("sk-second-0002", 200)
    assert status("sk-first-0001") == 401
    for broken in ("", "bad key with blanks\n"):
        path.write_text(broken)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert (status("sk-second-0002"), status("sk-first-0001")) == (200, 401)
    assert len(list(stream)) > 20
    assert server.stop() == 0 and b"the keys stay as they are" in server.log
