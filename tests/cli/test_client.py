"""Calls to a service: its errors in its own words, and what to do where there is none."""

import httpx
import pytest

from motet.cli.client import explain_failure, get, headers, post
from motet.errors import DeployError, MotetError


def test_an_error_is_told_in_the_services_words(service):
    with pytest.raises(MotetError, match=r"'nope'.*does not exist.*\(HTTP 404\)"):
        post(
            service.url,
            "/v1/chat/completions",
            {"model": "nope", "messages": [{"role": "user", "content": "x"}]},
        )
    assert str(explain_failure(httpx.Response(502, text="<html>bad gateway"))) == (
        "<html>bad gateway (HTTP 502)"
    )


def test_a_503_that_reports_is_an_answer(service):
    assert "experts" in get(service.url, "/ready")
    with pytest.raises(DeployError, match=r"Cannot reach http://127.0.0.1:9: .*motet serve"):
        get("http://127.0.0.1:9", "/ready")


def test_a_key_travels_in_a_header():
    assert headers(None) == {} and headers("k") == {"authorization": "Bearer k"}
