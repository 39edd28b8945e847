"""The memory of conversations: what a turn knows, and how long it waits to know it."""

import asyncio
import time

import pytest

from motet.config.sessions import Sessions
from motet.errors import StoreError
from motet.operations.sessions import ConversationMemory
from motet.store.database import Database
from motet.store.sessions import SessionRows, forgetter
from motet.store.writer import Writer
from motet.types import NEW, Past, Request

FIRST = ({"role": "user", "content": "hello"},)
SECOND = (*FIRST, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "and you?"})


def turn(messages=SECOND, **fields):
    return Request(model="auto", messages=messages, **fields)


class Rows:
    """A store that answers as it is told, and counts who asks."""

    def __init__(self, *answers, delay_s=0.0):
        self.asked = 0
        self._answers, self._delay_s = list(answers), delay_s

    async def get(self, id, since):
        self.asked += 1
        await asyncio.sleep(self._delay_s)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Kept(list):
    """A writer that only remembers."""

    def put(self, keep, row, size):
        self.append(row)


def memory(rows=None, **settings):
    made = ConversationMemory(Sessions(**settings))
    if rows is not None:
        made.keep_in(rows, Kept())
    return made


async def test_it_remembers_here_at_once():
    found = memory()
    assert await found.recall(turn()) is NEW
    found.note(turn(FIRST), Past(expert="a", messages=1))
    assert (await found.recall(turn())).expert == "a"
    assert await found.recall(turn(session="other")) is NEW


async def test_a_first_turn_is_new_whoever_opened_alike():
    found = memory(Rows(Past(expert="a", messages=1, ended=1.0)))
    found.note(turn(FIRST), Past(expert="a", messages=1))
    assert await found.recall(turn(FIRST)) is NEW
    assert (await found.recall(turn(FIRST, session="s"))).expert == "a"  # a name says it goes on


async def test_of_a_history_cut_short_the_later_turn_is_right():
    now = time.time()
    rows = Rows(Past(expert="b", messages=9, ended=now))
    found = memory(rows)
    found.note(turn(FIRST, session="s"), Past(expert="a", messages=1, ended=now - 1))
    assert (await found.recall(turn(FIRST, session="s"))).expert == "b"
    found.note(turn(FIRST, session="s"), Past(expert="c", messages=1, ended=now + 1))
    assert (await found.recall(turn(FIRST, session="s"))).expert == "c"


async def test_what_is_whole_here_is_not_asked_for():
    rows = Rows(None)
    found = memory(rows)
    found.note(turn(FIRST), Past(expert="a", messages=1))
    await found.recall(turn())
    assert rows.asked == 0


async def test_it_looks_again_while_the_store_is_behind():
    rows = Rows(None, None, Past(expert="b", messages=1, ended=1.0))
    assert (await memory(rows).recall(turn())).expert == "b"
    assert rows.asked == 3


async def test_it_waits_no_longer_than_it_may():
    found = memory(Rows(None), read_s=0.2)
    began = time.monotonic()
    assert await found.recall(turn()) is NEW
    assert time.monotonic() - began < 2.0
    assert found.unread == 0  # it was heard: nobody knows this conversation


async def test_what_is_known_here_is_better_than_nothing():
    found = memory(Rows(None), read_s=0.1)
    found.note(turn(FIRST), Past(expert="a", messages=1))
    later = (*SECOND, {"role": "assistant", "content": "Fine"}, {"role": "user", "content": "ok"})
    assert (await found.recall(turn(later))).expert == "a"


@pytest.mark.parametrize("rows", [Rows(StoreError("away")), Rows(None, delay_s=30)])
async def test_a_store_that_is_away_is_left_alone_and_counted(rows):
    heard = []
    found = memory(rows, read_s=0.1)
    found.heard = lambda: heard.append(1)
    for _ in range(3):
        assert await found.recall(turn()) is NEW
    assert rows.asked == 1 and found.unread == len(heard) == 3


async def test_it_is_bounded():
    found = memory(most_here=2)
    for name in "abc":
        found.note(turn(session=name), Past(expert=name, messages=1))
    assert await found.recall(turn(session="a")) is NEW
    assert (await found.recall(turn(session="c"))).expert == "c"


async def test_replicas_know_what_others_have_noted(place):
    databases = [Database(place) for _ in range(2)]
    writers = [Writer(database, forgetter(7.0, 100)) for database in databases]
    one, other = (memory() for _ in range(2))
    for found, database, writer in zip((one, other), databases, writers, strict=True):
        found.keep_in(SessionRows(database), writer)
        writer.start()
    past = Past(expert="a", latched="b", messages=1, ended=time.time())
    one.note(turn(FIRST), past)
    assert await other.recall(turn()) == past
    for database, writer in zip(databases, writers, strict=True):
        await asyncio.to_thread(writer.close)
        database.close()
