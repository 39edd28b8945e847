"""What stands before every endpoint: keys, and bounds on bodies."""

import socket
import time

import httpx
import pytest
from tests.conftest import FLEET, running, wait_for

from motet.config import parse
from motet.errors import ConfigError


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
            raw.sendall(
                b"POST /v1/route HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n{"
            )
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


BOUND = "version: 1\nexperts: [{id: a, engine: fake, tokens: [x]}]\n"
CHAT = {"model": "a", "messages": [{"role": "user", "content": "x"}]}
EVIL, CROSS = {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}


@pytest.fixture(scope="module")
def near():
    with running(BOUND + "service: {cors_origins: ['https://chat.example']}\n") as service:
        wait_for(lambda: service.get("/ready").json()["complete"])
        yield service


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:1"}, 200), ({"host": "[::1]:8000"}, 200), ({"host": "127.0.0.9"}, 200),
        ({"host": "app.localhost"}, 200), ({"host": "evil.example"}, 403), ({"host": "10.0.0.1"}, 403),
        ({"host": "localhost.evil.example"}, 403), ({"host": "[::1"}, 403), ({"host": "127.0.0.1@evil.example"}, 403),
        (EVIL, 403), (CROSS, 403), ({**EVIL, **CROSS}, 403), ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000"}, 200), ({"origin": "http://127.0.0.1:5173", **CROSS}, 200),
        ({"origin": "https://chat.example"}, 200), ({"origin": "https://chat.example.evil"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200), ({"sec-fetch-site": "none"}, 200),
        ({"content-type": "text/plain"}, 415), ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200), ({"content-type": "application/vnd.api+json"}, 200),
    ],
)  # fmt: skip
def test_pages_of_others_do_not_use_a_service_on_loopback(near, headers, status):
    answer = near.post("/v1/chat/completions", CHAT, headers=headers)
    assert answer.status_code == status
    origin = headers.get("origin")
    readable = answer.headers.get("access-control-allow-origin")
    assert readable == (origin if status == 200 else None)


def test_a_page_cannot_send_a_form_either(near):
    form = {"files": {"file": ("x", b"{}")}, "data": {"purpose": "batch"}}
    assert httpx.post(f"{near.url}/v1/files", headers=EVIL, **form).status_code == 403
    assert httpx.post(f"{near.url}/v1/files", headers=CROSS, **form).status_code == 403


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        ("http://localhost:3000", True),
        ("https://chat.example", True),
        ("http://evil.example", False),
    ],
)
def test_a_browsers_question_before_the_question_needs_no_key(origin, welcome):
    text = BOUND + "service: {api_keys: [k], cors_origins: ['https://chat.example']}\n"
    with running(text) as service:
        asks = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}  # fmt: skip
        answer = httpx.options(f"{service.url}/v1/chat/completions", headers=asks)
        assert answer.status_code == 204
        assert answer.headers.get("access-control-allow-origin") == (origin if welcome else None)
        assert answer.headers["access-control-allow-headers"] == "authorization"
        refused = service.post("/v1/chat/completions", CHAT, headers={"origin": origin})
        assert refused.status_code == (401 if welcome else 403)


def test_elsewhere_than_on_loopback_names_are_the_operators_matter():
    with running(BOUND + "service: {host: 0.0.0.0, open_to_all: true}\n") as service:
        answer = service.post("/v1/chat/completions", CHAT, headers={"host": "motet.example"})
        assert answer.status_code == 200
        headers = {"host": "motet.example", "origin": "https://motet.example"}
        assert service.post("/v1/chat/completions", CHAT, headers=headers).status_code == 200
        headers = {"host": "motet.example", "origin": "http://localhost:3000"}
        assert service.post("/v1/chat/completions", CHAT, headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/models", "/metrics", "/v1/models/none"])
def test_head_is_answered_as_get_is_without_the_body(near, path):
    got, asked = near.get(path), httpx.head(f"{near.url}{path}")
    assert asked.status_code == got.status_code and asked.content == b""
    assert asked.headers["content-type"] == got.headers["content-type"]


def test_options_say_what_may_be_asked(near):
    answer = httpx.options(f"{near.url}/v1/models")
    assert answer.status_code == 204 and "POST" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer k"}, 200), ({"authorization": "bearer k"}, 200),
        ({"authorization": "BEARER   k"}, 200), ({"x-api-key": "k"}, 200),
        ({"authorization": "k"}, 401), ({"authorization": "Basic k"}, 401),
        ({"authorization": "Bearer"}, 401), ({"x-api-key": ""}, 401),
        ({"authorization": "Bearer kk"}, 401), ({"authorization": ""}, 401), ({}, 401),
        ({"authorization": "Bearer x", "x-api-key": "k"}, 401),
    ],
)  # fmt: skip
def test_a_key_comes_as_a_bearer_token_or_in_its_own_header(keyed, headers, status):
    assert keyed.get("/v1/models", headers=headers).status_code == status


@pytest.fixture(scope="module")
def keyed():
    with running(BOUND + 'service: {api_keys: [" k\\n"]}\n') as service:
        yield service


@pytest.mark.parametrize("keys", ["['']", "['  ']", '["k", "\\n"]'])
def test_an_empty_key_is_refused_at_load(keys):
    with pytest.raises(ConfigError, match="empty"):
        parse(BOUND + f"service: {{api_keys: {keys}}}\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "motet.example"])
def test_others_need_a_key_unless_it_is_said_plainly(host):
    with pytest.raises(ConfigError, match="no api_keys are set") as caught:
        parse(BOUND + f"service: {{host: '{host}'}}\n")
    assert "open_to_all" in str(caught.value)
    for more in ("api_keys: [k]", "open_to_all: true"):
        parse(BOUND + f"service: {{host: '{host}', {more}}}\n")
    for near in ("127.0.0.1", "127.0.0.9", "localhost", "::1"):
        parse(BOUND + f"service: {{host: '{near}'}}\n")
