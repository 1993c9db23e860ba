"""TLS by files, and pages of other sites."""
import re
import ssl
import subprocess

import openai
import pytest
from conftest import BIN, Reply, Wire

PAGE = "https://app.example.org"


@pytest.fixture(scope="session")
def pem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for name in ("a", "b"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / f"{name}.key", "-out",
                        folder / f"{name}.crt"], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def secure(start, pem, tmp_path_factory):
    path = tmp_path_factory.mktemp("sock") / "tls.sock"
    server = start("-c", 512, "--ssl-key-file", pem / "a.key", "--ssl-cert-file", pem / "a.crt", "--listen",
                   "127.0.0.1:0", "--listen", "[::1]:0", "--listen", f"unix:{path}")
    while len(server.urls) < 3:
        line = server.process.stderr.readline().decode()
        if line.startswith("READY "):
            server.urls.append(line.split()[1])
    return server


def client(url, pem):
    trust = ssl.create_default_context(cafile=str(pem / "a.crt"))
    return openai.OpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0, timeout=20,
                         http_client=openai.DefaultHttpxClient(verify=trust))


def test_the_openai_client_over_tls(secure, pem):
    assert [u.split("://")[0] for u in secure.urls[:2]] == ["https", "https"] and secure.urls[2].startswith("unix:")
    c = client(secure.urls[0].replace("127.0.0.1", "localhost"), pem)
    assert c.chat.completions.create(model="-", messages=[{"role": "user", "content": "Hi"}],
                                     max_tokens=5).usage.completion_tokens == 5
    chunks = list(c.completions.create(model="-", prompt="Hi", max_tokens=40, stream=True))
    assert sum(1 for x in chunks if x.choices[0].finish_reason is None) > 10
    with pytest.raises(openai.APIConnectionError):  # a certificate that nobody trusts
        openai.OpenAI(base_url=f"{secure.urls[0]}/v1", api_key="-", max_retries=0, timeout=20).models.list()


def test_a_large_body_and_a_client_that_leaves(secure, pem):
    c = client(secure.urls[0].replace("127.0.0.1", "localhost"), pem)
    with pytest.raises(openai.BadRequestError) as error:
        c.completions.create(model="-", prompt="word " * 200000, max_tokens=1)
    assert error.value.code == "context_length_exceeded"
    stream = c.completions.create(model="-", prompt="Hi", max_tokens=400, stream=True)
    next(stream)
    stream.close()
    c.close()
    for _ in range(200):
        with Wire(secure.urls[2].removeprefix("unix:")) as wire:  # which speaks no TLS
            wire.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            text = wire.reply().body.decode()
        if re.search(r"\nrocmforge:num_requests_in_engine(\{.*\})? 0\n", text):
            return
    raise AssertionError(text)


def test_old_versions_and_plain_http(secure):
    assert subprocess.run(["openssl", "s_client", "-connect", f"{secure.address[0]}:{secure.address[1]}", "-tls1_1"],
                          input=b"", capture_output=True, timeout=20).returncode != 0
    for version in ("-tls1_2", "-tls1_3"):
        assert subprocess.run(["openssl", "s_client", "-connect", f"{secure.address[0]}:{secure.address[1]}",
                               version], input=b"", capture_output=True, timeout=20).returncode == 0
    with secure.wire() as wire:
        wire.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.is_closed()
    assert secure.process.poll() is None


def refused(vocab, *args):
    run = subprocess.run([BIN, "serve", "-m", vocab, "--device", "null", "--port", "0", *map(str, args)],
                         capture_output=True, text=True, timeout=30)
    assert "READY" not in run.stderr and run.returncode in (1, 2)
    return run.stderr


def test_files_that_do_not_fit(vocab, pem, tmp_path):
    key, cert = "--ssl-key-file", "--ssl-cert-file"
    assert "expected --ssl-cert-file" in refused(vocab, key, pem / "a.key")
    assert "expected --ssl-key-file" in refused(vocab, cert, pem / "a.crt")
    assert "absent.key" in refused(vocab, key, tmp_path / "absent.key", cert, pem / "a.crt")
    assert "a.crt: found no -----BEGIN … PRIVATE KEY" in refused(vocab, key, pem / "a.crt", cert, pem / "a.crt")
    assert "do not match" in refused(vocab, key, pem / "b.key", cert, pem / "a.crt")
    broken = tmp_path / "broken.key"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert "certificate/key" in refused(vocab, key, broken, cert, pem / "a.crt")


@pytest.fixture(scope="session")
def open_to_pages(start):
    return start("-c", 512, "--cors-origin", PAGE, "--cors-origin", "http://localhost:5173", "--api-key", "k1")


def preflight(server, origin, path="/v1/chat/completions", **more):
    return server.request("OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": "POST",
                                                    "Access-Control-Request-Headers":
                                                    "authorization,content-type,x-stainless-os", **more})


def test_pages_that_may(open_to_pages):
    asked = preflight(open_to_pages, PAGE)
    assert (asked.status, asked.body) == (204, b"")
    assert asked.headers["access-control-allow-origin"] == PAGE and asked.headers["vary"] == "Origin"
    assert asked.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"
    assert "POST" in asked.headers["access-control-allow-methods"]
    for key, status in (("k1", 200), ("wrong", 401)):  # the page sees errors too
        reply = open_to_pages.post("/v1/completions", {"prompt": "Hi", "max_tokens": 2},
                                   headers={"Origin": "http://localhost:5173", "Authorization": f"Bearer {key}"})
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == "http://localhost:5173"
        assert "X-Request-Id" in reply.headers["access-control-expose-headers"]
    streamed = open_to_pages.post("/v1/completions", {"prompt": "Hi", "max_tokens": 2, "stream": True},
                                  headers={"Origin": PAGE, "Authorization": "Bearer k1"})
    assert streamed.headers["access-control-allow-origin"] == PAGE and len(streamed.events) >= 2


def test_pages_that_may_not(open_to_pages, server):
    for origin in ("https://app.example.org.evil.net", "https://app.example.orgx", "http://app.example.org",
                   "https://app.example.org:444", "null", "*"):
        reply = preflight(open_to_pages, origin)
        assert reply.status in (403, 405) and "access-control-allow-origin" not in reply.headers, origin
    assert preflight(server, PAGE).status == 405  # off by default
    own = open_to_pages.request("OPTIONS", "/v1/models", headers={"Origin": PAGE})
    assert own.status == 405  # asks for nothing
    assert "access-control-allow-origin" not in open_to_pages.get("/livez").headers
    assert open_to_pages.get("/livez").headers["vary"] == "Origin"
    with open_to_pages.wire() as wire:  # a connection goes on after it
        for _ in range(2):
            wire.send(f"OPTIONS /v1/models HTTP/1.1\r\nHost: localhost\r\nOrigin: {PAGE}\r\n"
                      "Access-Control-Request-Method: GET\r\n\r\n")
            reply = wire.reply()
            assert isinstance(reply, Reply) and reply.status == 204


def test_every_page(start, vocab):
    server = start("-c", 512, "--cors-origin", "*")
    assert b"every page that a browser opens may use this server" in server.log
    assert preflight(server, "https://anything.example").headers["access-control-allow-origin"] \
        == "https://anything.example"
    assert server.request("OPTIONS", "/v1/models", headers={"Origin": PAGE, "Host": "evil.example",
                                                            "Access-Control-Request-Method": "GET"}).status >= 400
    assert "without a path" in refused(vocab, "--cors-origin", "https://a.example/x")
