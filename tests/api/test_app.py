"""The service as a whole: what it says of itself, and a hostile client."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from tests.conftest import running


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
