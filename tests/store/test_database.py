"""One file of tables: its faults become ours, and a transaction is whole or nothing."""

import sqlite3

import pytest

from motet.errors import StoreError
from motet.store.database import Database
from motet.store.jobs import opened


async def test_a_file_that_is_no_database_says_so(tmp_path):
    (tmp_path / "state").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="state") as caught:
        async with opened(tmp_path / "state"):
            pass
    assert isinstance(caught.value.__cause__, sqlite3.Error)


async def test_work_that_fails_leaves_nothing(tmp_path):
    def half(file):
        file.execute("INSERT INTO t VALUES (1)")
        raise KeyError("a fault of its own")

    path = tmp_path / "folder" / "store"  # is made
    async with Database(path, "CREATE TABLE IF NOT EXISTS t (n INTEGER)") as database:
        with pytest.raises(KeyError):
            await database.do(half)
        assert await database.do(lambda f: f.execute("SELECT * FROM t").fetchall()) == []
        await database.do(lambda f, n: f.execute("INSERT INTO t VALUES (?)", (n,)), 2)
    async with Database(path, "CREATE TABLE IF NOT EXISTS t (n INTEGER)") as database:
        assert await database.do(lambda f: f.execute("SELECT n FROM t").fetchall()) == [(2,)]
