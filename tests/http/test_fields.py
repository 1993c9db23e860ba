"""Every field of every endpoint with every kind of wrong value: 200 or a 4xx that names it, and the server lives."""
import itertools
import json
import pathlib
import re
import time

import pytest

from conftest import ROOT

# One good body of each kind of body that operations.def names; a new one is asked for by test_every_endpoint_is_here.
BODIES = {"COMPLETIONS": {"prompt": "a", "max_tokens": 1},
          "CHAT": {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1},
          "TEMPLATE": {"messages": [{"role": "user", "content": "a"}]},
          "TOKENIZE": {"content": "a"},
          "DETOKENIZE": {"tokens": [1]},
          "EMBEDDINGS": {"input": "a"},
          "RESPONSES": {"input": "a", "max_output_tokens": 1},
          "MESSAGES": {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1},
          "COUNT_TOKENS": {"messages": [{"role": "user", "content": "a"}]},
          "NATIVE": {"prompt": "a", "n_predict": 1}}


def table(name):
    """Rows of a table of the server, each as its text without blanks and line breaks."""
    text = (ROOT / "src" / name).read_text()
    return [re.sub(r"\s+", " ", row) for row in re.findall(r"^X\((.*?)\)$", text, re.M | re.S)]


def endpoints():
    """(kind of body, path): the shortest path of each kind."""
    bodies = dict(re.match(r"(\w+), (\w+),", row).groups() for row in table("server/operations.def"))
    found = {}
    for row in table("server/routes.def"):
        method, path, _, body, _, handler = row.replace('"', "").split(", ")
        if body == "JSON" and len(path) < len(found.get(bodies[handler], path + " ")):
            found[bodies[handler]] = path
    return found


PATHS = endpoints()
ENDPOINTS = {body: (path, BODIES.get(body, {})) for body, path in PATHS.items()}

# As they stand in a body, for JSON libraries do not write most of them.
VALUES = {"null": b"null", "true": b"true", "string": b'"x"', "empty string": b'""', "array": b"[]", "object": b"{}",
          "mixed array": b'[1, "a", null, {}]', "wrong object": b'{"a": [1]}', "negative": b"-1", "zero": b"0",
          "fraction": b"0.5", "huge": b"1e308", "tiny": b"-1e308", "2^31": b"2147483648", "2^53": b"9007199254740993",
          "2^63": b"9223372036854775808", "-2^63-1": b"-9223372036854775809", "NaN": b"NaN", "infinity": b"Infinity",
          "1e400": b"1e400", "invalid UTF-8": b'"\xff\xfe"', "surrogate": b'"\\ud800"', "NUL": b'"a\\u0000b"',
          "deep": b"[" * 1000 + b"]" * 1000, "deep objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
          "leading zero": b"01", "nothing": b""}


@pytest.fixture(scope="module")
def api(server):
    return server.get("/openapi.json").json


def test_unknown_keys_are_told_once(start):
    server = start()
    for _ in range(3):
        assert server.post("/tokenize", {"content": "a", "odd_key": 1, "other_key": None, "user": "a"}).status == 200
    assert server.stop() == 0
    told = [line for line in server.log.decode().splitlines() if "unknown field" in line]
    assert len(told) == 2 and all("user" not in line for line in told), told


def test_every_endpoint_is_here():
    assert set(PATHS) == set(BODIES)


def nested(schema, good, where=()):
    """Every place of a schema below its root, with a body that is good around it: (names and places, path to it)."""
    for name, inner in schema.get("properties", {}).items():
        yield (*where, name)
        yield from nested(inner, good, (*where, name))
    if "items" in schema:
        yield (*where, 0)
        yield from nested(schema["items"], good, (*where, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield (*where, "1")
    for key in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(key, []):
            yield from nested(one, good, where)


# What must stand beside a nested field for it to be looked at.
BESIDE = {"stream_options": {"stream": True}, "tool_choice": {"tools": [{"type": "function", "function": {"name": "f"}}]}}
PARTS = {("messages", 0): {"role": "user", "content": "a"},
         ("messages", 0, "content", 0): {"type": "text", "text": "a"},
         ("tools", 0): {"type": "function", "function": {"name": "f"}},
         ("tools", 0, "function"): {"name": "f"}}


class Raw:
    """Stands in a body for bytes that no JSON library writes."""

    mark = "@@raw@@"


def place(path, at=0):
    """A value for the whole of path whose innermost place is Raw.mark; what is beside it is good."""
    if at == len(path) - 1:
        return Raw.mark
    step, rest = path[at + 1], place(path, at + 1)
    beside = PARTS.get(path[:at + 1], {})
    return [rest] if step == 0 else {**beside, step: rest}


def fields(api, endpoint):
    """Paths of all fields of an endpoint, nested ones too."""
    schema = api["components"]["schemas"][endpoint]
    assert len(schema["properties"]) >= 3
    return sorted(set(nested(schema, BODIES[endpoint])), key=str)


def test_all_rows_are_described(api):
    """The description has each field of each row, and the samplers where something is sampled."""
    for row in table("server/fields.def"):
        name, endpoint = re.match(r'\w+, "(\w+)".*?(?:EP\((\w+)\).*)?$', row).groups()
        if endpoint:
            assert name in api["components"]["schemas"][endpoint]["properties"]
    samplers = re.findall(r'^X\(\w+, \w+, "[^"]*", "(\w+)"', (ROOT / "src/sample/sample_params.def").read_text(), re.M)
    assert len(samplers) > 20
    for endpoint in ("COMPLETIONS", "CHAT", "NATIVE"):
        assert set(samplers) <= set(api["components"]["schemas"][endpoint]["properties"])


def body_with(good, path, value):
    beside = BESIDE.get(path[0], {})
    if path[0] == "tool_choice" and any(good is BODIES[name] for name in ("MESSAGES", "COUNT_TOKENS")):
        beside = {"tools": [{"name": "f"}]}
    if path[0] == "tool_choice" and good is BODIES["RESPONSES"]:
        beside = {"tools": [{"type": "function", "name": "f"}]}
    body = {**good, **beside, path[0]: place(path)}
    return json.dumps(body).encode().replace(b'"%s"' % Raw.mark.encode(), value)


def refused_well(reply, path, good):
    """A 400 that names the field, or what must be there beside it, in OpenAI's shape or Anthropic's; short."""
    error = reply.json["error"]
    named = error["code"] and error["param"] in (path[0], *good)
    return reply.status == 400 and error["message"] and error["type"] and named and len(reply.body) < 2000


@pytest.mark.parametrize("endpoint", BODIES)
def test_every_field_with_every_value(server, api, endpoint):
    path, good = ENDPOINTS[endpoint]
    with server.wire() as wire:
        for field, (what, value) in itertools.product(fields(api, endpoint), VALUES.items()):
            body = body_with(good, field, value)
            wire.send(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body))
                      + body)
            reply = wire.reply()
            assert reply.status == 200 or refused_well(reply, field, good), (field, what, reply.status, reply.body[:300])
    assert server.get("/livez").status == 200


LONG = {"prompt", "messages", "content", "input"}  # what may be as long as a body: its tokens take a while


@pytest.mark.parametrize("endpoint", BODIES)
def test_long_strings(server, api, endpoint):
    path, good = ENDPOINTS[endpoint]
    rows = api["components"]["schemas"][endpoint]["properties"]
    kinds, before = set(), 0
    for i, name in enumerate(sorted(set(rows) - LONG)):
        kind = str(rows[name].get("type")) + str(rows[name].get("anyOf"))
        field, n = (name,), 100_000 if kind in kinds else 10_000_000  # those of one kind go the same way
        kinds.add(kind)
        reply = server.post(path, body_with(good, field, b'"' + b"a" * n + b'"'))
        assert reply.status == 200 or refused_well(reply, field, good), (field, reply.body)
        if i == 2:
            before = server.metric("rocmforge:heap_bytes")
    deadline = time.monotonic() + 5  # an answer is here before its worker has given the body back
    while server.metric("rocmforge:heap_bytes") >= before + 1_000_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.metric("rocmforge:heap_bytes") < before + 1_000_000


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
        assert reply.status == 400 and reply.json["error"].get("code", "invalid_json") == "invalid_json"


def test_what_must_be_there(server):
    for path, good in ENDPOINTS.values():
        for name in good:
            if name not in ("max_tokens", "n_predict", "max_output_tokens", "model"):
                reply = server.post(path, {k: v for k, v in good.items() if k != name})
                assert (reply.status, reply.json["error"]["param"]) == (400, name)
                assert reply.json["error"].get("code", "missing_required_parameter") == "missing_required_parameter"


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
    for wrong in ({"stop": [""]}, {"stop": ["a"] * 100}, {"n": 129}, {"n": 3, "best_of": 2}, {"stream": True, "best_of": 2}, {"temperature": -1}, {"top_p": 2},
                  {"logprobs": 21}, {"stream_options": {}}, {"stream": True, "stream_options": {"include_usage": 1}}):
        reply = server.post("/v1/completions", {"prompt": "a", **wrong})
        assert reply.status == 400 and reply.json["error"]["param"] in wrong, reply.body
    reply = server.post("/v1/chat/completions", {"messages": good["prompt"] and [{"role": "user", "content": "a"}],
                                                 "top_logprobs": 2})
    assert (reply.status, reply.json["error"]["param"]) == (400, "top_logprobs")
