"""A replica that has lost a batch's lease, wherever it stood, changes nothing of the batch."""

import asyncio
import io
import json
import time

import pytest
from sqlalchemy import select, update
from tests.batch.helpers import line

from motet.batch.files import Files
from motet.batch.held import HeldBatch
from motet.batch.lease import Lease
from motet.batch.records import Records
from motet.batch.service import BatchService
from motet.config import parse
from motet.protocol.batches import BatchBody
from motet.service.motet import Motet
from motet.store.database import Database
from motet.store.jobs import JOBS, Jobs, LeaseLost
from motet.store.tables import METADATA
from motet.types import ANYBODY

FLEET = """
version: 1
experts:
  - {id: a, engine: fake, tokens: [x]}
  - {id: dead, engine: fake, fail_after: 0, error: rejected}
store: {path: store.db}
"""
LINES = [line("one", model="a"), line("two", model="dead"), line("three", model="a")]


class Interrupted:
    """A database before whose nth change something else happens, as to a process that is paused."""

    def __init__(self, database, number, happens):
        self._database = database
        self._number = number
        self._happens = happens
        self.changes = 0

    @property
    def place(self):
        return self._database.place

    async def do(self, work, *args, **kwargs):
        return await self._database.do(work, *args, **kwargs)

    async def write(self, work):
        self.changes += 1
        if self.changes == self._number:
            self.happening = asyncio.create_task(self._happens())
            await asyncio.shield(self.happening)  # the run may be given up on meanwhile
        return await self._database.write(work)


async def begun(database):
    """Return the id of a new batch of `LINES`."""
    kept = Files(database)
    content = "".join(json.dumps(each) + "\n" for each in LINES).encode()
    file = await kept.add("in.jsonl", io.BytesIO(content))
    body = BatchBody(
        input_file_id=file["id"], endpoint="/v1/chat/completions", completion_window="1h"
    )
    batch = await Records(database).add(body, ANYBODY)
    await Jobs(database).add_job(batch["id"], "{}", batch["created_at"])
    return batch["id"]


async def run(motet, database, id, interrupted):
    """Run a batch as a replica does whose changes go through `interrupted`."""
    store = Jobs(interrupted)
    assert await store.take(id, "paused:1:run", time.time() + 60, lambda holder: False) is None
    held = store.leased(id, "paused:1:run")
    await HeldBatch(id, held, motet, time.time).run()


async def state(database):
    """Return all that is kept, in the store and beside it."""

    def rows(connection):
        tables = METADATA.sorted_tables
        return [connection.execute(select(t).order_by(*t.primary_key)).all() for t in tables]

    files = database.place.folder.glob("file-*")
    return await database.do(rows), {path.name: path.read_bytes() for path in files}


async def finished_by_another(database, id):
    """Take a batch, as another replica does, and end it in its own way."""
    await database.write(lambda c: c.execute(update(JOBS).values(lease=0.0)))
    async with Lease(Jobs(database), id) as held:
        kept, digest = Files(held), "w" * 31
        kept.path(f"file-{digest}0").write_bytes(b"the winner's\n")
        await kept.register(f"file-{digest}0", "out", "batch_output")
        await Records(held).move(id, "completed", output_file_id=f"file-{digest}0")
        await Jobs(held).forget(id)


@pytest.mark.parametrize("ends", [True, False], ids=["and ends it", "and goes on"])
async def test_whoever_is_paused_before_a_change_makes_none_once_another_has_the_batch(
    tmp_path, places, ends
):
    async with Motet(parse(FLEET, folder=tmp_path)) as motet:
        lost, number = 0, 1
        while True:
            async with Database(places()) as database:
                id, seen = await begun(database), []

                async def other(database=database, id=id, seen=seen):
                    if ends:
                        await finished_by_another(database, id)
                    else:
                        taken = update(JOBS).values(owner="other:1:run", lease=9e9)
                        await database.write(lambda c: c.execute(taken))
                    seen.append(await state(database))

                number += 1  # the first change is to take the batch
                interrupted = Interrupted(database, number, other)
                try:
                    await run(motet, database, id, interrupted)
                except LeaseLost:
                    lost += 1
                    await interrupted.happening
                    assert seen and await state(database) == seen[0]
                    continue
                assert interrupted.changes < number, "it ended without a word on its loss"
                batch = await Records(database).get(id)
                assert batch["status"] == "completed"
                assert batch["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
                break
    assert lost > 10


async def test_a_batch_that_has_ended_is_not_begun_again(tmp_path, place):
    async with Motet(parse(FLEET, folder=tmp_path)) as motet:
        async with Database(place) as database:
            id = await begun(database)
            await Records(database).move(id, "completed")
            before = await Records(database).get(id)
            await run(motet, database, id, database)
            assert await Records(database).get(id) == before
            assert await Jobs(database).facts(id) is None


async def test_a_clock_that_jumps_takes_the_batch_and_the_old_holder_stops(tmp_path, place, caplog):
    """Two replicas on one store; to one of them every lease has run out long ago."""
    fleet = FLEET.replace("tokens: [x]", "tokens: [x], delay_s: 0.2")
    async with (
        Motet(parse(fleet, folder=tmp_path)) as one,
        Motet(parse(fleet, folder=tmp_path)) as other,
        Database(place) as database,
        Database(place) as others,
    ):
        async with BatchService(one, database) as first:
            content = "".join(json.dumps(line(f"q{n}", model="a")) + "\n" for n in range(12))
            file = await first.files().add("in.jsonl", io.BytesIO(content.encode()))
            body = BatchBody(
                input_file_id=file["id"], endpoint="/v1/chat/completions", completion_window="1h"
            )
            batch = await first.create(body)
            async with BatchService(other, others) as second:
                async with asyncio.timeout(30):
                    while batch["status"] not in ("completed", "failed"):
                        await others.write(lambda c: c.execute(update(JOBS).values(lease=0.0)))
                        await asyncio.sleep(0.5)
                        batch = await second.records().get(batch["id"])
            assert batch["status"] == "completed"
            assert batch["request_counts"] == {"total": 12, "completed": 12, "failed": 0}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
