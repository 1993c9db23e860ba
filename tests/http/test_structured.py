"""Answers that are to be something: on the null backend the model writes anything that it may, so that jsonschema judges
what the constraint lets through."""
import json
import re

import jsonschema
import openai
import pytest

from test_tools import ASK, FAMILIES, TOOLS, calls_of, family  # noqa: F401 (family is a fixture)

PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
          "required": ["name", "age"], "additionalProperties": False}
TREE = {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
    "value": {"type": "integer", "minimum": -5, "maximum": 5}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2}},
    "required": ["value"], "additionalProperties": False}}}
SCHEMAS = {
    "person": PERSON, "tree": TREE, "true": True, "nothing said": {},
    "enum": {"enum": ["a", 1, None, True, {"b": [1, 2]}]}, "const": {"const": "x\n\"y"}, "types": {"type": ["boolean", "null"]},
    "strings": {"type": "array", "items": {"type": "string", "minLength": 2, "maxLength": 5}, "minItems": 1, "maxItems": 4},
    "pattern": {"type": "string", "pattern": "^[a-c]{2}\\d+$"}, "search": {"type": "string", "pattern": "q|^zz"},
    "prefix": {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "integer"}], "items": {"type": "null"}, "maxItems": 4},
    "closed prefix": {"type": "array", "prefixItems": [{"type": "boolean"}], "items": False, "minItems": 1},
    "range": {"type": "array", "items": {"type": "number", "minimum": -1.5, "exclusiveMaximum": 12.25}, "minItems": 5, "maxItems": 9},
    "positive": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "minItems": 5, "maxItems": 9},
    "integers": {"type": "array", "items": {"type": "integer", "exclusiveMinimum": -120, "maximum": 34}, "minItems": 5, "maxItems": 9},
    "optional": {"type": "object", "properties": {k: {"type": "integer", "maximum": 9, "minimum": 0} for k in "abcdef"}, "required": ["c"],
                 "additionalProperties": False},
    "further": {"type": "object", "properties": {"ab": {"type": "boolean"}, "a": {"type": "null"}, "é": {"type": "null"}},
                "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 3}, "required": ["ab", "other"]},
    "any of": {"anyOf": [{"type": "integer", "minimum": 3, "maximum": 4}, PERSON, {"type": "null"}]},
    "one of": {"oneOf": [{"type": "object", "properties": {"kind": {"const": k}, k: {"type": "boolean"}}, "required": ["kind", k],
                          "additionalProperties": False} for k in ("cat", "dog")]},
    "all of": {"allOf": [{"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]},
                         {"properties": {"a": {"type": "number", "maximum": 20}, "b": {"type": "null"}}, "required": ["b"]}]},
    "ref and siblings": {"$defs": {"p": {"type": "integer", "minimum": 1}}, "type": "object", "properties": {"x": {"$ref": "#/$defs/p", "maximum": 3}},
                         "required": ["x"]},
    "pattern beside lengths": {"type": "string", "pattern": "^[a-f]+$", "minLength": 2, "maxLength": 6},
    "multiples": {"type": "array", "items": {"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 9}, "minItems": 1, "maxItems": 3},
    "unique": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 2},
    "nullable any": {"type": "object", "properties": {"x": {"anyOf": [{"type": "string", "enum": ["on", "off"]}, {"type": "null"}]}},
                     "required": ["x"], "title": "T", "description": "D"},
    **{f"format {f}": {"type": "string", "format": f} for f in ("date", "time", "date-time", "uuid", "email", "hostname", "ipv4", "ipv6", "uri",
                                                               "uri-reference", "json-pointer", "duration", "regex")},
}
REFUSED = {
    "not": {"not": {"type": "string"}}, "if": {"if": {"type": "string"}, "then": {}}, "contains": {"type": "array", "contains": {"const": 1}},
    "patternProperties": {"type": "object", "patternProperties": {"^a": {}, "^b": {}}}, "uniqueItems": {"type": "array", "uniqueItems": True},
    "multipleOf": {"type": "integer", "multipleOf": 12345}, "format": {"type": "string", "format": "shoe-size"},
    "oneOf": {"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}, "$ref": {"$ref": "https://example.com/a.json"},
    "pattern": {"type": "string", "pattern": "(?=a)"}, "propertyNames": {"type": "object", "propertyNames": {"enum": ["a"]}},
    "dependentRequired": {"type": "object", "dependentRequired": {"a": ["b"]}}, "unevaluatedProperties": {"unevaluatedProperties": False},
    "minProperties": {"type": "object", "minProperties": 2}, "allOf": {"allOf": [{"type": "string"}, {"type": "integer"}]},
}


def write(client, field, value, seed, max_tokens=1200, **more):
    return client.chat.completions.create(model="m", messages=ASK, max_tokens=max_tokens, seed=seed,
                                          extra_body={field: value}, **more).choices[0]


@pytest.mark.parametrize("name", SCHEMAS)
def test_answers_are_valid(server, name):
    schema, n = SCHEMAS[name], 0
    # Python's own times have no offset, RFC 3339's must have one.
    formats = jsonschema.FormatChecker(set(jsonschema.FormatChecker.checkers) - {"time"})
    checker = jsonschema.Draft202012Validator(schema, format_checker=formats)
    for seed in range(6):
        got = write(server.client(), "response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}, seed)
        if got.finish_reason == "length":
            continue
        checker.validate(json.loads(got.message.content))
        n += 1
    assert n >= 2


@pytest.mark.parametrize("keyword", REFUSED)
def test_what_is_not_enforced_is_refused(server, keyword):
    for schema, place in ((REFUSED[keyword], "at #"), ({"type": "object", "properties": {"deep": REFUSED[keyword]}}, "#/properties/deep")):
        with pytest.raises(openai.BadRequestError) as refused:
            write(server.client(), "json_schema", schema, 0)
        assert refused.value.param == "json_schema" and keyword in refused.value.message and place in refused.value.message


def test_json_object(server):
    n = 0
    for seed in range(8):
        got = write(server.client(), "response_format", {"type": "json_object"}, seed, temperature=0.5)
        if got.finish_reason == "stop":
            n += isinstance(json.loads(got.message.content), dict)
    assert n > 0


@pytest.mark.parametrize("field, value, want", [
    ("regex", "(yes|no), [0-9]{3}", r"(yes|no), [0-9]{3}"), ("guided_regex", "a{3}", "a{3}"), ("choice", ["red", "green"], "red|green"),
    ("guided_choice", ["x"], "x"), ("structured_outputs", {"choice": ["x", "y"]}, "x|y"), ("structured_outputs", {"regex": "b+c"}, "b+c"),
    ("structured_outputs", {"json": {"const": 5}}, "5"), ("guided_json", {"const": 5}, "5"), ("json_schema", {"const": [5]}, r"\[5\]"),
    ("response_format", {"type": "json_object", "schema": {"const": 1}}, "1"),
    ("grammar", 'root ::= "a" b{2,3} # twice\nb ::= [xy] | "(" b ")"\n', r"a.*"), ("guided_grammar", 'root ::= "no"', "no"),
    ("structured_outputs", {"grammar": 'root ::= ("ab" | [^\\x00-\\x7f])+ "!"'}, r"(ab|[^\x00-\x7f])+!")])
def test_other_ways_to_ask(server, field, value, want):
    for path, body in (("/v1/chat/completions", {"messages": ASK}), ("/v1/completions", {"prompt": "a"})):
        reply = server.post(path, {**body, "max_tokens": 600, "seed": 3, field: value})
        assert reply.status == 200, reply.body
        choice = reply.json["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        assert choice["finish_reason"] == "length" or re.fullmatch(want, text), text


@pytest.mark.parametrize("body, field", [
    ({"response_format": {"type": "xml"}}, "response_format"), ({"response_format": "json"}, "response_format"), ({"response_format": {}}, "response_format"),
    ({"response_format": {"type": "json_schema"}}, "response_format"), ({"json_schema": 5}, "json_schema"), ({"grammar": "root = a"}, "grammar"),
    ({"grammar": "root ::= other"}, "grammar"), ({"grammar": 'root ::= root "a" | "b"'}, "grammar"), ({"grammar": ""}, "grammar"),
    ({"grammar": "a ::= [x"}, "grammar"), ({"grammar": 'b ::= "x"'}, "grammar"), ({"regex": "("}, "regex"), ({"regex": "a\x00"}, "regex"),
    ({"choice": [""]}, "choice"), ({"choice": []}, "choice"), ({"choice": ["a"], "regex": "b"}, "choice"), ({"structured_outputs": {"choice": 5}}, "structured_outputs"),
    ({"structured_outputs": {"structural_tag": {}}}, "structured_outputs"), ({"json_schema": {"type": "integer", "minimum": 5, "maximum": 4}}, "json_schema"),
    ({"json_schema": False}, "json_schema"), ({"json_schema": {"$ref": "#"}}, "json_schema"), ({"grammar": 'root ::= "a"{30000}'}, "grammar")])
def test_what_cannot_be_asked(server, body, field):
    reply = server.post("/v1/completions", {"prompt": "a", **body})
    assert (reply.status, reply.json["error"]["param"]) == (400, field), reply.body
    assert len(reply.json["error"]["message"]) > 15


@pytest.mark.parametrize("name", FAMILIES)
def test_a_call_that_must_come(family, name):  # noqa: F811
    """Its arguments are valid for the tool, in each family's own syntax."""
    tools = json.loads(json.dumps(TOOLS))
    tools[0]["function"]["parameters"]["properties"]["town"] = {"type": "string", "maxLength": 9}
    tools[0]["function"]["parameters"]["additionalProperties"] = False
    n = 0
    for seed, choice in ((1, "required"), (2, "required"), (3, {"type": "function", "function": {"name": "weather"}}), (4, "required")):
        got = family(name).chat.completions.create(model="m", messages=ASK, tools=tools, tool_choice=choice, seed=seed, max_tokens=900,
                                                   parallel_tool_calls=False).choices[0]
        if got.finish_reason == "length":
            continue
        [(called, arguments)] = calls_of(got)
        assert called == "weather" or choice == "required"
        schema = next(t["function"]["parameters"] for t in tools if t["function"]["name"] == called)
        jsonschema.validate(arguments, schema)
        n += 1
    assert n > 0


def test_a_tool_whose_schema_cannot_be_enforced(server):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"not": {}}}}}}
    reply = server.post("/v1/chat/completions", {"messages": ASK, "tools": [tool], "tool_choice": "required"})
    assert (reply.status, reply.json["error"]["param"]) == (400, "tools") and "not" in reply.json["error"]["message"]
    assert server.post("/v1/chat/completions", {"messages": ASK, "tools": [tool], "max_tokens": 1}).status == 200


def test_an_answer_or_a_call(family):  # noqa: F811
    """With tools, a JSON answer may be a call instead."""
    kinds = set()
    for seed in range(10):
        got = family("hermes").chat.completions.create(model="m", messages=ASK, tools=TOOLS, seed=seed, max_tokens=600, extra_body={
            "json_schema": {"const": {"a": 1}}}).choices[0]
        kinds.add(got.finish_reason)
        if got.finish_reason == "stop":
            assert json.loads(got.message.content) == {"a": 1}
    assert "stop" in kinds or "tool_calls" in kinds
