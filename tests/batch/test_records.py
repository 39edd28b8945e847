"""Batches of a service as they are kept: their states, their counts, and whose they are."""

import pytest

from motet.batch.records import Records
from motet.errors import NotFound, RequestError
from motet.protocol.batches import BatchBody
from motet.store.database import Database
from motet.types import Caller

BODY = BatchBody(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="30m")
THEIRS = Caller(key="key-1", tenant="key-1")


@pytest.fixture
async def records(place):
    async with Database(place) as database:
        yield Records(database)


async def test_a_new_batch_is_open_reads_its_file_and_hides_whose_it_is(records):
    batch = await records.add(BODY, THEIRS)
    assert batch["status"] == "validating"
    assert batch["expires_at"] - batch["created_at"] == 30 * 60
    assert await records.open() == [batch["id"]]
    assert await records.user_of("file-1") == batch["id"] and await records.user_of("x") is None
    assert await records.get(batch["id"]) == batch and "motet_caller" not in batch
    assert await records.caller(batch["id"]) == THEIRS


async def test_one_that_is_told_to_stop_goes_nowhere_but_to_its_end(records):
    id = (await records.add(BODY, THEIRS))["id"]
    assert (await records.move(id, "in_progress"))["in_progress_at"]
    assert (await records.cancel(id))["status"] == "cancelling"
    assert (await records.move(id, "finalizing"))["status"] == "cancelling"
    await records.count(id, 3, 2, 1)
    ended = await records.move(id, "cancelled", output_file_id="file-2")
    assert (ended["status"], ended["output_file_id"]) == ("cancelled", "file-2")
    assert ended["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert await records.open() == [] and await records.user_of("file-1") is None
    with pytest.raises(RequestError, match="is cancelled and cannot be"):
        await records.cancel(id)


async def test_a_batch_that_nobody_made(records):
    with pytest.raises(NotFound, match="batch_0"):
        await records.cancel("batch_0")


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "expired"])
async def test_an_end_is_the_end(records, end):
    id = (await records.add(BODY, THEIRS))["id"]
    ended = await records.move(id, end)
    for state in ("in_progress", "finalizing", "failed", "completed"):
        assert await records.move(id, state, errors="late") == ended
