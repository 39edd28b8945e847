"""What stands before every endpoint: keys, and bounds on bodies."""

import socket
import time

import httpx
from tests.conftest import FLEET, running, wait_for


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


KEYS = """
version: 1
experts: [{id: a, engine: fake, tokens: [ay]}, {id: b, engine: fake, tokens: [bee]}]
service: {api_keys: [alpha, beta]}
routers:
  rules: {kind: symbolic, rules: [{name: theirs, when: "tenant == '%s'", use: [b]}]}
  front: {kind: chain, of: [rules], fallback: a}
compositions: {auto: {router: front}}
"""


def test_a_tenant_is_the_keys_and_not_what_a_body_claims():
    import hashlib

    tenant = "key-" + hashlib.sha256(b"beta").hexdigest()[:8]
    with running(KEYS % tenant) as service:
        wait_for(lambda: service.get("/ready").json()["complete"])

        def answer(key, **body):
            body = {"model": "auto", "messages": [{"role": "user", "content": "x"}], **body}
            headers = {"authorization": f"Bearer {key}"}
            return service.post("/v1/chat/completions", body, headers=headers).json()["model"]

        assert answer("beta") == "b"
        assert answer("alpha") == "a"
        forged = {"metadata": {"tenant": tenant}, "tenant": tenant, "caller": {"tenant": tenant}}
        assert answer("alpha", **forged) == "a"
