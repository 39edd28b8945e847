"""Listings, readiness, metrics, keys, bounds on bodies, and a hostile client."""

import socket
import time

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings
from tests.conftest import FLEET, running, wait_for


def test_models(service):
    listed = service.get("/v1/models").json()
    kinds = {model["id"]: model["motet"]["kind"] for model in listed["data"]}
    assert kinds["echo"] == "expert" and kinds["auto"] == "composition"
    assert service.get("/v1/models/auto").json()["motet"]["description"] == "the usual"
    assert service.get("/v1/models/nope").status_code == 404


def test_route_decides_without_answering(service):
    body = {"model": "auto", "messages": [{"role": "user", "content": "some sql"}]}
    decision = service.post("/v1/route", body).json()
    assert decision["primary"] == "coder"
    assert decision["reason"].startswith("rule 'code'")
    assert service.post("/v1/route", {**body, "model": "x"}).status_code == 404


def test_health_and_readiness(service):
    assert service.get("/health").json()["status"] == "ok"
    wait_for(lambda: service.get("/ready").json()["experts"]["offline"]["state"] == "down")
    ready = service.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["complete"]
    assert ready.json()["experts"]["offline"]["reason"] == "gone fishing"


def test_not_ready_says_why():
    with running("version: 1\nexperts: [{id: a, engine: fake, ready_after_s: 60}]") as found:
        ready = found.get("/ready")
        assert ready.status_code == 503
        assert ready.headers["retry-after"]
        wait_for(lambda: "ready in" in found.get("/ready").text)
        answer = found.chat("x", model="a")
        assert answer.status_code == 503 and answer.headers["retry-after"]


def test_metrics(service):
    service.chat("hello")
    service.chat("hello", model="x" * 50)
    text = service.get("/metrics").text
    assert 'motet_requests_total{composition="auto",status="ok"}' in text
    assert 'motet_requests_total{composition="unknown",status="model_not_found"}' in text
    assert 'motet_tokens_total{direction="completion",expert="echo"}' in text
    assert 'motet_expert_ready{expert="offline"} 0.0' in text
    assert "x" * 50 not in text


def test_unknown_path_and_method(service):
    for answer in (service.get("/nope"), service.get("/v1/chat/completions")):
        assert answer.status_code in (404, 405)
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_body_over_the_limit():
    with running(FLEET + "service: {max_body_bytes: 2KB, body_timeout_s: 0.5}\n") as found:
        answer = found.chat("x" * 3000)
        assert answer.status_code == 413
        assert "2000" in answer.json()["error"]["message"]
        chunks = (b"x" * 500 for _ in range(10))  # no content-length to judge by
        answer = httpx.post(f"{found.url}/v1/chat/completions", content=chunks)
        assert answer.status_code == 413
        assert found.chat("fits", model="echo").status_code == 200


def test_body_that_never_comes():
    with running(FLEET + "service: {body_timeout_s: 0.3}\n") as found:
        host, port = found.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(b"POST /v1/route HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
            began = time.monotonic()
            assert b"408" in raw.recv(100)
            assert time.monotonic() - began < 5


def test_keys():
    with running(FLEET + "service: {api_keys: [first-key, other-key]}\n") as found:
        assert found.get("/health").status_code == 200
        assert found.get("/ready").status_code == 200
        refused = found.get("/v1/models")
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"
        for key, status in [("first-key", 200), ("other-key", 200), ("first-ke", 401), ("x", 401)]:
            answer = found.get("/v1/models", headers={"authorization": f"Bearer {key}"})
            assert answer.status_code == status
            assert "first-key" not in answer.text


def test_schema_names_the_bodies(service):
    found = service.get("/openapi.json").json()
    body = found["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"]["$ref"].endswith("/ChatBody")
    assert "messages" in found["components"]["schemas"]["ChatBody"]["properties"]


QUICK = """
version: 1
experts: [{id: echo, engine: fake}]
"""


def test_no_input_makes_a_500():
    with running(QUICK) as found:
        schema = schemathesis.openapi.from_url(f"{found.url}/openapi.json")
        for operation in schema.get_all_operations():
            _hammer(operation.ok(), found.url)


def _hammer(operation, url):
    @given(case=operation.as_strategy())
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case):
        # Also with a model that exists, or nearly every request would end at its name.
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "echo"
        assert case.call(base_url=url).status_code < 500

    check()
