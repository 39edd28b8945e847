"""Every failure as OpenAI's error object."""

import json

import pytest

from motet.api.errors import response_to
from motet.errors import ExpertOverloaded, ExpertRejected, NoExpertAvailable, StoreError


def test_unknown_path_and_method(service):
    for answer in (service.get("/nope"), service.get("/v1/chat/completions")):
        assert answer.status_code in (404, 405)
        assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (NoExpertAvailable("Nobody.", retry_after=2.1), "3"),
        (ExpertOverloaded("a", "full."), "1"),
        (ExpertRejected("a", "no."), None),
    ],
)
def test_only_what_time_may_heal_says_when_to_come_back(error, wait):
    answer = response_to(error)
    assert answer.status_code == error.status
    assert answer.headers.get("retry-after") == wait


def test_a_fault_of_our_own_tells_the_client_nothing_and_the_log_all(caplog):
    answer = response_to(ZeroDivisionError("secret detail"))
    assert answer.status_code == 500 and b"secret" not in answer.body
    assert json.loads(answer.body)["error"]["type"] == "server_error"
    assert "secret detail" in caplog.text


def test_where_the_store_is_stays_with_its_operator(caplog):
    answer = response_to(StoreError("postgresql://db.internal: no route", retry_after=5.0))
    assert answer.status_code == 503 and b"db.internal" not in answer.body
    assert json.loads(answer.body)["error"]["code"] == "store_failed"
    assert answer.headers["retry-after"] == "5" and "db.internal" in caplog.text
