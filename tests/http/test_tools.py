"""Calls of tools and reasoning through the server, for each family: `choice` forces what the model writes, so that
what is tested is how it is taken apart."""
import json
import lzma

import openai
import pytest

from conftest import GOLDEN

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "of a town", "parameters": {
    "type": "object", "properties": {"town": {"type": "string"}, "days": {"type": "integer"}}, "required": ["town"]}}},
         {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}]
ASK = [{"role": "user", "content": "How is the weather in Rome?"}]
ROME = {"town": "Rome", "days": 2}
ROME_TEXT = '{"town": "Rome", "days": 2}'
# family: (template, what the model writes for a call of weather with ROME, for calls of weather and time or None)
FAMILIES = {
    "hermes": ("Qwen-Qwen2.5-7B-Instruct", '<tool_call>\n{"name": "weather", "arguments": %s}\n</tool_call>' % ROME_TEXT,
               '<tool_call>\n{"name": "weather", "arguments": %s}\n</tool_call>\n<tool_call>\n{"name": "time", "arguments": {}}\n'
               '</tool_call>' % ROME_TEXT),
    "qwen3": ("Qwen-Qwen3-0.6B", '<think>\nRome, then.\n</think>\n\n<tool_call>\n{"name": "weather", "arguments": %s}\n</tool_call>'
              % ROME_TEXT, None),
    "llama3": ("meta-llama-Llama-3.1-8B-Instruct", '{"name": "weather", "parameters": %s}' % ROME_TEXT, None),
    "mistral": ("mistralai-Mistral-Nemo-Instruct-2407", '[TOOL_CALLS][{"name": "weather", "arguments": %s, "id": "abcdefghi"}]' % ROME_TEXT,
                '[TOOL_CALLS][{"name": "weather", "arguments": %s}, {"name": "time", "arguments": {}}]' % ROME_TEXT),
    "functionary": ("meetkai-functionary-medium-v3.1", "<function=weather>%s</function>" % ROME_TEXT,
                    "<function=weather>%s</function><function=time>{}</function>" % ROME_TEXT),
    "gpt-oss": ("openai-gpt-oss-120b", "<|channel|>analysis<|message|>Rome, then.<|end|><|start|>assistant<|channel|>commentary "
                "to=functions.weather <|constrain|>json<|message|>%s<|call|>" % ROME_TEXT, None),
    "deepseek": ("deepseek-ai-DeepSeek-V3.1", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>%s<｜tool▁call▁end｜>"
                 "<｜tool▁calls▁end｜>" % ROME_TEXT, None),
    "qwen3-coder": ("Qwen3-Coder", "<tool_call>\n<function=weather>\n<parameter=town>\nRome\n</parameter>\n<parameter=days>\n2\n"
                    "</parameter>\n</function>\n</tool_call>", None),
    "generic": (None, '{"name": "weather", "arguments": %s}' % ROME_TEXT, None),
}


@pytest.fixture(scope="module")
def family(start, tmp_path_factory):
    """family(name): a client of a server with that family's template."""
    running = {}

    def client(name):
        template = FAMILIES[name][0]
        if name not in running:
            args = []
            if template:
                path = tmp_path_factory.mktemp("family") / f"{name}.jinja"
                path.write_text(json.loads((GOLDEN / "templates" / f"{template}.json").read_text())["template"])
                args = ["--chat-template-file", path]
            running[name] = start(*args)
        return running[name].client()

    return client


def both(client, text, **more):
    """The choice of a whole answer, once it is the same as the streamed one put together."""
    args = {"model": "m", "messages": ASK, "tools": TOOLS, "max_tokens": 600, "extra_body": {"choice": [text]}, **more}
    whole = client.chat.completions.create(**args).choices[0]
    content, reasoning, calls, finish = "", "", {}, None
    for chunk in client.chat.completions.create(stream=True, **args):
        for choice in chunk.choices:
            content += choice.delta.content or ""
            reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                if call.id:
                    assert call.index == len(calls) and call.type == "function"
                    calls[call.index] = [call.id, call.function.name, ""]
                calls[call.index][2] += call.function.arguments or ""
    told = whole.message.tool_calls or []
    assert finish == whole.finish_reason == ("tool_calls" if told else "stop")
    assert content == (whole.message.content or "")
    assert reasoning == (getattr(whole.message, "reasoning_content", None) or "")
    assert [(c[1], c[2]) for c in calls.values()] == [(c.function.name, c.function.arguments) for c in told]
    assert len({c.id for c in told} | {c[0] for c in calls.values()}) == 2 * len(told)
    return whole


def calls_of(choice):
    return [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or []]


@pytest.mark.parametrize("name", FAMILIES)
def test_calls_of_each_family(family, name):
    _, text, two = FAMILIES[name]
    client = family(name)
    assert calls_of(both(client, text)) == [("weather", ROME)]
    if two:
        assert calls_of(both(client, two)) == [("weather", ROME), ("time", {})]
        got = both(client, two, parallel_tool_calls=False)
        assert calls_of(got) == [("weather", ROME)]


@pytest.mark.parametrize("name", ["hermes", "mistral", "functionary"])
def test_text_before_a_call_survives(family, name):
    got = both(family(name), "Let me see. " + FAMILIES[name][1])
    assert got.message.content.strip() == "Let me see." and calls_of(got) == [("weather", ROME)]


@pytest.mark.parametrize("name", ["qwen3", "gpt-oss"])
def test_reasoning_is_split_off(family, name):
    got = both(family(name), FAMILIES[name][1])
    assert got.message.reasoning_content.strip() == "Rome, then." and not (got.message.content or "").strip()


def test_reasoning_without_tools(family):
    text = "<think>\nHm, a greeting.\n</think>\n\nHello!"
    got = both(family("qwen3"), text, tools=openai.NOT_GIVEN)
    assert got.message.content.strip() == "Hello!" and got.message.reasoning_content.strip() == "Hm, a greeting."
    usage = family("qwen3").chat.completions.create(model="m", messages=ASK, extra_body={"choice": [text]}).usage
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens


def test_a_call_that_breaks_off(family):
    """Whole, it is text; what was streamed of it cannot be taken back."""
    text = '<tool_call>\n{"name": "weather", "arguments": {"town": </tool_call>'
    args = {"model": "m", "messages": ASK, "tools": TOOLS, "extra_body": {"choice": [text]}}
    got = family("hermes").chat.completions.create(**args).choices[0]
    assert got.finish_reason == "stop" and not got.message.tool_calls
    assert '"weather"' in got.message.content and '{"town": ' in got.message.content


@pytest.mark.parametrize("text", ['<tool_call>\n{"name": "unknown", "arguments": {}}\n</tool_call>', "<tool_call>", "a < b and <tool"])
def test_what_is_no_call_stays_text(family, text):
    assert both(family("hermes"), text).message.content == text


def test_tool_choice_none(family):
    text = FAMILIES["hermes"][1]
    assert both(family("hermes"), text, tool_choice="none").message.content == text


def test_a_loop_of_calls(family):
    """What came back is understood when it is sent again, with the tool's answer."""
    client = family("hermes")
    call = both(client, FAMILIES["hermes"][1]).message
    messages = ASK + [call.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "sunny"}]
    prompt = client.post("/apply-template", body={"messages": messages, "tools": TOOLS}, cast_to=object)["prompt"]
    assert '"name": "weather"' in prompt and '"town": "Rome"' in prompt and "sunny" in prompt
    assert both(client, "It is sunny.", messages=messages).message.content == "It is sunny."


def test_a_template_that_knows_no_tools(family):
    """The tools are told all the same, in words."""
    client = family("generic")
    messages = ASK + [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {
        "name": "weather", "arguments": ROME_TEXT}}]}, {"role": "tool", "tool_call_id": "a", "content": "sunny"}]
    prompt = client.post("/apply-template", body={"messages": messages, "tools": TOOLS}, cast_to=object)["prompt"]
    assert "weather" in prompt and "of a town" in prompt and '"name"' in prompt and '"Rome"' in prompt and "sunny" in prompt


@pytest.mark.parametrize("wrong", [
    {"tools": [{}]}, {"tools": [{"type": "function"}]}, {"tools": [{"type": "web_search"}]}, {"tools": ["a"]},
    {"tools": [{"type": "function", "function": {"name": "a b"}}]}, {"tools": [{"type": "function", "function": {"name": 5}}]},
    {"tools": [TOOLS[0], TOOLS[0]]}, {"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]},
    {"tool_choice": "maybe"}, {"tool_choice": {"type": "function", "function": {"name": "other"}}}, {"tool_choice": 5},
    {"tool_choice": {}}, {"parallel_tool_calls": "yes"}])
def test_wrong_tools(server, wrong):
    [field] = wrong
    reply = server.post("/v1/chat/completions", {"messages": ASK, "tools": TOOLS, **wrong})
    assert (reply.status, reply.json["error"]["param"]) == (400, field), reply.body


def test_a_call_without_tools(server):
    reply = server.post("/v1/chat/completions", {"messages": ASK, "tool_choice": "required"})
    assert (reply.status, reply.json["error"]["param"]) == (400, "tool_choice")


def test_reasoning_effort(start, tmp_path):
    """The template hears of it, unless its own variables say something else."""
    path = tmp_path / "effort.jinja"
    path.write_text("{{ reasoning_effort }}/{{ enable_thinking }}:{{ messages[0].content }}")
    server = start("--chat-template-file", path)
    for more, told in (({"reasoning_effort": "low"}, "low/True"), ({"reasoning_effort": "none"}, "none/False"),
                       ({"reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": False}}, "high/False")):
        reply = server.post("/apply-template", {"messages": [{"role": "user", "content": "a"}], **more})
        assert reply.json["prompt"] == told + ":a"
    assert server.client().chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}], max_tokens=1,
                                                   reasoning_effort="low").usage.completion_tokens == 1


def test_forced_calls_write_control_tokens(start, tmp_path):
    """Where the markers of calls are tokens of the vocabulary, a forced call is made of them and is still taken apart."""
    vocab, template = tmp_path / "deepseek.gguf", tmp_path / "deepseek.jinja"
    vocab.write_bytes(lzma.open(GOLDEN / "vocab" / "deepseek_v3.gguf.xz").read())
    source = json.loads((GOLDEN / "templates" / "deepseek-ai-DeepSeek-V3.1.json").read_text())["template"]
    template.write_text(source.replace("think>", "thought>"))  # so that no reasoning of any length comes first
    client = start("--chat-template-file", template, model=vocab).client()
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {
        "town": {"enum": ["Rome", "Oslo"]}}, "required": ["town"], "additionalProperties": False}}}
    got = client.chat.completions.create(model="m", messages=ASK, tools=[tool], tool_choice="required", logprobs=True,
                                         parallel_tool_calls=False, max_tokens=200).choices[0]
    assert calls_of(got)[0][0] == "weather" and calls_of(got)[0][1]["town"] in ("Rome", "Oslo") and not got.message.content
    told = [t.token for t in got.logprobs.content]
    for marker in ("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"):
        assert told.count(marker) == 1, told
    streamed = client.chat.completions.create(model="m", messages=ASK, tools=[tool], max_tokens=200, stream=True,
                                              tool_choice={"type": "function", "function": {"name": "weather"}})
    deltas = [d for chunk in streamed for c in chunk.choices for d in c.delta.tool_calls or []]
    assert deltas[0].function.name == "weather" and deltas[0].index == 0
    assert json.loads("".join(d.function.arguments or "" for d in deltas if d.index == 0))["town"] in ("Rome", "Oslo")
