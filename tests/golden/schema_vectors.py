"""Writes schemas.json: schemas with documents that PyPI's jsonschema (4.26, draft 2020-12, formats asserted) has judged.

    pip install 'jsonschema[format]' && python3 tests/golden/schema_vectors.py > tests/golden/schemas.json

Each case is [text, valid, wanted]: a text that is not valid must never be let through; one that is valid and wanted, being
written as a model would write it, must be.
"""
import json
import sys

import jsonschema

STRING = {"type": "string"}
SCHEMAS = [
    ({"type": "integer", "multipleOf": 7}, [0, 7, -14, 700, 1, 8, -13]),
    ({"type": "integer", "multipleOf": 6, "minimum": -12, "exclusiveMaximum": 30}, [-12, -6, 0, 6, 24, 30, -18, 5]),
    ({"type": "integer", "multipleOf": 100, "minimum": 0, "maximum": 1000}, [0, 100, 1000, 1100, 50, 10]),
    ({"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 10}, [0, 0.25, 1.5, 9.75, 10, 0.3, 10.25, 1.125]),
    ({"type": "number", "multipleOf": 0.5}, [0.5, 2, 2.5, -1.5, 0.75, 100.5]),
    ({"type": "number", "multipleOf": 5, "maximum": 100}, [5, 95, -5, 100, 105, 3, 7.5]),
    ({"type": "number", "minimum": -1.5, "maximum": 2.25}, [-1.5, -1.4, -1, 0, 0.5, 2.1, 2.2, 2.25, 2.3, 2.26, -1.51, -1.6, 3]),
    ({"type": "number", "minimum": 1.5, "exclusiveMaximum": 1.75}, [1.5, 1.6, 1.7, 1.74, 1.75, 1.8, 1.4, 1]),
    ({"type": "integer", "exclusiveMinimum": 9, "maximum": 120}, [10, 99, 120, 9, 121, 0]),
    ({"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4}, ["ab", "abcd", "a", "abcde", "aB", ""]),
    ({"type": "string", "pattern": "x", "maxLength": 3}, ["x", "axb", "xxx", "aaxb", "aaa", ""]),
    ({"type": "string", "pattern": "^(ab|cd)*$", "minLength": 3}, ["abab", "cdabcd", "ab", "aba", ""]),
    ({"type": "string", "pattern": "é", "minLength": 2}, ["éa", "aé", "é", "aa"]),
    ({"type": "string", "format": "date", "pattern": "^2024-"}, ["2024-05-17", "2024-12-31", "2023-05-17", "2024-13-01", "2024-"]),
    ({"type": "string", "format": "ipv4", "maxLength": 9}, ["1.2.3.4", "10.0.0.10", "10.0.0.100", "1.2.3", "1.2.3.456"]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "é\n", "abc", "a", "abcd", "\"\\", "日本語"]),
    ({"type": "array", "items": {"enum": ["a", "b", 3]}, "uniqueItems": True},
     [[], ["a"], ["b", "a"], [3, "a", "b"], ["a", "a"], ["a", "b", "a"], ["c"]]),
    ({"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 1},
     [[True], [False, True], [], [True, True], [True, False, True]]),
    ({"type": "array", "items": {"enum": ["x", "y", "z", None]}, "uniqueItems": True, "minItems": 2, "maxItems": 3},
     [["x", "y"], ["z", None, "x"], ["x"], ["x", "x"], ["x", "y", "z", None], ["x", "y", "x"]]),
    ({"type": "array", "items": {"$ref": "#/$defs/c"}, "uniqueItems": True, "$defs": {"c": {"const": 1}}}, [[], [1], [1, 1], [2]]),
    ({"type": "object", "patternProperties": {"^n_": {"type": "integer"}}, "additionalProperties": False},
     [{}, {"n_a": 1}, {"n_": 1, "n_b": 2}, {"n_a": "1"}, {"a": 1}, {"n_a": 1, "b": 2}]),
    ({"type": "object", "propertyNames": {"pattern": "^[a-z]{1,3}$"}, "additionalProperties": STRING},
     [{}, {"a": "x"}, {"abc": "", "d": "y"}, {"abcd": ""}, {"A": "x"}, {"a": 1}, {"": "x"}]),
    ({"type": "object", "propertyNames": {"maxLength": 2}}, [{}, {"ab": 1}, {"a": [1, {}], "b": None}, {"abc": 1}]),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": STRING}, "required": ["a"], "additionalProperties": False},
     [{"a": 1}, {"a": 1, "b": "x"}, {"b": "x"}, {"a": "1"}, {"a": 1, "c": 2}, {}]),
    ({"properties": {"a": {"type": "integer"}}, "required": ["b"], "additionalProperties": {"type": "boolean"}, "type": "object"},
     [{"b": True}, {"a": 1, "b": False}, {"a": 1}, {"b": 1}, {"a": 1, "b": False, "c": True}, {"a": 1, "b": False, "c": 1}]),
    ({"anyOf": [{"type": "integer", "minimum": 5}, {"type": "string", "maxLength": 2}]}, [5, 100, "ab", "", 4, "abc", None]),
    ({"oneOf": [{"type": "object", "properties": {"k": {"const": "a"}, "n": {"type": "integer"}}, "required": ["k", "n"]},
                {"type": "object", "properties": {"k": {"const": "b"}}, "required": ["k"]}]},
     [{"k": "a", "n": 1}, {"k": "b"}, {"k": "a"}, {"k": "c"}, {}]),
    ({"oneOf": [{"type": "object", "patternProperties": {"^a": {}}, "additionalProperties": False},
                {"type": "array"}]}, [{"a": 1}, [], [1], {"b": 1}, 1]),
    ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 9}]}, [3, 9, 2, 10, "x"]),
    ({"allOf": [{"type": "integer", "multipleOf": 4}, {"minimum": 5, "maximum": 13}]}, [8, 12, 4, 16, 9]),
    ({"allOf": [{"type": "string", "pattern": "^a"}, {"maxLength": 2}]}, ["a", "ab", "abc", "b"]),
    ({"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/t"}},
                                           "required": ["v"], "additionalProperties": False}}},
     [{"v": 1}, {"v": 1, "next": {"v": 2, "next": {"v": 3}}}, {"v": 1, "next": {}}, {"next": {"v": 1}}]),
    ({"type": "array", "prefixItems": [STRING, {"type": "integer"}], "items": False, "minItems": 1},
     [["a"], ["a", 1], [], [1], ["a", 1, 2]]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}, [[1], [1, 2, 3], [], [1, 2, 3, 4], ["1"]]),
    ({"enum": ["a", 1, None, {"x": [1]}, True]}, ["a", 1, None, {"x": [1]}, True, "b", 2, False, {"x": []}]),
    ({"const": {"a": 1}}, [{"a": 1}, {"a": 2}, {}]),
    ({"type": ["string", "null"], "maxLength": 1}, ["a", None, "ab", 1]),
    ({"type": "string", "format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000", "123e4567", ""]),
    ({"type": "string", "format": "date-time"}, ["2024-02-28T23:59:59Z", "2024-02-28T23:59:59.5+01:00", "2024-02-30T00:00:00Z", "x"]),
]
POOL = [None, True, False, 0, 1, -1, 3, 4, 7, 8, 9, 10, 12, 0.5, 0.1, 2.5, 100, 1e3, -7, 21, "", "a", "x", "ab", "abc", "xyz", "aax", "é", [], [1],
        [True], [1, 1], ["a", "b"], ["a", "a"], [[]], {}, {"a": 1}, {"a": 1, "b": 2}, {"n_": "x"}, {"k": "a"}, {"v": 1}, {"b": True}, {"a": "x"}]


def same(a, b):
    return json.dumps(a) == json.dumps(b)


def main():
    rows = []
    for schema, own in SCHEMAS:
        jsonschema.Draft202012Validator.check_schema(schema)
        judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        cases = []
        for value in own + [v for v in POOL if not any(same(v, o) for o in own)]:
            valid = judge.is_valid(value)
            wanted = valid and any(same(value, o) for o in own)
            texts = [json.dumps(value, ensure_ascii=False)]
            if "enum" in schema or "const" in schema:  # values are written without space
                texts = [json.dumps(value, ensure_ascii=False, separators=(",", ":"))]
            elif wanted:
                texts.append(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
            cases += [[text, valid, wanted] for text in dict.fromkeys(texts)]
        assert any(c[2] for c in cases) and any(not c[1] for c in cases), schema
        rows.append({"schema": schema, "cases": cases})
    sys.stdout.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


main()
