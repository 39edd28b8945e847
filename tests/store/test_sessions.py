"""What is remembered of conversations: the later turn stays, and the oldest leave."""

import time

from motet.store.database import Database
from motet.store.sessions import SessionRow, SessionRows, forgetter, keep
from motet.types import Past


def row(id="c", expert="a", at=None, is_first=False, **more):
    past = Past(expert=expert, ended=at or time.time(), **more)
    return SessionRow(id=id, past=past, is_first=is_first)


async def test_a_row_comes_back_as_it_was(place):
    async with Database(place) as database:
        past = Past(expert="a", latched="b", judged=1, messages=3, ended=time.time())
        await database.write(lambda c: keep(c, [SessionRow(id="c", past=past)]))
        rows = SessionRows(database)
        assert await rows.get("c", 0.0) == past
        assert await rows.get("c", time.time() + 60) is None
        assert await rows.get("other", 0.0) is None


async def test_the_later_turn_stays_whoever_writes_last(place):
    now = time.time()
    async with Database(place) as database:
        rows = SessionRows(database)
        both = [row(expert="second", at=now), row(expert="first", at=now - 5)]
        await database.write(lambda c: keep(c, both))
        assert (await rows.get("c", 0.0)).expert == "second"
        await database.write(lambda c: keep(c, [row(expert="late", at=now - 1)]))
        assert (await rows.get("c", 0.0)).expert == "second"
        await database.write(lambda c: keep(c, [row(expert="third", at=now + 1)]))
        assert (await rows.get("c", 0.0)).expert == "third"


async def test_a_latch_stays_until_another_conversation_opens_alike(place):
    now = time.time()
    async with Database(place) as database:
        rows = SessionRows(database)
        turns = [row(latched="b", at=now), row(at=now + 1)]
        await database.write(lambda c: keep(c, turns))
        assert (await rows.get("c", 0.0)).latched == "b"
        await database.write(lambda c: keep(c, [row(at=now + 2, is_first=True)]))
        assert (await rows.get("c", 0.0)).latched == ""


async def test_old_and_supernumerary_conversations_are_forgotten(place):
    now = time.time()
    async with Database(place) as database:
        rows = [row(id=str(n), at=now - n) for n in range(5)] + [row(id="old", at=now - 900_000)]
        await database.write(lambda c: keep(c, rows))
        await database.write(forgetter(7.0, 3))
        left = [id for id in ("0", "1", "2", "3", "old") if await SessionRows(database).get(id, 0)]
        assert left == ["0", "1", "2"]
