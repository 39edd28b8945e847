"""Rows of files: added once, found by id, forgotten."""

import pytest

from motet.errors import NotFound
from motet.store.database import Database
from motet.store.files import SCHEMA, FileRow, FileRows

ROW = FileRow("file-1", "in.jsonl", "batch", 3, 7)


async def test_a_file_is_added_once_and_forgotten(tmp_path):
    async with Database(tmp_path / "store", SCHEMA) as database:
        rows = FileRows(database)
        await rows.add(ROW)
        await rows.add(FileRow("file-1", "other", "batch", 9, 9))
        assert await rows.get("file-1") == ROW
        with pytest.raises(NotFound, match="Did you mean 'file-1'"):
            await rows.get("file-11")
        await rows.remove("file-1")
        with pytest.raises(NotFound):
            await rows.get("file-1")
