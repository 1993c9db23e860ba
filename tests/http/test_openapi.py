"""The description of the API: it has all endpoints and fields, and schemathesis finds nothing that contradicts it."""
import json
import pathlib
import subprocess
import sys

import jsonschema
import pytest

from conftest import BIN, ROOT
from test_fields import table

# positive_data_acceptance is off: what has the right shape may still be refused for what it means, as an id beyond the
# vocabulary, a pattern that is none, or a prompt that is longer than the context.
ST = [str(pathlib.Path(sys.executable).parent / "st"), "run", "--checks", "all", "--exclude-checks", "positive_data_acceptance",
      "--seed", "1", "--warnings", "off", "--no-color", "--generation-database", "none", "--phases", "coverage,fuzzing"]


@pytest.fixture(scope="module")
def api(server):
    return server.get("/openapi.json").json


def operations(api):
    return [(path, method, operation) for path, methods in api["paths"].items() for method, operation in methods.items()]


def test_every_route_is_there(api):
    rows = [row.replace('"', "").split(", ") for row in table("server/routes.def")]
    assert len(rows) > 20
    expected = {(path + "{name}" * path.endswith("/"), method.lower(), access, body) for method, path, access, body, _, _ in rows}
    assert expected == {(path, method, "KEY" if operation["security"] else "OPEN", "JSON" if "requestBody" in operation else "NONE")
                        for path, method, operation in operations(api)}


def test_schemas_are_schemas(api):
    for name, schema in api["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for field in schema.get("required", []):
            assert field in schema["properties"], (name, field)
    refs = set(json.dumps(api).split('"$ref": "#/')[1:])
    for ref in (ref.split('"')[0] for ref in refs):
        at = api
        for step in ref.split("/"):
            at = at[step]
    assert len({operation["operationId"] for *_, operation in operations(api)}) == len(operations(api))


def test_paths_with_and_without_v1_are_the_same(api):
    for path, method, operation in operations(api):
        if path.startswith("/v1/") and path[3:] in api["paths"]:
            other = api["paths"][path[3:]][method]
            assert {**operation, "operationId": 0} == {**other, "operationId": 0}


def run(server, api, tmp_path, *more):
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(api))
    done = subprocess.run([*ST, "--url", server.urls[0], *more, str(file)], cwd=tmp_path, capture_output=True, text=True,
                          timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_schemathesis_finds_nothing(server, api, tmp_path):
    once = {**api, "paths": {path: methods for path, methods in api["paths"].items() if "/v1" + path not in api["paths"]}}
    for attempt in range(1, 6):  # CPython 3.11 fails now and then on its own (gh-106905), inside of hypothesis
        status, said = run(server, once, tmp_path, "--max-examples", "15", "--workers", "1", "--seed", str(attempt))
        if "AST constructor recursion depth mismatch" not in said:
            break
    assert status == 0, said[-8000:]
    assert server.get("/livez").status == 200


def test_schemathesis_would_find_something(server, api, tmp_path):
    """A description that is wrong about a field and an answer."""
    wrong = json.loads(json.dumps(api))
    wrong["paths"] = {path: wrong["paths"][path] for path in ("/tokenize", "/health")}
    wrong["components"]["schemas"]["TOKENIZE"]["properties"]["user"] = {"type": "integer"}
    wrong["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["required"] = ["state"]
    status, said = run(server, wrong, tmp_path, "--max-examples", "10", "--continue-on-failure")
    assert status == 1 and "GET /health" in said and "POST /tokenize" in said, said[-4000:]


def test_pages_are_fresh(api):
    said = subprocess.run([BIN, "help", "http"], capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs/http-api.md").read_text() == said, "run: build/release/rocmforge help http > docs/http-api.md"
    assert json.loads(subprocess.run([BIN, "help", "openapi"], capture_output=True, check=True).stdout) == api
