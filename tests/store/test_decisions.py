"""Decision records: completed by what comes later, found by filters, trimmed by age and size."""

import time

import pytest
from sqlalchemy import func, select

from motet.errors import NotFound
from motet.store.database import Database
from motet.store.decisions import DECISIONS, DecisionRow, DecisionRows, Wanted, keep
from motet.store.retention import trimmer

ROWS = [
    DecisionRow(id="req-1", decision="dec-1", time=1.0, composition="auto", outcome="ok",
                experts='["a","b"]', calls='[{"expert":"b"}]', size=10),
    DecisionRow(id="req-2", decision="dec-2", time=2.0, composition="auto", outcome="error",
                error="expert_timeout", experts='["a%"]', calls="[]", size=10),
    DecisionRow(id="req-3", time=3.0, composition="other", outcome="cancelled", size=10),
]  # fmt: skip


@pytest.fixture
async def kept(place):
    async with Database(place) as database:
        await database.write(lambda c: keep(c, ROWS))
        yield database


@pytest.mark.parametrize(
    "wanted, ids",
    [
        ({}, [3, 2, 1]),
        ({"since": 2.0}, [3, 2]),
        ({"composition": "auto"}, [2, 1]),
        ({"expert": "a"}, [1]),
        ({"expert": "b"}, [1]),
        ({"expert": "a%"}, [2]),
        ({"expert": "_"}, []),
        ({"outcome": "cancelled"}, [3]),
        ({"outcome": "error"}, [2]),
        ({"outcome": "expert_timeout", "composition": "auto"}, [2]),
        ({"outcome": "expert_timeout", "composition": "other"}, []),
    ],
)
async def test_decisions_are_found_newest_first(kept, wanted, ids):
    rows = await DecisionRows(kept).listing(Wanted(**wanted), 10)
    assert [row.id for row in rows] == [f"req-{n}" for n in ids]
    assert rows == [ROWS[n - 1] for n in ids]
    assert await DecisionRows(kept).listing(Wanted(**wanted), 1) == rows[:1]


async def test_one_is_found_by_how_its_id_begins(kept):
    rows = DecisionRows(kept)
    assert await rows.get("dec-1") == await rows.get("req-1") == ROWS[0]
    for several_or_none in ("dec-", "nothing", "%", "req_1"):
        with pytest.raises(NotFound):
            await rows.get(several_or_none)


async def test_what_comes_later_completes_a_row_and_takes_nothing_from_it(kept):
    later = DecisionRow(id="req-1", time=9.0, outcome="error", error="x", seconds=1.5, size=5)
    for _ in range(2):
        await kept.write(lambda c: keep(c, [later]))
    row = await DecisionRows(kept).get("req-1")
    assert (row.decision, row.experts, row.outcome, row.seconds) == (
        "dec-1", '["a","b"]', "error", 1.5,
    )  # fmt: skip


async def test_the_old_and_what_is_too_much_are_trimmed_the_oldest_first(place):
    now = time.time()
    async with Database(place) as database:

        async def held():
            query = select(func.count(), func.min(DECISIONS.c.time))
            return tuple(await database.do(lambda c: c.execute(query).one()))

        rows = [DecisionRow(id=f"r{n}", time=now - n, size=100) for n in range(5000)]
        await database.write(lambda c: keep(c, rows))
        old, large = trimmer(DECISIONS, 4000 / 86_400, 10**9), trimmer(DECISIONS, 30, 100 * 100)
        while await database.write(old):
            pass
        count, oldest = await held()
        assert 3900 <= count <= 4000 and oldest >= now - 4000
        while await database.write(large):
            pass
        assert await held() == (100, now - 99)
        assert not await database.write(large) and (await held())[0] == 100
        if place.path is not None:  # and the disk has its room back
            pages = [await database.do(_pragma, name) for name in ("freelist_count", "page_count")]
            assert pages[0] < 0.2 * pages[1]


def _pragma(file, name):
    return file.exec_driver_sql(f"PRAGMA {name}").scalar()
