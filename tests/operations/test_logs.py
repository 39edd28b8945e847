"""Logs: JSON lines with the request's id, a line a request, and no secret in any."""

import json
import logging
import os
import subprocess
import sys

import httpx
import pytest
from tests.conftest import free_port, wait_for

from motet.config import parse
from motet.errors import ExpertError
from motet.experts.fake import FakeExpert
from motet.operations.logs import UNDER_WAY, JsonLines
from motet.service.motet import Motet
from motet.types import Request

FLEET = """
version: 1
experts:
  - {{id: a, engine: fake, price: {{input: 1, output: 2}}}}
  - {{id: cut, engine: fake, tokens: [x, y], fail_after: 1}}
  - {{id: far, engine: openai, url: "http://u:passw0rd@127.0.0.1:{free}/v1?k=qu3ry", model: m,
     api_key: "${{FAR_KEY}}", optional: true}}
routers: {{bad: {{kind: constant, expert: cut, fallbacks: [far]}}}}
compositions: {{auto: {{router: bad}}}}
keys: [{{name: ann, key: "${{ANN_KEY}}"}}]
service: {{port: {port}}}
telemetry: {{otlp: "http://127.0.0.1:{free}", headers: {{authorization: "${{OTLP_KEY}}"}},
  logs: {logs}, requests: true}}
"""
SECRETS = {"ANN_KEY": "ann-s3cret", "FAR_KEY": "far-s3cret", "OTLP_KEY": "otlp-s3cret"}


def record(message, *values, **more):
    return logging.LogRecord(
        "motet.x", logging.WARNING, "x.py", 1, message, values, **{"exc_info": None, **more}
    )


def test_a_record_is_one_object_a_line():
    try:
        raise ValueError("bad\nvalue \ud800")
    except ValueError:
        caught = sys.exc_info()
    token = UNDER_WAY.set("req-1")
    line = JsonLines().format(record("two\nlines of %s", "it", exc_info=caught))
    UNDER_WAY.reset(token)
    assert "\n" not in line
    said = json.loads(line)
    assert said["time"].endswith("+00:00") and said["level"] == "warning"
    assert (said["logger"], said["message"]) == ("motet.x", "two\nlines of it")
    assert said["request_id"] == "req-1" and "ValueError" in said["error"]
    assert "request_id" not in json.loads(JsonLines().format(record("x")))


class Odd(FakeExpert):
    """Fails in a way of its own."""

    async def stream(self, request):
        raise TypeError("no word of ours")
        yield


async def test_what_is_logged_on_the_way_of_a_request_names_it(caplog):
    caplog.handler.setFormatter(JsonLines())
    document = parse("version: 1\nexperts: [{id: a, engine: fake}]\n")
    request = Request(model="a", messages=({"role": "user", "content": "hi"},))
    async with Motet(document, make=lambda _: Odd) as motet:
        await motet.fleet.ready()
        with pytest.raises(ExpertError):
            async with motet.answer(request) as answer:
                await anext(answer)
    (line,) = [json.loads(line) for line in caplog.text.splitlines() if "a failed" in line]
    assert line["request_id"] == request.id and "TypeError" in line["error"]


@pytest.fixture(params=["json", "text"])
def output(request, tmp_path):
    """What a service writes that answers, fails, and cannot reach its collector."""
    port, free = free_port(), free_port()
    config = tmp_path / "experts.yaml"
    config.write_text(FLEET.format(port=port, free=free, logs=request.param))
    command = [sys.executable, "-m", "motet.cli.main", "serve", "--local", str(config), "--verbose"]
    env = {**os.environ, **SECRETS, "MOTET_STATE": str(tmp_path), "MOTET_CACHE": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=file)
    url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {SECRETS['ANN_KEY']}"}
    try:
        wait_for(lambda: _is_up(url), 30)
        for model in ("a", "auto", "nobody"):
            body = {"model": model, "messages": [{"role": "user", "content": "hello qu3stion"}]}
            httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)
        wait_for(lambda: log.read_text().count("model_not_found") == 1 + (request.param == "json"))
        wait_for(lambda: "misses spans" in log.read_text(), 30)
    finally:
        process.terminate()
        process.wait(20)
    return request.param, log.read_text()


def _is_up(url):
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_a_service_logs_each_request_and_no_secret(output):
    kind, text = output
    for secret in [*SECRETS.values(), "passw0rd", "qu3ry", "qu3stion"]:
        assert secret not in text
    if kind == "text":
        assert "of ann to a: ok after" in text and "of ann to auto: " in text
        return
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert len(lines) == len(text.splitlines()), "nothing but JSON"
    told = {
        line["composition"]: line for line in lines if line["logger"] == "motet.operations.logs"
    }
    assert set(told) == {"a", "auto", "unknown"}
    done = told["a"]
    assert (done["key"], done["status"], done["experts"], done["level"]) == (
        "ann",
        "ok",
        ["a"],
        "info",
    )
    assert done["request_id"].startswith("req-") and done["seconds"] > 0
    assert done["prompt_tokens"] > 0 < done["completion_tokens"] and done["cost_usd"] > 0
    assert told["unknown"]["status"] == "model_not_found" and told["unknown"]["experts"] == []
