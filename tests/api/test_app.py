"""The service as a whole: what it says of itself, and a hostile client."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from tests.conftest import running


def test_schema_names_the_bodies(service):
    found = service.get("/openapi.json").json()
    body = found["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"]["$ref"].endswith("/ChatBody")
    assert "messages" in found["components"]["schemas"]["ChatBody"]["properties"]


SECRETS = ("sk-written-in-the-config", "root-key-written-in-it")
QUICK = f"""
version: 1
experts:
  - {{id: echo, engine: fake}}
  - {{id: far, engine: openai, url: "http://127.0.0.1:9/v1", model: m, api_key: {SECRETS[0]}}}
keys:
  - {{name: root, key: {SECRETS[1]}, scopes: [chat, batch, feedback, metrics, admin]}}
"""


def test_no_input_makes_a_500_or_brings_a_secret_out():
    with running(QUICK) as found:
        root = {"authorization": f"Bearer {SECRETS[1]}"}
        schema = schemathesis.openapi.from_url(f"{found.url}/openapi.json", headers=root)
        for operation in schema.get_all_operations():
            _hammer(operation.ok(), found.url)


def _hammer(operation, url):
    @given(case=operation.as_strategy())
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case):
        # Also with a model that exists, or nearly every request would end at its name.
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "echo"
        answer = case.call(base_url=url, headers={"authorization": f"Bearer {SECRETS[1]}"})
        assert answer.status_code < 500
        assert not any(secret in answer.text for secret in SECRETS)

    check()
