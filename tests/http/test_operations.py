"""What who runs it sees: a line for each request, metrics."""
import json
import re
import time

from conftest import ROOT

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(server):
    assert server.stop() == 0
    return [json.loads(line) for line in server.log.decode().splitlines() if line.startswith("{")]


def test_a_line_for_each_request(start, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("alice:sk-alice-0001\n")
    server = start("--api-key-file", keys)
    client = server.client(api_key="sk-alice-0001")
    client.completions.create(model="m", prompt="a secret", max_tokens=3, extra_body={"ignore_eos": True},
                              extra_headers={"X-Request-Id": "mine-1", "traceparent": TRACE})
    for bad in (TRACE[:-1], TRACE.upper(), TRACE.replace("00-", "01-", 1), "00-" + "0" * 32 + TRACE[35:]):
        server.get("/livez", headers={"traceparent": bad})
    server.post("/v1/completions", {"prompt": "a"})
    told = lines(server)
    first = told[0]
    assert (first["id"], first["route"], first["status"], first["key"], first["traceparent"]) == ("mine-1", "/v1/completions", 200, "alice", TRACE)
    assert (first["finish"], first["generated_tokens"]) == ("length", 3) and first["prompt_tokens"] > 1
    assert first["queue_ms"] >= 0 and first["ttft_ms"] > 0 and first["ms"] >= first["ttft_ms"] and first["sent_bytes"] > 50
    assert re.fullmatch(r"127\.0\.0\.1:\d+", first["client"]) and abs(first["time"] - time.time()) < 60
    assert all("traceparent" not in line for line in told[1:]) and told[-1]["status"] == 401
    assert b"secret" not in server.log and b"sk-alice" not in server.log


def test_no_lines_where_none_are_wanted(start):
    server = start("--no-log-requests")
    assert server.get("/livez").status == 200
    assert lines(server) == []


def test_metrics_are_well_formed(start):
    """The text format: HELP and TYPE before each family, every sample of a family together, histograms that add up."""
    server = start()
    for i in range(3):
        server.client().completions.create(model="m", prompt="a" * i + "b", max_tokens=4, stream=False)
    server.post("/v1/completions", {})
    families, values = {}, {}
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("#"):
            kind, name, rest = re.fullmatch(r"# (HELP|TYPE) (rocmforge:\w+) (.+)", line).groups()
            families.setdefault(name, {})[kind] = rest
            continue
        name, labels, value = re.fullmatch(r'(rocmforge:\w+)(\{\w+="[^"]*"\})? ([-+.\deE]+|NaN|\+Inf)', line).groups()
        family = re.sub(r"_(bucket|sum|count)$", "", name) if families.get(re.sub(r"_(bucket|sum|count)$", "", name), {}).get(
            "TYPE") == "histogram" else name
        assert list(families)[-1] == family, line
        assert (name, labels) not in values
        values[name, labels] = float(value)
    assert all(set(f) == {"HELP", "TYPE"} and f["TYPE"] in ("counter", "gauge", "histogram") for f in families.values())
    for name in (n for n, f in families.items() if f["TYPE"] == "histogram"):
        buckets = [v for (n, _), v in values.items() if n == name + "_bucket"]
        assert buckets == sorted(buckets) and buckets[-1] == values[name + "_count", None]
    for name in ("time_to_first_token_seconds", "request_queue_time_seconds", "e2e_request_latency_seconds"):
        assert values[f"rocmforge:{name}_count", None] == 3, name
    assert values["rocmforge:kv_blocks", None] > values["rocmforge:kv_blocks_used", None] == 0
    assert values["rocmforge:process_resident_memory_bytes", None] > 1e6 and values["rocmforge:http_connections", None] >= 1
    assert values["rocmforge:http_responses_total", '{status="400"}'] == 1


def test_the_dashboard_shows_what_is_served(server):
    """Every name in docs/grafana.json is a metric, and every metric stands in it."""
    server.client().completions.create(model="m", prompt="a", max_tokens=2)
    served = dict(line.split()[2:4] for line in server.get("/metrics").body.decode().splitlines()
                  if line.startswith("# TYPE "))
    board = json.loads((ROOT / "docs" / "grafana.json").read_text())
    shown = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            for name, before in ((m[2], m[1]) for m in re.finditer(r"(\w*\()?(rocmforge:\w+)", target["expr"])):
                family = re.sub(r"_bucket$", "", name)
                assert family in served, (panel["title"], name)
                assert (served[family] == "gauge") != (before == "rate("), (panel["title"], name)
                assert (served[family] == "histogram") == name.endswith("_bucket")
                shown.add(family)
            assert target["expr"].count("(") == target["expr"].count(")")
    assert shown == set(served)
