"""Batches of a service: a document each, changed by one at a time."""

import asyncio

import pytest

from motet.errors import NotFound
from motet.store.batches import BatchRows
from motet.store.database import Database


async def test_changes_of_a_batch_do_not_overwrite_one_another(place):
    async with Database(place) as database:
        rows = BatchRows(database)
        await rows.add({"id": "b", "status": "open", "count": 0}, "file-1", "")

        def more(batch):
            batch["count"] += 1

        await asyncio.gather(*(rows.change("b", more) for _ in range(20)))
        assert (await rows.get("b"))["count"] == 20
        assert await rows.having(["open"], input="file-1") == ["b"]
        assert await rows.having(["open"], input="file-2") == []


async def test_a_batch_that_is_not_there_is_named_with_the_nearest(place):
    async with Database(place) as database:
        rows = BatchRows(database)
        await rows.add({"id": "batch_1", "status": "open"}, "file-1", "")
        with pytest.raises(NotFound, match="batch_1"):
            await rows.get("batch_11")
        with pytest.raises(NotFound):
            await rows.change("batch_11", lambda batch: None)
