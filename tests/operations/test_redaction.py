"""What is taken out of texts before they are kept."""

import pytest
from tests.conftest import parse

from motet.config.redactors import REDACTORS
from motet.operations.redaction import MARK, Redaction

FLEET = "version: 1\nexperts: [{id: a, engine: fake}]\nstore: {text: true, %s}\n"


def upper(text):
    if text == "fail":
        raise KeyError(text)
    return text.upper()


REDACTORS.register("upper", upper)


def redaction(settings, **more):
    return Redaction(parse(FLEET % settings).config.store, **more)


def test_patterns_and_hooks_reach_every_text_and_nothing_else():
    of = redaction(r"redact: ['\d{4}', '(?i)secret'], redactor: upper").of
    assert of("a secret 12345") == f"A {MARK} {MARK}5"
    message = {"role": "user", "content": [{"type": "text", "text": "Secret"}], "n": 1234}
    assert of([message]) == [
        {"role": "USER", "content": [{"type": "TEXT", "text": MARK}], "n": 1234}
    ]
    assert redaction("redact: []").of("as it is") == "as it is"


@pytest.mark.parametrize(
    "settings, text",
    [("redactor: upper", "fail"), ("redact: ['(a|aa)+$', '(x+x+)+y']", "x" * 5000)],
    ids=["a hook that fails", "a search without end"],
)
def test_what_cannot_be_redacted_is_not_kept_and_is_said_once(settings, text, caplog):
    of = redaction(settings).of
    assert of(["fine", {"content": text}]) is None and of(text) is None
    assert len(caplog.records) == 1
    if settings.startswith("redactor"):
        assert of("fine") is not None


def test_a_search_without_end_holds_up_others_for_a_moment_only():
    clock = [100.0]
    of = redaction("redact: ['(x+x+)+y']", now=lambda: clock[0]).of
    assert of(["x" * 5000] * 100) is None  # the first of them has taken all the time there is
    assert of("fine") is None  # nor is anything searched meanwhile
    clock[0] += 11
    assert of("fine") == "fine"


def test_long_texts_are_cut():
    assert len(redaction("redact: []").of("x" * 10**6)) == 65_536
