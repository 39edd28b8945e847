"""Rows of files: added once, found by id, forgotten."""

import pytest

from motet.errors import NotFound
from motet.store.database import Database
from motet.store.files import FileRow, FileRows

ROW = FileRow("file-1", "in.jsonl", "batch", 3, 7)


async def test_a_file_is_added_once_and_forgotten(place):
    async with Database(place) as database:
        rows = FileRows(database)
        await rows.add(ROW)
        await rows.add(FileRow("file-1", "other", "batch", 9, 9))
        assert await rows.get("file-1") == ROW
        with pytest.raises(NotFound, match="Did you mean 'file-1'"):
            await rows.get("file-11")
        await rows.remove("file-1")
        with pytest.raises(NotFound):
            await rows.get("file-1")


async def test_everybody_sees_their_own(place):
    async with Database(place) as database:
        for number, owner in enumerate(("alice", "bob", "alice")):
            await FileRows(database).add(FileRow(f"file-{number}", "x", "batch", 5, 7, owner))
        alice = FileRows(database, "alice")
        rows, _ = await alice.listing(None, 10, None)
        assert [row.id for row in rows] == ["file-2", "file-0"] and await alice.bytes() == 10
        with pytest.raises(NotFound) as caught:
            await alice.get("file-1")
        assert "file-1'?" not in str(caught.value)  # nor is another's told as the nearest
        assert (await FileRows(database).get("file-1")).owner == "bob"
