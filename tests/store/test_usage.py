"""The usage ledger adds up, whoever writes, by whatever it is asked for."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motet.store.database import Database
from motet.store.place import StorePlace
from motet.store.usage import DIMENSIONS, MEASURES, UsageRow, UsageRows, keep


def row(day="2026-11-28", expert="a", **more):
    about = {"day": day, "key": "k", "tenant": "t", "composition": "auto", "expert": expert}
    return UsageRow(**about | more)


async def test_usage_is_summed_by_what_is_asked_for(place):
    async with Database(place) as database:
        await database.write(lambda c: keep(c, [row(requests=1, calls=2, cost_usd=0.5)] * 3))
        await database.write(lambda c: keep(c, [row(requests=1), row(expert="b", calls=1)]))
        await database.write(lambda c: keep(c, [row(day="2026-11-27", failed=1)]))
        ledger = UsageRows(database)
        by_day = await ledger.totals(["day"])
        assert [(r["day"], r["requests"], r["calls"], r["failed"]) for r in by_day] == [
            ("2026-11-27", 0, 0, 1),
            ("2026-11-28", 4, 7, 0),
        ]
        by_expert = await ledger.totals(["expert", "key"], since="2026-11-28")
        assert [(r["expert"], r["calls"], r["cost_usd"]) for r in by_expert] == [
            ("a", 6, 1.5),
            ("b", 1, 0.0),
        ]
        assert {type(value) for value in by_expert[0].values()} == {str, int, float}


async def test_replicas_that_count_at_once_lose_nothing(places):
    place = places()
    databases = [Database(place) for _ in range(3)]
    rows = [row(expert=name, calls=1) for name in "abcdef"]

    def count(database, order):
        for _ in range(20):
            database.transact(lambda c: keep(c, order))

    await asyncio.gather(
        *(
            asyncio.to_thread(count, database, order)
            for database, order in zip(
                databases, (rows, rows[::-1], rows[3:] + rows[:3]), strict=True
            )
        )
    )
    totals = await UsageRows(databases[0]).totals(["expert"])
    assert [r["calls"] for r in totals] == [60] * 6
    for database in databases:
        database.close()


NAMES = st.sampled_from(["", "a", "b"])
SOME = st.builds(
    UsageRow,
    day=st.sampled_from(["2026-11-27", "2026-11-28"]),
    key=NAMES, tenant=NAMES, composition=NAMES, expert=NAMES,
    requests=st.integers(0, 5), calls=st.integers(0, 2**40), cost_usd=st.sampled_from([0.0, 0.5]),
)  # fmt: skip


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(SOME, min_size=1), max_size=4),
    by=st.lists(st.sampled_from(DIMENSIONS), min_size=1, unique=True),
)
def test_the_sums_are_those_of_the_rows(tmp_path_factory, batches, by):
    path = tmp_path_factory.mktemp("usage") / "store.db"

    async def totals():
        async with Database(StorePlace.file(path)) as database:
            for batch in batches:
                database.transact(lambda c, batch=batch: keep(c, batch))
            return await UsageRows(database).totals(by)

    expected = {}
    for each in (each for batch in batches for each in batch):
        sums = expected.setdefault(
            tuple(getattr(each, name) for name in by), dict.fromkeys(MEASURES, 0)
        )
        for name in MEASURES:
            sums[name] += getattr(each, name)
    found = {tuple(r[n] for n in by): {n: r[n] for n in MEASURES} for r in asyncio.run(totals())}
    assert found == expected
