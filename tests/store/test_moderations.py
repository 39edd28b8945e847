"""What members said is kept until it is labelled, and each label is learned from once."""

import asyncio
import time

import pytest

from motet.errors import NotFound, RequestError
from motet.store.database import Database
from motet.store.moderations import ModerationRow, ModerationRows, forgetter, keep


def row(number=0, id="modr-1", at=None):
    return ModerationRow(
        id=id,
        number=number,
        moderation="guard",
        time=time.time() if at is None else at,
        scores='{"a": {"hate": 0.5}}',
    )


def counted(name, scores, known):
    assert name == "guard" and scores == {"a": {"hate": 0.5}}
    return {"labels": 1 if known is None else known["labels"] + 1}


async def test_labels_are_learned_once_each(place):
    async with Database(place) as database:
        rows = ModerationRows(database)
        await database.write(lambda c: keep(c, [row(number) for number in range(5)]))
        await database.write(lambda c: keep(c, [row(0)]))  # kept again after a fault
        assert await rows.states() == {}
        said = {"hate": True}
        await asyncio.gather(*(rows.label("modr-1", n, said, counted) for n in range(5)))
        assert await rows.states() == {"guard": {"labels": 5}}
        with pytest.raises(RequestError, match="has a label already"):
            await rows.label("modr-1", 0, said, counted)
        with pytest.raises(NotFound, match="modr-2 0"):
            await rows.label("modr-2", 0, said, counted)
    async with Database(place) as database:
        assert await ModerationRows(database).states() == {"guard": {"labels": 5}}


async def test_a_label_that_cannot_be_learned_from_is_not_kept(place):
    def fails(*_):
        raise RequestError("no such category")

    async with Database(place) as database:
        rows = ModerationRows(database)
        await database.write(lambda c: keep(c, [row()]))
        with pytest.raises(RequestError, match="no such category"):
            await rows.label("modr-1", 0, {"x": True}, fails)
        await rows.label("modr-1", 0, {"hate": True}, counted)


async def test_old_rows_go_and_what_was_learned_stays(place):
    async with Database(place) as database:
        rows = ModerationRows(database)
        old, new = row(id="modr-old", at=time.time() - 10 * 86_400), row(id="modr-new")
        await database.write(lambda c: keep(c, [old, new]))
        await rows.label("modr-old", 0, {"hate": True}, counted)
        assert not await database.write(forgetter(7))
        with pytest.raises(NotFound):
            await rows.label("modr-old", 0, {"hate": True}, counted)
        await rows.label("modr-new", 0, {"hate": True}, counted)
        assert (await rows.states())["guard"]["labels"] == 2
