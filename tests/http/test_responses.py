"""OpenAI's responses, by OpenAI's client."""
import asyncio
import json

import openai
import pydantic
import pytest

from test_tools import FAMILIES, ROME, family  # noqa: F401 (family is a fixture)

TOOLS = [{"type": "function", "name": "weather", "description": "of a town", "strict": False, "parameters": {
    "type": "object", "properties": {"town": {"type": "string", "maxLength": 6}, "days": {"type": "integer"}}, "required": ["town"]}}]


def create(client, said=None, **more):
    body = {"choice": [said]} if said else {}
    return client.responses.create(**{"model": "m", "input": "How is the weather in Rome?", "max_output_tokens": 500, "extra_body": body, **more})


def streamed(client, text=None, **more):
    body = {"choice": [text]} if text else {}
    with client.responses.stream(**{"model": "m", "input": "How is the weather in Rome?", "max_output_tokens": 500, "extra_body": body,
                                    **more}) as stream:
        events = list(stream)
        return events, events[-1].response


def check_events(events):
    """Numbers rise by one; what is added is done; deltas are the text that is told at the end."""
    assert [e.sequence_number for e in events if hasattr(e, "sequence_number")] == list(range(len(events)))
    kinds = [e.type for e in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] in ("response.completed", "response.incomplete")
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done")
    assert kinds.count("response.content_part.added") == kinds.count("response.content_part.done")
    for done, delta, field in (("response.output_text.done", "response.output_text.delta", "text"),
                               ("response.reasoning_text.done", "response.reasoning_text.delta", "text"),
                               ("response.function_call_arguments.done", "response.function_call_arguments.delta", "arguments")):
        for e in (e for e in events if e.type == done):
            assert "".join(d.delta for d in events if d.type == delta and d.item_id == e.item_id) == getattr(e, field)


def test_text(server):
    client = server.client()
    events, final = streamed(client, "Hello there.")
    check_events(events)
    for got in (create(client, "Hello there."), final):
        assert got.output_text == "Hello there." and got.status == "completed" and got.id.startswith("resp_")
        [item] = got.output
        assert (item.type, item.role, item.status) == ("message", "assistant", "completed")
        assert got.usage.total_tokens == got.usage.input_tokens + got.usage.output_tokens and got.usage.input_tokens_details.cached_tokens >= 0


def test_settings_are_repeated(server):
    got = create(server.client(), "x", instructions="Be short.", temperature=0.5, metadata={"a": "b"}, tools=TOOLS, tool_choice="none")
    assert (got.instructions, got.temperature, got.metadata, got.tool_choice) == ("Be short.", 0.5, {"a": "b"}, "none")
    assert got.tools[0].name == "weather" and got.max_output_tokens == 500 and got.parallel_tool_calls is True


def test_cut(server):
    client = server.client()
    events, final = streamed(client, max_output_tokens=2)
    check_events(events)
    for got in (create(client, max_output_tokens=2), final):
        assert got.status == "incomplete" and got.incomplete_details.reason == "max_output_tokens" and got.usage.output_tokens == 2


def test_reasoning_and_calls(family):  # noqa: F811
    client = family("qwen3")
    events, final = streamed(client, FAMILIES["qwen3"][1], tools=TOOLS)
    check_events(events)
    for got in (create(client, FAMILIES["qwen3"][1], tools=TOOLS), final):
        assert [o.type for o in got.output if o.type != "message"] == ["reasoning", "function_call"]
        call = got.output[-1]
        assert call.name == "weather" and json.loads(call.arguments) == ROME and call.call_id.startswith("call_")
        assert got.output[0].content[0].text.strip() == "Rome, then." and got.usage.output_tokens_details.reasoning_tokens > 0


def test_a_loop_of_calls(family):  # noqa: F811
    """The output of one turn is the input of the next, as agents send it."""
    client = family("qwen3")
    first = create(client, FAMILIES["qwen3"][1], tools=TOOLS)
    items = [{"role": "user", "content": [{"type": "input_text", "text": "How is the weather in Rome?"}]},
             *(o.model_dump(exclude_none=True) for o in first.output),
             {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "sunny"}]
    second = create(client, "It is sunny.", tools=TOOLS, input=items, instructions="Help.", store=False,
                    include=["reasoning.encrypted_content"], prompt_cache_key="k")
    assert second.output_text == "It is sunny." and second.usage.input_tokens > first.usage.input_tokens
    items += [*(o.model_dump(exclude_none=True) for o in second.output), {"role": "user", "content": "Thanks"}]
    assert create(client, "Bye.", tools=TOOLS, input=items, instructions="Help.").output_text == "Bye."


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_a_call_that_must_come(family, choice):  # noqa: F811
    got = create(family("hermes"), tools=TOOLS, tool_choice=choice, max_output_tokens=2000, parallel_tool_calls=False)
    assert got.status == "incomplete" or len(json.loads(got.output[0].arguments)["town"]) <= 6


def test_structured(server):
    class Light(pydantic.BaseModel):
        colour: str = pydantic.Field(max_length=4)
        bright: bool

    got = server.client().responses.parse(model="m", input="a", text_format=Light, max_output_tokens=400)
    assert isinstance(got.output_parsed, Light)
    plain = create(server.client(), text={"format": {"type": "json_schema", "name": "n", "schema": {"const": [1]}}})
    assert json.loads(plain.output_text) == [1]


def test_logprobs(server):
    got = create(server.client(), "ab", top_logprobs=3, include=["message.output_text.logprobs"])
    assert "".join(p.token for p in got.output[0].content[0].logprobs) == "ab"
    assert len(got.output[0].content[0].logprobs[0].top_logprobs) == 3


def test_async_and_raw(server):
    async def run():
        async with openai.AsyncOpenAI(base_url=server.urls[0] + "/v1", api_key="none") as client:
            stream = await client.responses.create(model="m", input="a", stream=True, extra_body={"choice": ["one two"]})
            return [e.type async for e in stream]
    assert asyncio.run(run())[-1] == "response.completed"
    raw = server.client().responses.with_raw_response.create(model="m", input="a", max_output_tokens=1)
    assert raw.headers["x-request-id"] and raw.parse().object == "response"


@pytest.mark.parametrize("body, field", [
    ({"input": []}, "input"), ({"input": 5}, "input"), ({"input": [{"type": "item_reference", "id": "a"}]}, "input"), ({"input": [5]}, "input"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://a"}]}]}, "input"), ({"input": [{"role": "user"}]}, "input"),
    ({"input": [{"type": "function_call", "name": "a"}]}, "input"), ({"input": [{"type": "function_call_output", "output": "a"}]}, "input"),
    ({"previous_response_id": "resp_1"}, "previous_response_id"), ({"truncation": "auto"}, "truncation"), ({"background": True}, "background"),
    ({"tools": [{"type": "file_search"}]}, "tools"), ({"tools": [{"type": "function"}]}, "tools"), ({"tool_choice": "required"}, "tool_choice"),
    ({"text": {"format": {"type": "xml"}}}, "text"), ({"reasoning": {"effort": 5}}, "reasoning"), ({"conversation": "c"}, "conversation"),
    ({"input": "word " * 5000}, "input")])
def test_what_is_wrong(server, body, field):
    reply = server.post("/v1/responses", {"input": "a", "max_output_tokens": 1, **body})
    assert (reply.status, reply.json["error"]["param"]) == (400, field), reply.body


def test_a_search_of_the_server_is_left_out(server):
    assert create(server.client(), "x", tools=[{"type": "web_search"}]).output_text == "x"


def test_a_stream_that_fails(start):
    """It ends with response.failed, which tells why; what came before stays."""
    server = start("--null-fail-every", 6)
    events = list(server.client().responses.create(model="m", input="a", max_output_tokens=40, stream=True,
                                                   extra_body={"ignore_eos": True}))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    last = events[-1]
    assert (last.type, last.response.status, last.response.error.code) == ("response.failed", "failed", "server_error")
    assert "asked to fail" in last.response.error.message
    assert sum(e.type == "response.output_text.delta" for e in events) >= 3
    assert server.client().responses.create(model="m", input="a", max_output_tokens=2).status == "incomplete"
