"""llama-server's own endpoints, and embeddings."""
import base64
import concurrent.futures
import json
import math
import struct

import openai
import pytest

STEADY = {"temperature": 0, "ignore_eos": True}


def complete(server, **body):
    reply = server.post("/completion", {**STEADY, **body})
    assert reply.status == 200, reply.body
    return reply.json


def events(reply):
    assert reply.headers["content-type"] == "text/event-stream"
    return [json.loads(line.removeprefix("data: ")) for line in reply.body.decode().split("\n\n") if line]


def test_completion(server):
    said = complete(server, prompt="Hello there", n_predict=5, seed=7, top_k=3)
    expected = server.post("/v1/completions", {"prompt": "Hello there", "max_tokens": 5, **STEADY}).json
    assert said["content"] == expected["choices"][0]["text"] and said["prompt"] == "Hello there"
    assert (said["stop"], said["stop_type"], said["stopping_word"], said["truncated"]) == (True, "limit", "", False)
    assert said["tokens_predicted"] == 5 and said["tokens_evaluated"] == expected["usage"]["prompt_tokens"]
    assert said["tokens"] == [] and said["timings"]["predicted_n"] == 5
    settings = said["generation_settings"]
    assert (settings["n_predict"], settings["seed"], settings["top_k"], settings["temperature"]) == (5, 7, 3, 0)
    assert "completion_probabilities" not in said
    again = complete(server, prompt="Hello there" * 30, n_predict=1)
    assert complete(server, prompt="Hello there" * 30, n_predict=1)["tokens_cached"] > again["tokens_cached"]


def test_prompts_of_texts_and_ids(server):
    def ids(text):
        return server.post("/tokenize", {"content": text}).json["tokens"]

    mixed = complete(server, prompt=[*ids("Hello"), " there", *ids(" world")], n_predict=2)
    assert mixed["prompt"] == "Hello there world" and mixed["tokens_evaluated"] == 3
    many = complete(server, prompt=["Hello", ids(" there")], n_predict=2)
    assert [(one["index"], one["prompt"]) for one in many] == [(0, "Hello"), (1, " there")]
    for wrong in ([], [1.5], [[]], [None, 1], [1, 10 ** 7], {}, 5):
        reply = server.post("/completion", {"prompt": wrong})
        assert (reply.status, reply.json["error"]["param"]) == (400, "prompt"), wrong
    reply = server.post("/completion", {"prompt": [1] * 600})
    assert (reply.status, reply.json["error"]["code"]) == (400, "context_length_exceeded")


def test_streamed_completion(server):
    body = {**STEADY, "prompt": "Hello", "n_predict": 6, "return_tokens": True, "n_probs": 3}
    whole = complete(server, **body)
    *parts, last = events(server.post("/completion", {**body, "stream": True, "timings_per_token": True}))
    assert "".join(part["content"] for part in parts) == whole["content"]
    assert sum((part["tokens"] for part in parts), []) == whole["tokens"] and len(whole["tokens"]) == 6
    assert not any(part["stop"] for part in parts) and all(part["timings"] for part in parts)
    assert (last["stop"], last["content"], last["stop_type"], last["tokens_predicted"]) == (True, "", "limit", 6)
    assert set(whole) - {"completion_probabilities"} <= set(last)
    entries = sum((part["completion_probabilities"] for part in parts), [])
    assert entries == whole["completion_probabilities"]
    for entry, token in zip(entries, whole["tokens"], strict=True):
        assert entry["id"] == token and len(entry["top_logprobs"]) == 3 and entry["logprob"] <= 0
        assert bytes(entry["bytes"]).decode() == entry["token"] and entry["top_logprobs"][0]["id"] == token


def test_stops_and_constraints(server):
    text = complete(server, prompt="Hello", n_predict=20)["content"]
    said = complete(server, prompt="Hello", n_predict=20, stop=["\1\2", text[5:9]])
    assert (said["content"], said["stop_type"], said["stopping_word"]) == (text[:text.index(text[5:9])], "word", text[5:9])
    said = complete(server, prompt="Hello", grammar='root ::= "yes" | "no"', ignore_eos=False)
    assert said["content"] in ("yes", "no") and said["stop_type"] == "eos"
    said = complete(server, prompt="Hello", json_schema={"type": "boolean"}, grammar="", ignore_eos=False)
    assert said["content"].strip() in ("true", "false")
    assert complete(server, prompt="Hello", n_predict=-1, stop=["e"])["tokens_predicted"] < 512
    for wrong in ({"n_predict": 0}, {"n_predict": -2}, {"n_probs": 1000}, {"lora": [{"id": 0}]}, {"samplers": ["top_k"]}):
        reply = server.post("/completion", {"prompt": "a", **wrong})
        assert (reply.status, reply.json["error"]["param"]) == (400, *wrong), reply.body


def test_props_and_slots(start):
    server = start("-c", 256, "--max-seqs", 3, "--null-step-us", 3000, "--alias", "me")
    props = server.get("/props").json
    assert (props["total_slots"], props["model_alias"], props["modalities"]) == (3, "me", {"vision": False, "audio": False})
    settings = props["default_generation_settings"]
    assert settings["n_ctx"] == 256 and settings["params"]["temperature"] == 0.8 and settings["params"]["top_k"] == 40
    assert "im_start" in props["chat_template"] and "/" not in props["model_path"] and props["build_info"]
    assert [slot["is_processing"] for slot in server.get("/slots").json] == [False] * 3
    with server.wire() as wire:
        body = json.dumps({"prompt": "a b c", "n_predict": 200, "stream": True, **STEADY})
        wire.send(f"POST /completion HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        wire.until(b"data: ")
        slots = server.get("/slots").json
    assert [slot["is_processing"] for slot in slots] == [True, False, False]
    assert slots[0]["request_id"] == "mine" and slots[0]["n_prompt_tokens"] == 3
    server.until("rocmforge:num_requests_in_engine", 0)


def test_keys(start):
    server = start("--api-key", "secret")
    for path, status in (("/props", 401), ("/slots", 401), ("/openapi.json", 200)):
        assert server.get(path).status == status
    for path in ("/completion", "/v1/embeddings"):
        assert server.post(path, {"prompt": "a", "input": "a"}).status == 401


def test_embeddings_with_the_client(server):
    client = server.client()
    said = client.embeddings.create(model="m", input=["Hello", "there", "Hello"])
    assert [one.index for one in said.data] == [0, 1, 2] and said.object == "list"
    vectors = [one.embedding for one in said.data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(abs(math.fsum(x * x for x in vector) - 1) < 1e-5 for vector in vectors)
    assert said.usage.prompt_tokens == said.usage.total_tokens == 3
    floats = client.embeddings.create(model="m", input="Hello", encoding_format="float", dimensions=len(vectors[0]))
    assert floats.data[0].embedding == pytest.approx(vectors[0], rel=1e-6)
    raw = server.post("/embeddings", {"input": "Hello", "encoding_format": "base64"}).json["data"][0]["embedding"]
    assert list(struct.unpack(f"<{len(vectors[0])}f", base64.b64decode(raw, validate=True))) == vectors[0]
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="m", input="a", dimensions=7)
    assert caught.value.param == "dimensions"


def test_embeddings_of_ids(server):
    ids = server.post("/tokenize", {"content": "Hello there"}).json["tokens"]
    by_text = server.post("/v1/embeddings", {"input": "Hello there"}).json
    for same in (ids, [ids], ["Hello there"]):
        assert server.post("/v1/embeddings", {"input": same}).json == by_text
    both = server.post("/v1/embeddings", {"input": [ids, "Hello there"]}).json["data"]
    assert both[0]["embedding"] == both[1]["embedding"] == by_text["data"][0]["embedding"]
    for wrong in (None, "", [], [[]], [""], 5, {}, [None], [1, "a"], [-1], [10 ** 7], ["a"] * 2049):
        reply = server.post("/v1/embeddings", {"input": wrong})
        assert (reply.status, reply.json["error"]["param"]) == (400, "input"), wrong


def test_long_inputs_and_many(server):
    assert server.post("/v1/embeddings", {"input": [5] * 512}).json["usage"]["prompt_tokens"] == 512
    reply = server.post("/v1/embeddings", {"input": ["a", [5] * 513]})
    error = reply.json["error"]
    assert (reply.status, error["code"], error["param"]) == (400, "context_length_exceeded", "input")
    assert "maximum context length is 512 tokens" in error["message"] and "513" in error["message"]
    texts = [f"text {i}" for i in range(1200)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        whole = pool.submit(server.post, "/v1/embeddings", {"input": texts})
        others = [pool.submit(server.post, "/v1/embeddings", {"input": texts[i]}) for i in range(0, 1200, 100)]
        data = whole.result().json["data"]
    assert [one["index"] for one in data] == list(range(1200))
    assert len({tuple(one["embedding"]) for one in data}) == 1200
    for i, other in enumerate(others):
        assert other.result().json["data"][0]["embedding"] == data[i * 100]["embedding"]


def test_leaving_while_embeddings_are_made(start):
    server = start("-c", 512, "--kv-tokens", 4096, "--null-step-us", 2000)
    body = json.dumps({"input": [f"text {i} " * 50 for i in range(1000)]})
    for _ in range(3):
        with server.wire() as wire:
            wire.send(f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}")
            server.until("rocmforge:http_requests_running", 1)
        server.until("rocmforge:http_requests_running", 0, 3)
    server.until("rocmforge:num_requests_in_engine", 0, 2)
    assert server.post("/v1/embeddings", {"input": "a"}).status == 200
