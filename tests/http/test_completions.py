"""Answers as the openai client sees them: typed, streamed, whole; on the null backend and on a tiny model."""
import math

import openai
import pytest

from conftest import GOLDEN

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module", params=["null", "llama"])
def client(request, server, start):
    if request.param == "null":
        return server.client()
    return start("-t", 1, null=False, model=GOLDEN / "models" / "llama.gguf").client()


def chat(client, **more):
    return client.chat.completions.create(model="m", messages=more.pop("messages", HELLO), temperature=0, **more)


def text_of(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def test_chat(client):
    answer = chat(client, max_tokens=7)
    assert answer.id.startswith("chatcmpl-") and answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant" and answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length" and answer.choices[0].logprobs is None
    assert answer.usage.completion_tokens == 7
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 7
    assert chat(client, max_completion_tokens=7, max_tokens=2).choices[0].message == answer.choices[0].message


def test_stream_says_what_the_whole_says(client):
    whole = chat(client, max_tokens=40)
    chunks = list(chat(client, max_tokens=40, stream=True))
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {c.object for c in chunks} == {"chat.completion.chunk"}
    assert len({(c.id, c.created, c.model, c.system_fingerprint) for c in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks] == [None] * (len(chunks) - 1) + ["length"]
    assert all(c.usage is None for c in chunks)


def test_usage_comes_last_in_a_stream(server):
    body = {"messages": HELLO, "max_tokens": 5, "stream": True, "stream_options": {"include_usage": True}}
    reply = server.post("/v1/chat/completions", body)
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.body.endswith(b"data: [DONE]\n\n")
    *chunks, last = reply.events
    assert all(c["usage"] is None for c in chunks)
    assert last["choices"] == [] and last["usage"]["completion_tokens"] == 5


def test_cached_tokens(client):
    words = " ".join(f"word{i}" for i in range(60))
    first = client.completions.create(model="m", prompt=words, max_tokens=2, temperature=0)
    again = client.completions.create(model="m", prompt=words, max_tokens=2, temperature=0)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert again.usage.prompt_tokens_details.cached_tokens >= again.usage.prompt_tokens - 32
    assert again.choices[0].text == first.choices[0].text
    alone = client.completions.create(model="m", prompt=words, max_tokens=2, temperature=0,
                                      extra_body={"cache_prompt": False})
    assert alone.usage.prompt_tokens_details.cached_tokens == 0


@pytest.mark.parametrize("streams", [False, True])
def test_stop_across_tokens(client, streams):
    whole = chat(client, max_tokens=60).choices[0].message.content
    for at in range(3, len(whole) - 6, 11):
        stop = whole[at:at + 6]
        if "�" in stop:
            continue
        answer = chat(client, max_tokens=60, stop=[stop, "never in it"], stream=streams)
        if streams:
            chunks = list(answer)
            text, finish = text_of(chunks), chunks[-1].choices[0].finish_reason
        else:
            text, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
        assert (text, finish) == (whole[:whole.index(stop)], "stop")


def test_seed_and_choices(client):
    def sample(**more):
        answer = client.completions.create(model="m", prompt="Once", max_tokens=12, temperature=8, n=4,
                                           extra_body={"top_k": 0, "top_p": 1, "min_p": 0}, **more)
        assert [c.index for c in answer.choices] == [0, 1, 2, 3]
        assert answer.usage.completion_tokens == 48 and answer.usage.prompt_tokens < 10
        return [c.text for c in answer.choices]

    one = sample(seed=7)
    assert one == sample(seed=7) != sample(seed=8)
    assert len(set(one)) == 4


def test_choices_are_told_apart_in_a_stream(client):
    texts = ["", "", ""]
    ends = []
    for chunk in chat(client, max_tokens=6, n=3, stream=True):
        choice = chunk.choices[0]
        texts[choice.index] += choice.delta.content or ""
        ends += [choice.index] if choice.finish_reason else []
    assert sorted(ends) == [0, 1, 2]
    assert texts == [chat(client, max_tokens=6).choices[0].message.content] * 3


def test_chat_logprobs(client):
    answer = chat(client, max_tokens=5, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    assert len(content) == 5
    for entry in content:
        assert entry.logprob == entry.top_logprobs[0].logprob <= 0 and len(entry.top_logprobs) == 3
        assert [t.logprob for t in entry.top_logprobs] == sorted((t.logprob for t in entry.top_logprobs), reverse=True)
        assert sum(math.exp(t.logprob) for t in entry.top_logprobs) <= 1.001
    spelt = b"".join(bytes(e.bytes) for e in content).decode(errors="replace")
    assert spelt.strip() == answer.choices[0].message.content.strip()
    chunks = list(chat(client, max_tokens=5, logprobs=True, top_logprobs=3, stream=True))
    streamed = [e for c in chunks if c.choices[0].logprobs for e in c.choices[0].logprobs.content]
    assert [e.token for e in streamed] == [e.token for e in content]


def test_legacy_logprobs(client):
    answer = client.completions.create(model="m", prompt="Hi", max_tokens=6, temperature=0, logprobs=2)
    lists = answer.choices[0].logprobs
    assert len(lists.tokens) == len(lists.token_logprobs) == len(lists.top_logprobs) == len(lists.text_offset) == 6
    assert lists.text_offset[0] == 0 and all(len(t) == 2 for t in lists.top_logprobs)
    none = client.completions.create(model="m", prompt="Hi", max_tokens=1, temperature=0, logprobs=0)
    assert none.choices[0].logprobs.top_logprobs == [{}]


def test_prompts_of_every_kind(client, server):
    ids = server.post("/tokenize", {"content": "Hello world"}).json["tokens"]
    answer = client.completions.create(model="m", prompt=["Hello world", "Bye"], max_tokens=4, temperature=0, n=2)
    assert len(answer.choices) == 4
    assert answer.choices[0].text == answer.choices[1].text != answer.choices[2].text
    lists = client.completions.create(model="m", prompt=[[5, 6, 7], [8, 9]], max_tokens=4, temperature=0)
    assert lists.choices[1].text == client.completions.create(
        model="m", prompt=[8, 9], max_tokens=4, temperature=0).choices[0].text
    alike = server.post("/v1/completions", {"prompt": ids, "max_tokens": 4, "temperature": 0}).json
    assert alike["choices"][0]["text"] == server.post(
        "/completions", {"prompt": "Hello world", "max_tokens": 4, "temperature": 0}).json["choices"][0]["text"]
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="m", prompt=[1, 1000000])
    assert refused.value.param == "prompt" and "1000000" in refused.value.message


def test_echo(client):
    plain = client.completions.create(model="m", prompt="Hello", max_tokens=3, temperature=0)
    echoed = client.completions.create(model="m", prompt="Hello", max_tokens=3, temperature=0, echo=True)
    assert echoed.choices[0].text.strip() == "Hello" + plain.choices[0].text
    stream = client.completions.create(model="m", prompt="Hello", max_tokens=3, temperature=0, echo=True, stream=True)
    assert "".join(c.choices[0].text for c in stream) == echoed.choices[0].text


def test_best_of(client):
    """The n most probable of best_of choices, each prompt its own; all of them are paid for."""
    ask = {"model": "m", "prompt": ["Hello", "Other"], "max_tokens": 6, "temperature": 1.5, "seed": 7, "logprobs": 0,
           "extra_body": {"ignore_eos": True}}
    all_ = client.completions.create(**ask, n=8)
    best = client.completions.create(**ask, n=2, best_of=8)
    assert best.usage.completion_tokens == all_.usage.completion_tokens == 96
    assert [c.index for c in best.choices] == [0, 1, 2, 3]
    for p in range(2):
        rank = sorted(all_.choices[8 * p:8 * p + 8], key=lambda c: -sum(c.logprobs.token_logprobs))
        assert [c.text for c in best.choices[2 * p:2 * p + 2]] == [c.text for c in rank[:2]]
    plain = client.completions.create(**{**ask, "logprobs": None}, n=2, best_of=8)
    assert [c.text for c in plain.choices] == [c.text for c in best.choices] and plain.choices[0].logprobs is None


def test_echo_with_logprobs(server):
    """What lm-eval asks: the prompt's own log-probabilities, with nothing generated, or with some tokens behind them."""
    client = server.client()
    ids = server.post("/tokenize", {"content": "Hello world, and more"}).json["tokens"]
    scored = client.completions.create(model="m", prompt=ids, max_tokens=0, temperature=0, echo=True, logprobs=2)
    choice = scored.choices[0]
    lists = choice.logprobs
    assert scored.usage.completion_tokens == 0 and scored.usage.prompt_tokens == len(ids)
    assert choice.text == "Hello world, and more" == "".join(lists.tokens) and choice.finish_reason == "length"
    assert len(lists.tokens) == len(lists.token_logprobs) == len(lists.top_logprobs) == len(lists.text_offset) == len(ids)
    assert (lists.token_logprobs[0], lists.top_logprobs[0]) == (None, None)
    for i in range(1, len(ids)):  # each as the same token after the same text is scored when it is generated
        one = client.completions.create(model="m", prompt=ids[:i], max_tokens=1, temperature=0, logprobs=2,
                                        logit_bias={str(ids[i]): 100} if i % 2 else {}).choices[0].logprobs
        assert one.top_logprobs[0].keys() == lists.top_logprobs[i].keys() or i % 2
        assert max(lists.top_logprobs[i].values()) >= lists.token_logprobs[i] <= 0
        assert lists.text_offset[i] == len("".join(lists.tokens[:i]))
    both = client.completions.create(model="m", prompt=ids, max_tokens=3, temperature=0, echo=True, logprobs=2, n=2,
                                     extra_body={"ignore_eos": True})
    after = client.completions.create(model="m", prompt=ids, max_tokens=3, temperature=0, logprobs=2,
                                      extra_body={"ignore_eos": True}).choices[0]
    for choice in both.choices:
        assert choice.logprobs.token_logprobs == lists.token_logprobs + after.logprobs.token_logprobs
        assert choice.text == "Hello world, and more" + after.text
    streamed = list(client.completions.create(model="m", prompt=ids, max_tokens=3, temperature=0, echo=True, logprobs=2,
                                              stream=True, extra_body={"ignore_eos": True}))
    assert sum((c.choices[0].logprobs.token_logprobs for c in streamed), []) == both.choices[0].logprobs.token_logprobs
    assert "".join(c.choices[0].text for c in streamed) == both.choices[0].text
    lone = client.completions.create(model="m", prompt=ids[:1], max_tokens=0, echo=True, logprobs=1)
    assert (lone.choices[0].text, lone.usage.completion_tokens) == (lists.tokens[0], 0)
    plain = client.completions.create(model="m", prompt=["a", "b"], max_tokens=0, echo=True)
    assert [c.text for c in plain.choices] == ["a", "b"]
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="m", prompt="a", max_tokens=0)
    assert refused.value.param == "max_tokens"


def test_logit_bias(client):
    lists = client.completions.create(model="m", prompt="Hi", max_tokens=4, temperature=0, logit_bias={"20": 100},
                                      logprobs=1)
    assert len(set(lists.choices[0].logprobs.tokens)) == 1
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="m", prompt="Hi", logit_bias={"-1": 1})
    assert refused.value.param == "logit_bias"


def test_context_overflow(server):
    client = server.client()
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client, messages=[{"role": "user", "content": "word " * 700}])
    assert refused.value.code == "context_length_exceeded" and refused.value.param == "messages"
    assert "maximum context length is 512 tokens" in refused.value.message and "710 tokens" in refused.value.message
    ids = [5] * 511
    assert client.completions.create(model="m", prompt=ids, max_tokens=1).choices[0].finish_reason == "length"
    full = client.completions.create(model="m", prompt=[5] * 500, max_tokens=100, temperature=0,
                                     extra_body={"ignore_eos": True})
    assert full.choices[0].finish_reason == "length" and full.usage.total_tokens <= 513
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="m", prompt=[5] * 512, max_tokens=1)


def test_messages(server):
    client = server.client()
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    told = chat(client, messages=[{"role": "developer", "content": "Be brief"}, {"role": "user", "content": parts}],
                max_tokens=4)
    same = chat(client, messages=[{"role": "system", "content": "Be brief"}, *HELLO], max_tokens=4)
    assert told.choices[0].message.content == same.choices[0].message.content
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])
    assert refused.value.param == "messages"
    prompt = server.post("/apply-template", {"messages": HELLO}).json["prompt"]
    assert prompt == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


def test_tokens_there_and_back(server):
    text = "Hello wörld 日本 \U0001f600"
    tokens = server.post("/tokenize", {"content": text}).json["tokens"]
    assert server.post("/v1/detokenize", {"tokens": tokens}).json == {"content": text}
    pieces = server.post("/tokenize", {"content": text, "with_pieces": True}).json["tokens"]
    assert [p["id"] for p in pieces] == tokens


def test_models(server):
    client = server.client()
    [model] = client.models.list().data
    assert client.models.retrieve(model.id).id == model.id == "smollm2"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("other")
    assert refused.value.code == "model_not_found"


def test_unsupported_is_told(server):
    client = server.client()
    for name, value in (("audio", {"voice": "a", "format": "wav"}), ("web_search_options", {"user_location": 1})):
        with pytest.raises(openai.BadRequestError) as refused:
            chat(client, **{name: value})
        assert (refused.value.param, refused.value.code) == (name, "unsupported_parameter")
    assert chat(client, response_format={"type": "text"}, tools=[], max_tokens=1).choices


def test_request_ids(server):
    answer = server.client().chat.completions.with_raw_response.create(
        model="m", messages=HELLO, max_tokens=1, extra_headers={"X-Request-Id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    assert server.get("/health").headers["x-request-id"].startswith("req_")
    assert server.get("/health", headers={"X-Request-Id": "no good"}).headers["x-request-id"].startswith("req_")
