"""Everything at once: answers of all kinds, errors and clients that leave. `make soak` does it for longer."""
import json
import random
import threading
import time

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"],
          "additionalProperties": False}
TALK = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 6}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
KINDS = [
    ("/v1/chat/completions", TALK, 200), ("/v1/chat/completions", {**TALK, "stream": True}, 200),
    ("/v1/chat/completions", {**TALK, "tools": [TOOL], "tool_choice": "required", "max_tokens": 48}, 200),
    ("/v1/completions", {"prompt": ["a", "b"], "n": 2, "best_of": 3, "max_tokens": 4}, 200),
    ("/v1/completions", {"prompt": "a b c", "echo": True, "logprobs": 1, "max_tokens": 0}, 200),
    ("/v1/completions", {"prompt": "a", "regex": "[0-9]{4}"}, 200),
    ("/v1/responses", {"input": "a", "max_output_tokens": 4, "stream": True}, 200),
    ("/v1/messages", {**TALK, "stream": True}, 200), ("/v1/embeddings", {"input": ["a", "b"]}, 200),
    ("/tokenize", {"content": "a b"}, 200), ("/v1/completions", {"prompt": "a " * 2000}, 400),
    ("/v1/chat/completions", {**TALK, "response_format": {"type": "json_schema", "json_schema": {"schema": {"if": {}}}}}, 400),
    ("/v1/nothing", {}, 404), ("/v1/completions", {"prompt": 1}, 400)]


def test_everything_at_once(start):
    server = start("-c", 512, "--kv-tokens", 8192, "--max-seqs", 8)
    wrong = []

    def leave(rng):
        body = json.dumps({"prompt": "a", "max_tokens": 400, "stream": True, "ignore_eos": True})
        sent = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        with server.wire() as wire:
            wire.send(sent if rng.random() < 0.7 else sent[:rng.randrange(1, len(sent))])
            time.sleep(0.01 * rng.random())

    def client(seed):
        rng = random.Random(seed)
        for _ in range(40):
            if rng.random() < 0.15:
                leave(rng)
                continue
            path, body, status = rng.choice(KINDS)
            found = server.post(path, body).status
            if found not in (status, 429):
                wrong.append((path, body, found))

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    [t.start() for t in threads]
    [t.join(60) for t in threads]
    assert not any(t.is_alive() for t in threads) and not wrong, wrong[:3]
    server.until("rocmforge:num_requests_in_engine", 0)
    server.until("rocmforge:http_connections", 1)  # the one that asks
    assert server.metric("rocmforge:kv_blocks_used") == 0
    assert server.stop() == 0, server.log.decode()[-2000:]
