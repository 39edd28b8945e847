"""What a status and an error object mean, however a host writes them."""

import email.utils
import time

import pytest

from motet.errors import (
    ContextLengthExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertTimeout,
    ExpertUnavailable,
)
from motet.experts.wire.failure import failure_from, failure_in, failure_of, retry_after

SLOW = {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}


@pytest.mark.parametrize(
    ("payload", "kind", "said"),
    [
        ({"error": {"message": "boom", "code": "x"}}, ExpertError, "boom"),
        ({"error": "boom"}, ExpertError, "boom"),
        ({"error": {"message": "full", "code": 429}}, ExpertOverloaded, "full"),
        ({"error": {"message": "full", "code": "429"}}, ExpertOverloaded, "full"),
        ({"error": SLOW, "choices": []}, ExpertOverloaded, "slow down"),
        ({"error": [{"message": "boom"}]}, ExpertError, "boom"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "later"}}, ExpertUnavailable, "later"),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "quota"}}, ExpertOverloaded, "quota"),
        ({"object": "error", "message": "bad", "code": 400}, ExpertRejected, "bad"),
        ({"message": "slow down", "code": 429}, ExpertOverloaded, "slow down"),
        ({"detail": [{"loc": ["body"], "msg": "no such field"}]}, ExpertError, "no such field"),
        ({"error": {"message": None, "code": 7}}, ExpertError, "answered 500"),
        ({"error": {"message": "too long", "type": "invalid_request_error"}}, ExpertRejected, "too long"),
    ],
)  # fmt: skip
def test_an_error_in_place_of_an_answer(payload, kind, said):
    failure = failure_in(payload, "e")
    assert type(failure) is kind and said in str(failure)


@pytest.mark.parametrize(
    "payload", [{"choices": []}, {"choices": [], "error": None}, {"usage": {}}]
)
def test_an_answer_is_no_error(payload):
    assert failure_in(payload, "e") is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ExpertRejected), (401, ExpertError), (403, ExpertError), (404, ExpertRejected),
        (408, ExpertTimeout), (418, ExpertRejected), (429, ExpertOverloaded), (500, ExpertError),
        (503, ExpertUnavailable), (504, ExpertTimeout), (529, ExpertOverloaded), (307, ExpertError),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [
        b"<html>gone</html>", b'"gone"', b'{"detail": "gone"}', b"[]", b"", b"\xff\xfe", b"null", b"7",
        b'[{"error": {"message": "gone"}}]', b'{"error": "gone"}', b'{"error": {"message": {"a": 1}}}',
        b'{"error": {"message": "gone \\ud83d"}}', b"[" * 3000,
    ],
)  # fmt: skip
def test_whatever_a_body_is_its_status_counts(status, kind, body):
    failure = failure_of("e", status, body, {})
    assert type(failure) is kind
    if b"gone" in body and status not in (401, 403, 307):
        assert "gone" in str(failure)
    str(failure).encode()  # no half of a character is in it


def test_a_secret_in_a_refusal_of_credentials_is_not_passed_on():
    assert "sk-1" not in str(failure_of("e", 401, b'{"error": {"message": "bad key sk-1"}}', {}))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None), ({"retry-after": "7"}, 7.0), ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0.0), ({"retry-after": "-3"}, None), ({"retry-after": "inf"}, None),
        ({"retry-after": "1e400"}, None), ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None), ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None), ({"retry-after": "9" * 12}, 86400.0),
        ({"retry-after": "3", "retry-after-ms": "2500"}, 2.5),
    ],
)  # fmt: skip
def test_how_long_to_wait(headers, seconds):
    assert retry_after(headers) == seconds


def test_how_long_to_wait_may_be_a_date():
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 95 < retry_after({"retry-after": date}) <= 100


def test_who_is_overloaded_and_says_no_time_is_asked_again_in_a_second():
    assert failure_from("e", 429, {}).retry_after == 1.0
    assert failure_from("e", 429, {}, 0.0).retry_after == 0.0


def test_a_prompt_that_is_too_long_is_told_with_its_numbers_where_there_are_any():
    bare = failure_from("e", 400, {"message": "too long", "code": "context_length_exceeded"})
    assert type(bare) is ContextLengthExceeded and bare.wanted > bare.limit
    said = failure_from("e", 400, {"message": "maximum context length is 10 tokens, got 25"})
    assert (said.limit, said.wanted) == (10, 25)
    huge = {"message": "maximum context length is " + "9" * 5000}
    assert type(failure_from("e", 400, huge)) is ContextLengthExceeded
