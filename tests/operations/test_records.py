"""The decision log: one row a request, usage by day, and texts only where they are wanted."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from tests.conftest import parse

from motet.operations.base import Outcome
from motet.operations.records import DecisionLog
from motet.store import decisions, usage
from motet.store.database import Database
from motet.store.place import StorePlace
from motet.types import Call, Caller, Choice, Decision, Request, Usage

FLEET = "version: 1\nexperts: [{id: a, engine: fake}]\nstore: {%s}\n"
REQUEST = Request(
    model="auto",
    messages=({"role": "user", "content": "my secret"},),
    caller=Caller(key="key-1", tenant="team"),
)
DECISION = Decision(choices=(Choice("a"), Choice("b")), router="r", reason="why", confidence=0.5)
CALL = Call("a", 0.1, 0.2, 0.3, Usage(3, 4), 0.5)
OUTCOME = Outcome(
    status="ok", seconds=0.4, first_chunk_s=0.2, author="a", text="a secret answer", calls=(CALL,)
)


class Kept:
    """A writer that keeps rows in a list."""

    def __init__(self):
        self.rows = []

    def put(self, keep, row, size):
        self.rows.append(row)
        assert size > 0

    @property
    def decisions(self):
        return [row for row in self.rows if isinstance(row, decisions.DecisionRow)]

    @property
    def usage(self):
        return [row for row in self.rows if isinstance(row, usage.UsageRow)]


@pytest.fixture
def kept():
    return Kept()


def log(kept, settings=""):
    store = parse(FLEET % settings).config.store
    return DecisionLog(kept, store, {"r": "digest"}.get)


def test_a_request_is_one_row_with_what_is_known_of_it(kept):
    observer = log(kept)
    observer.began(REQUEST, "auto")
    observer.decided(REQUEST, "auto", DECISION)
    assert not kept.rows
    observer.called(REQUEST, "auto", CALL)
    observer.finished(REQUEST, "auto", OUTCOME)
    (row,) = kept.decisions
    assert (row.id, row.decision, row.key, row.tenant) == (REQUEST.id, DECISION.id, "key-1", "team")
    assert (row.composition, row.router, row.artifact) == ("auto", "r", "digest")
    assert (row.reason, row.confidence, row.outcome, row.error) == ("why", 0.5, "ok", None)
    assert (row.author, row.seconds, row.first_chunk_s) == ("a", 0.4, 0.2)
    assert (row.prompt_tokens, row.completion_tokens, row.cost_usd) == (3, 4, 0.5)
    assert json.loads(row.experts) == ["a", "b"]
    assert json.loads(row.calls)[0]["expert"] == "a"
    (counted,) = kept.usage
    assert (counted.expert, counted.calls, counted.prompt_tokens) == ("a", 1, 3)
    assert (counted.requests, counted.failed) == (1, 0)
    assert (counted.key, counted.tenant, counted.composition) == ("key-1", "team", "auto")


def test_a_row_has_the_time_of_the_request_however_late_it_is_heard(kept):
    observer = log(kept)
    for id, ended, seconds in (("req-1", 1010.0, 5.0), ("req-2", 1009.0, 1.0)):
        request = replace(REQUEST, id=id)
        observer.began(request, "auto")
        observer.finished(request, "auto", replace(OUTCOME, ended=ended, seconds=seconds))
    assert [row.time for row in kept.decisions] == [1005.0, 1008.0]


def test_calls_count_for_whom_they_asked_and_once_whoever_tells_of_them(kept):
    observer = log(kept)
    failed = replace(CALL, expert="b", error="gone")
    observer.began(REQUEST, "auto")
    for call in (failed, CALL):
        observer.called(REQUEST, "auto", call)
    assert not kept.usage
    observer.finished(REQUEST, "auto", replace(OUTCOME, calls=(failed, CALL)))
    assert [(u.expert, u.requests, u.calls) for u in kept.usage] == [("a", 1, 1), ("b", 0, 1)]
    observer.called(replace(REQUEST, id="req-9"), "auto", CALL)  # of a decision, which has no end
    assert [(u.expert, u.requests, u.calls) for u in kept.usage[2:]] == [("a", 0, 1)]


def test_an_end_without_a_decision_and_a_decision_without_an_end(kept):
    observer = log(kept)
    observer.began(REQUEST, "auto")
    observer.finished(REQUEST, "auto", Outcome(status="deadline_exceeded", seconds=1.0))
    other = replace(REQUEST, id="req-2")
    observer.decided(other, "auto", DECISION)
    first, second = kept.decisions
    assert (first.outcome, first.error, first.decision) == ("error", "deadline_exceeded", None)
    assert (second.outcome, second.decision, second.seconds) == ("decided", DECISION.id, None)
    assert [(u.expert, u.requests, u.failed) for u in kept.usage] == [("", 1, 1)]


def test_a_line_of_a_batch_is_completed_by_its_end(tmp_path, kept):
    """It is decided when the batch is planned, and begins much later."""
    observer = log(kept)
    observer.decided(REQUEST, "auto", DECISION)
    observer.began(REQUEST, "auto")
    observer.finished(REQUEST, "auto", OUTCOME)
    database = Database(StorePlace.file(tmp_path / "store.db"))
    for row in kept.decisions:
        database.transact(lambda c, row=row: decisions.keep(c, [row]))
    columns = (decisions.DECISIONS.c.decision, decisions.DECISIONS.c.outcome)
    found = database.transact(lambda c: c.execute(select(*columns)).all())
    assert found == [(DECISION.id, "ok")]
    database.close()


@pytest.mark.parametrize("settings", ["", "text: false, redact: ['x']"])
def test_no_text_is_kept_unless_it_is_wanted(kept, settings):
    observer = log(kept, settings)
    failed = replace(CALL, error="host says: my secret", draft="an answer")
    observer.began(REQUEST, "auto")
    observer.finished(REQUEST, "auto", replace(OUTCOME, calls=(failed,)))
    assert "secret" not in str(kept.rows) and "an answer" not in str(kept.rows)
    assert kept.decisions[0].prompt is None and kept.decisions[0].answer is None
    assert json.loads(kept.decisions[0].calls)[0]["failed"] is True


def test_text_is_kept_redacted_where_it_is_wanted(kept):
    observer = log(kept, "text: true, redact: [secret]")
    failed = replace(CALL, error="host says: my secret")
    observer.began(REQUEST, "auto")
    observer.finished(REQUEST, "auto", replace(OUTCOME, calls=(failed,)))
    (row,) = kept.decisions
    assert json.loads(row.prompt) == [{"role": "user", "content": "my [redacted]"}]
    assert json.loads(row.calls)[0]["error"] == "host says: my [redacted]"
    assert row.answer == "a [redacted] answer"
    assert row.size > len(row.prompt) + len(row.answer)
    completion = Request(model="a", prompt="a secret")
    observer.began(completion, "a")
    observer.finished(completion, "a", OUTCOME)
    assert json.loads(kept.decisions[1].prompt) == "a [redacted]"


def test_requests_whose_end_is_never_heard_are_forgotten(kept, monkeypatch):
    monkeypatch.setattr("motet.operations.records._OPEN", 3)
    observer = log(kept)
    for n in range(10):
        observer.began(replace(REQUEST, id=f"req-{n}"), "auto")
    assert list(observer._open) == ["req-7", "req-8", "req-9"]


TEXT = st.text(st.characters(codec=None))  # halves of characters and NUL, as clients send them


@given(text=TEXT, tokens=st.integers(), cost=st.floats())
def test_whatever_a_client_or_a_host_says_can_be_kept(text, tokens, cost):
    kept = Kept()
    observer = log(kept, "text: true")
    request = replace(REQUEST, messages=({"role": "user", "content": text, text: [text]},))
    decision = replace(DECISION, router=text, reason=text)
    call = replace(CALL, usage=Usage(tokens, tokens), cost_usd=cost, error=text)
    observer.began(request, "auto")
    observer.decided(request, "auto", decision)
    observer.called(request, "auto", call)
    observer.finished(request, "auto", replace(OUTCOME, calls=(call, call), text=text))
    for row in kept.rows:
        for name in row.__dataclass_fields__:
            value = getattr(row, name)
            if isinstance(value, str):
                assert "\0" not in value and value.encode() is not None
            if isinstance(value, int):
                assert 0 <= value < 2**62
    (row,) = kept.decisions
    assert json.loads(row.calls) and json.loads(row.prompt)
