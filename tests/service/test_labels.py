"""What a label teaches, and the report of it."""

import pytest

from motet.config import parse
from motet.config.moderation import ModerationEntry
from motet.errors import RequestError
from motet.service.labels import hedge_of, label, report, reports
from motet.store.database import Database
from motet.store.moderations import ModerationRow, ModerationRows, keep

CONFIG = parse(
    """
version: 1
experts: [{id: echo, engine: fake}]
classifiers: [{id: a, engine: fake-classifier}, {id: b, engine: fake-classifier}]
moderations: {guard: {members: [a, b], horizon: 4}}
"""
).config
SCORES = '{"a": {"hate": 1.0}, "b": {"hate": 0.0}, "gone": {"hate": 0.5}}'


@pytest.fixture
async def rows(place):
    async with Database(place) as database:
        said = [
            ModerationRow(id="modr-1", number=n, moderation=name, time=1.0, scores=SCORES)
            for n, name in enumerate(("guard", "guard", "forgotten"))
        ]
        await database.write(lambda c: keep(c, said))
        yield ModerationRows(database)


async def test_a_label_teaches_the_members_that_there_are(rows):
    told = await label(rows, CONFIG, "modr-1", 0, {"hate": True})
    assert told["losses"] == {"a": 0.0, "b": 1.0} and told["loss"] == 0.5
    assert told["weights"]["a"] > 0.5 and told["regret"] == 0.5 <= told["bound"]
    none = await label(rows, CONFIG, "modr-1", 1, None)  # no category holds
    assert none["losses"]["a"] == pytest.approx(1 / 6) and none["labels"] == 2


async def test_what_cannot_be_learned_is_refused(rows):
    with pytest.raises(RequestError, match="no category 'hat'. Did you mean 'hate'"):
        await label(rows, CONFIG, "modr-1", 0, {"hat": True})
    with pytest.raises(RequestError, match="no moderation 'forgotten' any more"):
        await label(rows, CONFIG, "modr-1", 2, None)


async def test_reports_of_what_was_never_labelled(place):
    async with Database(place) as database:
        told = (await reports(database, CONFIG))["guard"]
    assert told["labels"] == 0 and told["regret"] == told["bound"] == 0
    assert told == report(CONFIG.moderations["guard"], None)


def test_settings_that_change_begin_anew():
    kept = hedge_of(ModerationEntry(members=("a", "b")), None)
    kept.learn({"a": 0.0, "b": 1.0})
    same = hedge_of(ModerationEntry(members=("a", "b")), kept.json())
    other = hedge_of(ModerationEntry(members=("a", "b"), share=0.1), kept.json())
    assert same.labels == 1 and other.labels == 0 and other.weights == kept.weights
