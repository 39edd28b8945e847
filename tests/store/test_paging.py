"""Listings that clients page through."""

import pytest

from motet.errors import RequestError
from motet.store.database import Database
from motet.store.files import FileRow, FileRows


async def test_the_rows_of_a_service_are_paged_newest_first(place):
    async with Database(place) as database:
        rows = FileRows(database)
        for number in range(5):
            await rows.add(FileRow(f"file-{number}", "in.jsonl", "batch", 1, number))
        page, more = await rows.listing(None, 2, None)
        assert [row.id for row in page] == ["file-4", "file-3"] and more
        page, more = await rows.listing("file-1", 2, "batch")
        assert [row.id for row in page] == ["file-0"] and not more
        with pytest.raises(RequestError, match="no file 'nobody'"):
            await rows.listing("nobody", 2, None)
