"""Anthropic's messages, by Anthropic's client."""
import asyncio
import json

import anthropic
import pytest

from test_tools import FAMILIES, ROME, family  # noqa: F401 (family is a fixture)

TOOLS = [{"name": "weather", "description": "of a town", "input_schema": {
    "type": "object", "properties": {"town": {"type": "string", "maxLength": 6}, "days": {"type": "integer"}}, "required": ["town"]}}]
ASK = [{"role": "user", "content": "How is the weather in Rome?"}]


def claude(openai_client, **more):
    url = str(openai_client.base_url).removesuffix("/v1/")
    return anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, **more)


@pytest.fixture
def client(server):
    return claude(server.client())


def create(client, text=None, **more):
    body = {"choice": [text]} if text else {}
    return client.messages.create(**{"model": "m", "max_tokens": 500, "messages": ASK, "extra_body": body, **more})


def streamed(client, text=None, **more):
    body = {"choice": [text]} if text else {}
    with client.messages.stream(**{"model": "m", "max_tokens": 500, "messages": ASK, "extra_body": body, **more}) as stream:
        events = list(stream)
        return events, stream.get_final_message()


def test_text(client):
    for got in (create(client, "Hello there."), streamed(client, "Hello there.")[1]):
        [block] = got.content
        assert (block.type, block.text) == ("text", "Hello there.")
        assert (got.type, got.role, got.model, got.stop_reason, got.stop_sequence) == ("message", "assistant", "smollm2", "end_turn", None)
        assert got.id.startswith("msg_") and got.usage.output_tokens > 2
        assert got.usage.input_tokens + got.usage.cache_read_input_tokens > 5
    events, _ = streamed(client, "Hello there.")
    assert "".join(e.text for e in events if e.type == "text") == "Hello there."


def test_ends(client):
    assert create(client, max_tokens=1).stop_reason == "max_tokens"
    for got in (create(client, "one two three", stop_sequences=["nothing", " two"]),
                streamed(client, "one two three", stop_sequences=["nothing", " two"])[1]):
        assert (got.stop_reason, got.stop_sequence, got.content[0].text) == ("stop_sequence", " two", "one")


def test_prefill(client):
    """A last message of the assistant is continued."""
    got = create(client, "B is", messages=ASK + [{"role": "assistant", "content": "The answer"}])
    assert got.content[0].text == "B is"
    n = [client.messages.count_tokens(model="m", messages=m).input_tokens
         for m in (ASK, ASK + [{"role": "assistant", "content": "The answer"}])]
    assert n[1] - n[0] == 2


def test_thinking_and_calls(family):  # noqa: F811
    client = claude(family("qwen3"))
    text = FAMILIES["qwen3"][1]
    for got in (create(client, text, tools=TOOLS), streamed(client, text, tools=TOOLS)[1]):
        kinds = [b.type for b in got.content]
        assert kinds[0] == "thinking" and kinds[-1] == "tool_use" and got.content[0].thinking.strip() == "Rome, then."
        call = got.content[-1]
        assert (call.name, call.input, got.stop_reason) == ("weather", ROME, "tool_use") and call.id.startswith("toolu_")


def test_a_loop_of_calls(family):  # noqa: F811
    client = claude(family("hermes"))
    got = create(client, FAMILIES["hermes"][1], tools=TOOLS)
    messages = ASK + [{"role": "assistant", "content": [b.model_dump() for b in got.content]},
                      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": got.content[-1].id, "content": [
                          {"type": "text", "text": "sunny"}]}, {"type": "text", "text": "and now?"}]}]
    assert create(client, "Sunny.", tools=TOOLS, messages=messages).content[0].text == "Sunny."
    longer = client.messages.count_tokens(model="m", messages=messages, tools=TOOLS).input_tokens
    assert longer > client.messages.count_tokens(model="m", messages=ASK, tools=TOOLS).input_tokens > \
        client.messages.count_tokens(model="m", messages=ASK).input_tokens


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}])
def test_a_call_that_must_come(family, choice):  # noqa: F811
    got = create(claude(family("hermes")), tools=TOOLS, tool_choice=choice, max_tokens=2000)
    assert got.stop_reason == "max_tokens" or (got.content[0].name == "weather" and len(got.content[0].input["town"]) <= 6)
    assert create(claude(family("hermes")), FAMILIES["hermes"][1], tools=TOOLS, tool_choice={"type": "none"}).content[0].type == "text"


def test_structured(client):
    got = create(client, extra_body={"output_config": {"format": {"type": "json_schema", "schema": {"const": {"a": 1}}}}})
    assert json.loads(got.content[0].text) == {"a": 1}


def test_as_claude_code_asks(family):  # noqa: F811
    """System blocks with marks of caching, a billing line that changes, a beta query, thinking switched on."""
    client = claude(family("qwen3"))
    used = []
    for i in range(2):
        got = client.post("/v1/messages?beta=true", cast_to=object, options={"headers": {"anthropic-beta": "claude-code-20250219"}}, body={
            "model": "claude-sonnet-4-5", "max_tokens": 50, "stream": False, "metadata": {"user_id": "u"}, "temperature": 1, "choice": ["OK"],
            "system": [{"type": "text", "text": f"x-anthropic-billing-header: cc_version=2; cch={i};"},
                       {"type": "text", "text": "You are Claude Code. " * 20, "cache_control": {"type": "ephemeral"}}],
            "thinking": {"type": "adaptive"}, "context_management": {"edits": []}, "tools": [{**TOOLS[0], "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}]})
        used.append(got["usage"])
    assert used[1]["cache_read_input_tokens"] > 100


def test_errors(server, start, tmp_path):
    client = claude(server.client())
    with pytest.raises(anthropic.BadRequestError) as refused:
        create(client, messages=[{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://a"}}]}])
    assert refused.value.body["type"] == "error" and refused.value.body["error"]["type"] == "invalid_request_error"
    assert "image" in str(refused.value) and refused.value.response.headers["request-id"] == refused.value.body["request_id"]
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.post("/v1/messages", cast_to=object, body={"model": "m", "messages": ASK})
    with pytest.raises(anthropic.BadRequestError, match="maximum context length"):
        create(client, messages=[{"role": "user", "content": "word " * 5000}])
    keys = tmp_path / "keys"
    keys.write_text("sk-right-key-0001\n")
    guarded = start("--api-key-file", keys)
    right = guarded.client(api_key="sk-right-key-0001")
    with pytest.raises(anthropic.AuthenticationError):
        create(claude(right), "x")
    url = str(right.base_url).removesuffix("/v1/")
    assert create(anthropic.Anthropic(base_url=url, api_key="sk-right-key-0001"), "x").content[0].text == "x"
    assert create(anthropic.Anthropic(base_url=url, auth_token="sk-right-key-0001", api_key=None), "x").content[0].text == "x"


@pytest.mark.parametrize("body, field", [
    ({"messages": [{"role": "king", "content": "a"}]}, "messages"), ({"messages": [{"role": "user"}]}, "messages"), ({"messages": []}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages"), ({"system": [{"type": "image"}]}, "system"), ({"system": 5}, "system"),
    ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": "c"}]}]}, "messages"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools"), ({"tools": [{"name": 5}]}, "tools"), ({"tools": [5]}, "tools"),
    ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice"), ({"tools": TOOLS, "tool_choice": "any"}, "tool_choice"),
    ({"thinking": {"type": "maybe"}}, "thinking"), ({"mcp_servers": [{"url": "a"}]}, "mcp_servers"), ({"tool_choice": {"type": "any"}}, "tool_choice")])
def test_what_is_wrong(server, body, field):
    reply = server.post("/v1/messages", {"messages": ASK, "max_tokens": 1, **body})
    assert reply.status == 400 and reply.json["error"]["param"] == field, reply.body


def test_async(server):
    async def run():
        url = str(server.client().base_url).removesuffix("/v1/")
        async with anthropic.AsyncAnthropic(base_url=url, api_key="none") as client:
            answers = await asyncio.gather(*(client.messages.create(model="m", max_tokens=50, messages=ASK, extra_body={"choice": [f"answer {i}"]})
                                             for i in range(8)))
            return [a.content[0].text for a in answers]
    assert asyncio.run(run()) == [f"answer {i}" for i in range(8)]
