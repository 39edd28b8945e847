"""Fields that a host refuses are left out or renamed, once it has said so."""

import pytest

from motet.experts.wire.dialect import Dialect

REFUSES_OPTIONS = b'{"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]}'
USE_OTHER = b"'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


def test_what_the_config_omits_is_never_sent():
    assert Dialect(frozenset({"user"})).said({"user": "u", "n": 2}) == {"n": 2}


@pytest.mark.parametrize("status", [400, 422])
def test_stream_options_are_left_out_after_a_refusal_and_from_then_on(status):
    dialect, body = Dialect(), {"stream": True, "stream_options": {}}
    assert dialect.said(body) == body
    assert dialect.after(status, REFUSES_OPTIONS, body) == {"stream": True}
    assert dialect.said(body) == {"stream": True}


@pytest.mark.parametrize(
    ("sent", "other"),
    [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")],
)
def test_the_bound_on_tokens_takes_its_other_name_once(sent, other):
    dialect = Dialect()
    assert dialect.after(400, USE_OTHER, {sent: 5, "n": 1}) == {other: 5, "n": 1}
    assert dialect.said({sent: 7}) == {other: 7}
    assert dialect.after(400, USE_OTHER, {other: 5}) is None  # it refuses both: told as it is


@pytest.mark.parametrize(
    ("status", "refusal", "body"),
    [
        (500, REFUSES_OPTIONS, {"stream_options": {}}),
        (400, b"bad temperature", {"stream_options": {}, "max_tokens": 5}),
        (400, REFUSES_OPTIONS, {"stream": True}),
        (400, USE_OTHER, {"n": 1}),
    ],
)
def test_other_refusals_are_told_as_they_are(status, refusal, body):
    assert Dialect().after(status, refusal, body) is None
