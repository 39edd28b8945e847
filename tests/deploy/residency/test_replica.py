"""A replica whose engine comes and goes."""

import asyncio

from tests.deploy.residency.pools import ASK, Cluster

from motet.errors import ExpertUnavailable


async def test_an_engine_is_put_away_after_its_last_answer(tmp_path):
    found = Cluster(tmp_path)
    pool = await found.start_pool("b")
    assert isinstance(await anext(pool.stream("b", ASK)), ExpertUnavailable)
    await pool.load()
    answer = pool.stream("b", ASK)
    first = await anext(answer)
    away = asyncio.create_task(pool.unload())
    await asyncio.sleep(0.05)
    assert not away.done()
    assert "not loaded" in str(await anext(pool.stream("b", ASK))), "no new one begins"
    rest = [parcel async for parcel in answer]
    assert first[0].text == "b" and rest[-1][0].usage
    assert not (await away).loaded
