"""Every field of every endpoint with every kind of wrong value: 200 or a 4xx that names it, and the server lives."""
import itertools
import json
import pathlib
import re

import pytest

from conftest import ROOT

ENDPOINTS = {"COMPLETIONS": ("/v1/completions", {"prompt": "a", "max_tokens": 1}),
             "CHAT": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}),
             "TEMPLATE": ("/apply-template", {"messages": [{"role": "user", "content": "a"}]}),
             "TOKENIZE": ("/tokenize", {"content": "a"}),
             "DETOKENIZE": ("/detokenize", {"tokens": [1]})}
GROUPS = {"TEXTS": ["COMPLETIONS", "CHAT"], "TALKS": ["CHAT", "TEMPLATE"], "ALL": list(ENDPOINTS)}

# As they stand in a body, for JSON libraries do not write most of them.
VALUES = {"null": b"null", "true": b"true", "string": b'"x"', "empty string": b'""', "array": b"[]", "object": b"{}",
          "mixed array": b'[1, "a", null, {}]', "wrong object": b'{"a": [1]}', "negative": b"-1", "zero": b"0",
          "fraction": b"0.5", "huge": b"1e308", "tiny": b"-1e308", "2^31": b"2147483648", "2^53": b"9007199254740993",
          "2^63": b"9223372036854775808", "-2^63-1": b"-9223372036854775809", "NaN": b"NaN", "infinity": b"Infinity",
          "1e400": b"1e400", "invalid UTF-8": b'"\xff\xfe"', "surrogate": b'"\\ud800"', "NUL": b'"a\\u0000b"',
          "deep": b"[" * 1000 + b"]" * 1000, "deep objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
          "leading zero": b"01", "nothing": b""}


def fields():
    """(endpoint, name) of every row of fields.def and sample_params.def."""
    rows = re.findall(r'^X\((\w+), "(\w+)", (\w+),(.*)\)$', (ROOT / "src/server/fields.def").read_text(), re.M)
    assert len(rows) > 40
    for _, name, _, rest in rows:
        groups = re.findall(r"EP\((\w+)\)", rest) or GROUPS[rest.split(",")[-1].strip()]
        yield from ((endpoint, name) for endpoint in groups)
    samplers = re.findall(r'^X\(\w+, \w+, "[^"]*", "(\w+)"', (ROOT / "src/sample/sample_params.def").read_text(), re.M)
    assert len(samplers) > 20
    yield from itertools.product(("COMPLETIONS", "CHAT"), samplers)


def body_with(good, name, value):
    rest = b"".join(b"," + json.dumps(k).encode() + b":" + json.dumps(v).encode() for k, v in good.items() if k != name)
    return b'{"%s":%s%s}' % (name.encode(), value, rest)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_field_with_every_value(server, endpoint):
    path, good = ENDPOINTS[endpoint]
    names = sorted({name for e, name in fields() if e == endpoint})
    assert names
    with server.wire() as wire:
        for name, (what, value) in itertools.product(names, VALUES.items()):
            body = body_with(good, name, value)
            wire.send(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body))
                      + body)
            reply = wire.reply()
            told = (endpoint, name, what, reply.status, reply.body[:300])
            if reply.status == 200:
                continue
            assert reply.status == 400, told
            error = reply.json["error"]
            assert error["message"] and error["type"] and error["code"], told
            assert error["param"] == name or error["param"] in good, told
            assert len(reply.body) < 2000, told
    assert server.get("/livez").status == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_long_strings(server, endpoint):
    path, good = ENDPOINTS[endpoint]
    names = sorted({name for e, name in fields() if e == endpoint} - {"content", "prompt", "messages"})
    for name in names[::5]:
        reply = server.post(path, body_with(good, name, b'"' + b"a" * 10_000_000 + b'"'))
        assert reply.status in (200, 400), (name, reply.body)
        assert len(reply.body) < 4000


def test_bodies_that_are_too_long(server):
    """With a length they are refused at once; in chunks, when the limit is reached."""
    for path, _ in ENDPOINTS.values():
        head = b"POST %s HTTP/1.1\r\nHost: localhost\r\n" % path.encode()
        with server.wire() as wire:
            wire.send(head + b"Content-Length: 17000000\r\n\r\n" + b"a" * 100)
            assert wire.reply().status == 413
        with server.wire() as wire:
            wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(16):
                wire.send(b"%x\r\n%s\r\n" % (1000001, b"a" * 1000001))
            wire.send(b"0\r\n\r\n")
            assert wire.reply().status == 413


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"1", b"{", b'{"a":1}x', b"\xef\xbb\xbf{}", b"{}\0", b"[" * 100000,
                                  "{}".encode("utf-16")])
def test_bodies_that_are_no_object(server, body):
    for path, _ in ENDPOINTS.values():
        reply = server.post(path, body)
        assert reply.status == 400 and reply.json["error"]["code"] == "invalid_json"


def test_what_must_be_there(server):
    for name in ("prompt", "messages", "content", "tokens"):
        for endpoint, (path, good) in ENDPOINTS.items():
            if name in good:
                reply = server.post(path, {k: v for k, v in good.items() if k != name})
                assert (reply.status, reply.json["error"]["param"]) == (400, name)
                assert reply.json["error"]["code"] == "missing_required_parameter"


@pytest.mark.parametrize("messages", [
    [], [1], [None], [{}], [{"role": 1, "content": "a"}], [{"role": "king", "content": "a"}], "hello", {"role": "user"},
    [{"role": "user", "content": 5}], [{"role": "user", "content": [5]}], [{"role": "user", "content": [{"type": "text"}]}],
    [{"role": "user", "content": [{"type": "text", "text": 1}]}], [{"role": "user", "content": "a"}] * 5000])
def test_wrong_messages(server, messages):
    for path in ("/v1/chat/completions", "/apply-template"):
        reply = server.post(path, {"messages": messages})
        assert (reply.status, reply.json["error"]["param"]) == (400, "messages"), reply.body


@pytest.mark.parametrize("message", [{"role": "user", "content": None}, {"role": "assistant", "content": ""},
                                     {"role": "tool", "content": "5", "tool_call_id": "x"},
                                     {"role": "user", "content": "a", "name": "me", "more": [1]}])
def test_odd_messages(server, message):
    assert server.post("/v1/chat/completions", {"messages": [message], "max_tokens": 1}).status == 200


def test_values_that_pass(server):
    good = {"prompt": "a", "max_tokens": 2.0, "temperature": 1, "top_p": 1, "seed": 2 ** 63 - 1, "n": None, "stop": None,
            "logit_bias": {}, "user": "me", "metadata": {"a": "b"}, "store": False, "unknown_key": {"a": [1]}}
    assert server.post("/v1/completions", good).status == 200
    both = {"prompt": "a", "max_tokens": 1, "max_completion_tokens": 3, "ignore_eos": True}
    assert server.post("/v1/completions", both).json["usage"]["completion_tokens"] == 3
    for wrong in ({"stop": [""]}, {"stop": ["a"] * 100}, {"n": 129}, {"best_of": 2}, {"temperature": -1}, {"top_p": 2},
                  {"logprobs": 21}, {"stream_options": {}}, {"stream": True, "stream_options": {"include_usage": 1}}):
        reply = server.post("/v1/completions", {"prompt": "a", **wrong})
        assert reply.status == 400 and reply.json["error"]["param"] in wrong, reply.body
    reply = server.post("/v1/chat/completions", {"messages": good["prompt"] and [{"role": "user", "content": "a"}],
                                                 "top_logprobs": 2})
    assert (reply.status, reply.json["error"]["param"]) == (400, "top_logprobs")
