"""Jobs in their file: pages of lines, calls once, one runner at a time, all or nothing."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select

from motet.errors import StoreError
from motet.store.database import Database
from motet.store.jobs import CallRow, Jobs, LeaseLost, LineRow
from motet.store.tables import METADATA


@asynccontextmanager
async def opened(place):
    async with Database(place) as database:
        yield Jobs(database)


def dump(connection):
    """All that is kept."""
    tables = METADATA.sorted_tables
    return {t.name: connection.execute(select(t).order_by(*t.primary_key)).all() for t in tables}


def lines(*numbers, **more):
    return [LineRow(n, n * 10, 10, f"q{n}", b"{}", **more) for n in numbers]


async def test_lines_come_in_order_and_by_page(place):
    async with opened(place) as kept:
        await kept.add_job("j", "{}", 7)
        await kept.add_lines("j", lines(*range(1, 1001)))
        seen, after = [], 0
        while rows := await kept.open_lines("j", after):
            seen += [row.number for row in rows]
            after = seen[-1]
        assert seen == list(range(1, 1001))
        await kept.finish_line("j", 3, b"done", True)
        assert await kept.counts("j") == (1000, 0, 1)
        assert 3 not in [row.number for row in await kept.open_lines("j", 0)]
        assert (await kept.row("j", 3)).result == b"done"


async def test_lines_are_kept_all_or_none(place):
    async with opened(place) as kept:
        await kept.add_job("j", "{}", 7)
        with pytest.raises(StoreError, match="unique|UNIQUE"):
            await kept.add_lines("j", lines(1, 2, 2))
        assert await kept.names("j") == []


async def test_a_call_is_kept_once_and_counted(place):
    async with opened(place) as kept:
        await kept.add_job("j", "{}", 7)
        await kept.add_answer("j", 1, CallRow("k", "a", b"[1]", 3, 4, 0.5))
        with pytest.raises(StoreError):
            await kept.add_answer("j", 1, CallRow("k", "a", b"[2]", 3, 4, 0.5))
        assert await kept.answers("j", 1) == {"k": b"[1]"}
        (total,) = await kept.totals("j")
        assert (total.expert, total.calls, total.completion_tokens) == ("a", 1, 4)
        await kept.forget("j")
        assert await kept.facts("j") is None and await kept.answers("j", 1) == {}


async def test_of_many_takers_one_gets_the_right_to_run(place):
    until = time.time() + 60
    async with opened(place) as one, opened(place) as two:
        await one.add_job("j", "{}", 7)
        took = await asyncio.gather(
            *(kept.take("j", f"owner-{n}", until, lambda _: False)
              for n, kept in enumerate([one, two] * 5))
        )  # fmt: skip
        (winner,) = [n for n, holder in enumerate(took) if holder is None]
        assert {holder for holder in took if holder} == {f"owner-{winner}"}
        await one.release("j", "somebody else")
        assert await two.take("j", "next", until, lambda _: False) == f"owner-{winner}"
        await one.release("j", f"owner-{winner}")
        assert await two.take("j", "next", until, lambda _: False) is None


async def test_a_right_that_ran_out_or_whose_owner_is_gone_is_free(place):
    async with opened(place) as kept:
        await kept.add_job("j", "{}", 7)
        await kept.take("j", "late", time.time() - 1, lambda _: False)
        assert await kept.take("j", "dead", time.time() + 60, lambda _: False) is None
        assert await kept.take("j", "next", time.time() + 60, lambda who: who == "dead") is None


CHANGES = {
    "add_lines": lambda jobs: jobs.add_lines("j", lines(9)),
    "finish_line": lambda jobs: jobs.finish_line("j", 1, b"late", False),
    "add_answer": lambda jobs: jobs.add_answer("j", 1, CallRow("k", "a", b"[1]", 3, 4, 0.5)),
    "add_effort": lambda jobs: jobs.add_effort("j", 1, 1.0),
    "forget": lambda jobs: jobs.forget("j"),
    "alone": lambda jobs: jobs.alone(lambda: pytest.fail("it did so")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("loss", ["taken", "given back", "ended"])
async def test_whoever_has_lost_a_job_changes_nothing_of_it(place, change, loss):
    async with Database(place) as database:
        kept = Jobs(database)
        await kept.add_job("j", "{}", 7)
        await kept.add_lines("j", lines(1))
        assert await kept.take("j", "slow", 0.0, lambda holder: False) is None
        if loss == "taken":
            assert await kept.take("j", "quick", time.time() + 60, lambda holder: False) is None
        elif loss == "given back":
            await kept.release("j", "slow")
        else:
            await kept.forget("j")
        before = await database.do(dump)
        with pytest.raises(LeaseLost, match="Another process"):
            await change(Jobs(kept.leased("j", "slow")))
        assert await database.do(dump) == before


@pytest.mark.parametrize("change", sorted(CHANGES.keys() - {"alone"}))
async def test_whoever_holds_a_job_changes_it_however_late(place, change):
    async with Database(place) as database:
        kept = Jobs(database)
        await kept.add_job("j", "{}", 7)
        await kept.add_lines("j", lines(1))
        assert await kept.take("j", "slow", 0.0, lambda holder: False) is None
        before = await database.do(dump)
        await CHANGES[change](Jobs(kept.leased("j", "slow")))
        assert await database.do(dump) != before
