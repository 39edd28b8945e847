"""Tables are brought up to date once, beside others, and lose nothing of before."""

import asyncio
import re
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from motet.store import migrations
from motet.store.batches import BatchRows
from motet.store.database import Database
from motet.store.files import FileRow, FileRows
from motet.store.jobs import Jobs, LineRow
from motet.store.place import StorePlace
from motet.store.tables import METADATA

BEFORE = """
CREATE TABLE jobs (id TEXT PRIMARY KEY, facts TEXT NOT NULL, created INTEGER NOT NULL,
    loads INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0, owner TEXT,
    lease REAL NOT NULL DEFAULT 0);
CREATE TABLE lines (job TEXT NOT NULL, number INTEGER NOT NULL, offset INTEGER NOT NULL,
    size INTEGER NOT NULL, custom_id TEXT, decision BLOB, result BLOB,
    failed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (job, number)) WITHOUT ROWID;
CREATE TABLE calls (job TEXT NOT NULL, line INTEGER NOT NULL, key TEXT NOT NULL,
    expert TEXT NOT NULL, answer BLOB NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, cost_usd REAL NOT NULL, PRIMARY KEY (job, line, key))
    WITHOUT ROWID;
CREATE TABLE files (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    name TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL, created INTEGER NOT NULL,
    owner TEXT NOT NULL DEFAULT '');
CREATE TABLE batches (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    status TEXT NOT NULL, input TEXT NOT NULL, body TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '');
"""
"""The tables of Motet before there were migrations."""
ROWS = """
INSERT INTO jobs VALUES ('j', '{}', 7, 2, 1.5, NULL, 0);
INSERT INTO lines VALUES ('j', 1, 0, 10, 'q1', x'7b7d', x'6f6b', 1), ('j', 2, 10, 10, NULL, NULL, NULL, 0);
INSERT INTO calls VALUES ('j', 1, 'k', 'a', x'5b5d', 3, 4, 0.5);
INSERT INTO files (id, name, purpose, bytes, created) VALUES ('f', 'n', 'p', 1, 2);
INSERT INTO batches (id, status, input, body) VALUES ('b', 'open', 'f', '{"id": "b", "status": "open"}');
"""


@pytest.mark.parametrize("owners", [True, False], ids=["with owners", "older, without"])
async def test_a_file_of_before_is_taken_with_all_that_is_in_it(tmp_path, owners):
    schema = BEFORE if owners else re.sub(r",\s+owner TEXT NOT NULL DEFAULT ''", "", BEFORE)
    file = sqlite3.connect(tmp_path / "store.db")
    file.executescript(schema + ROWS)
    file.close()
    for _ in range(2):
        async with Database(StorePlace.file(tmp_path / "store.db")) as database:
            jobs = Jobs(database)
            assert await jobs.facts("j") == ("{}", 7) and await jobs.effort("j") == (2, 1.5)
            assert await jobs.counts("j") == (2, 0, 1)
            assert (await jobs.row("j", 1)).result == b"ok"
            assert await jobs.open_lines("j", 0) == [LineRow(2, 10, 10, None)]
            assert await jobs.answers("j", 1) == {"k": b"[]"}
            assert await FileRows(database, "").get("f") == FileRow("f", "n", "p", 1, 2, "")
            assert await BatchRows(database, "").get("b") == {"id": "b", "status": "open"}
            await FileRows(database).add(FileRow("g", "n", "p", 1, 2, "me"))  # and it goes on
            assert (await FileRows(database, "me").get("g")).owner == "me"


async def test_revisions_make_the_tables_that_the_code_has(place):
    def differences(connection):
        options = {"version_table": "motet_version"}
        return compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)

    async with Database(place) as database:
        assert await database.do(differences) == []


async def test_of_many_that_start_at_once_one_makes_the_tables(place, caplog):
    caplog.set_level("INFO", "motet.store.migrations")
    databases = [Database(place) for _ in range(6)]
    await asyncio.gather(*(BatchRows(each).having(["open"]) for each in databases))
    made = [record for record in caplog.records if "revision" in record.message]
    assert len(made) == 1
    for each in databases:
        each.close()


async def test_a_store_of_a_newer_motet_serves(place, caplog):
    async with Database(place) as database:
        await FileRows(database).add(FileRow("f", "n", "p", 1, 2))
        newer = text("UPDATE motet_version SET version_num = '9999'")
        await database.write(lambda c: c.execute(newer))
    async with Database(place) as database:
        assert (await FileRows(database).get("f")).bytes == 1
    assert "newer Motet" in caplog.text


async def test_tables_that_went_away_under_a_running_service_are_made_again(place):
    async with Database(place) as database:
        rows = FileRows(database)
        await rows.add(FileRow("f", "n", "p", 1, 2))

        def drop(connection):
            METADATA.drop_all(connection)
            connection.execute(text("DROP TABLE motet_version"))

        await database.write(drop)
        with pytest.raises(Exception, match="files"):
            await rows.bytes()
        assert await rows.bytes() == 0


def test_each_revision_follows_the_one_before():
    folder = Path(migrations.__file__).parent / "versions"
    names = sorted(path.stem for path in folder.glob("v*.py"))
    numbers = [name.split("_")[0].removeprefix("v") for name in names]
    assert numbers == [f"{n:04}" for n in range(1, len(names) + 1)]
