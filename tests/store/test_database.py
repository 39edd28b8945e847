"""One database of either kind: its faults become ours, and a transaction is whole or nothing."""

import asyncio
import sqlite3
import threading

import pytest
from sqlalchemy import text

from motet.errors import StoreError
from motet.store.database import Database, Unfit
from motet.store.jobs import opened
from motet.store.place import StorePlace

MAKE = "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)"


def said(statement, **values):
    """Work that says one statement, and returns what it gives."""

    def work(connection):
        result = connection.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else None

    return work


async def test_a_file_that_is_no_database_says_so(tmp_path):
    (tmp_path / "state").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="state") as caught:
        async with opened(tmp_path / "state"):
            pass
    assert isinstance(caught.value.__cause__, sqlite3.Error)


async def test_a_file_is_nobody_elses_to_read_and_its_folder_is_made(tmp_path):
    path = tmp_path / "folder" / "store ?#%20.db"
    async with Database(StorePlace.file(path)) as database:
        await database.write(said(MAKE))
        assert path.exists()
        assert all(file.stat().st_mode & 0o077 == 0 for file in path.parent.iterdir())


async def test_work_that_fails_leaves_nothing(place):
    def half(connection):
        connection.execute(text("INSERT INTO t VALUES (1)"))
        raise KeyError("a fault of its own")

    async with Database(place) as database:
        await database.write(said(MAKE))
        for way in (database.do, database.write):
            with pytest.raises(KeyError):
                await way(half)
        assert await database.do(said("SELECT * FROM t")) == []
        await database.do(lambda c, n: said("INSERT INTO t VALUES (:n)", n=n)(c), 2)
    async with Database(place) as database:
        assert await database.do(said("SELECT n FROM t")) == [(2,)]


async def test_what_does_not_fit_is_told_apart_and_shows_no_values(place):
    async with Database(place) as database:
        await database.write(said("CREATE TABLE s (secret TEXT PRIMARY KEY)"))
        insert = said("INSERT INTO s SELECT :v UNION ALL SELECT :v", v="hunter2")
        with pytest.raises(Unfit) as caught:
            await database.write(insert)
        assert "hunter2" not in str(caught.value) and str(place) in str(caught.value)


async def test_nobody_comes_between_what_is_read_and_written_alone(place):
    async with Database(place) as one, Database(place) as two:
        await one.write(said("CREATE TABLE counted (n INTEGER)"))
        await one.write(said("INSERT INTO counted VALUES (0)"))

        def more(connection):
            (n,) = connection.execute(text("SELECT n FROM counted")).one()
            connection.execute(text("UPDATE counted SET n = :n"), {"n": n + 1})

        await asyncio.gather(*(each.write(more) for each in [one, two] * 25))
        assert await two.do(said("SELECT n FROM counted")) == [(50,)]


def test_threads_have_transactions_of_their_own(place):
    database = Database(place)
    database.transact(said(MAKE), alone=True)
    inside, done = threading.Event(), []

    def read(connection):
        inside.wait(10)
        return connection.execute(text("SELECT * FROM t")).all()

    reader = threading.Thread(target=lambda: done.append(database.transact(read)))
    reader.start()
    database.transact(said("INSERT INTO t VALUES (7)"))
    inside.set()
    reader.join()
    assert done == [[(7,)]]
    database.close()


async def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path):
    place = StorePlace(
        tmp_path, url="postgresql://motet:hunter2@127.0.0.1:9/motet?password=hunter2"
    )
    async with Database(place) as database:
        with pytest.raises(StoreError) as caught:
            await database.do(said("SELECT 1"))
    assert "postgresql://127.0.0.1:9/motet" in str(caught.value)
    assert "Is the database up" in str(caught.value) and "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(place)


async def test_a_server_that_was_killed_is_used_again_once_it_is_back(postgresql, tmp_path):
    async with Database(postgresql.place(tmp_path)) as database:
        await database.write(said(MAKE))
        await database.write(said("INSERT INTO t VALUES (1)"))
        postgresql.kill()
        try:
            with pytest.raises(StoreError):
                await database.write(said("INSERT INTO t VALUES (2)"))
        finally:
            postgresql.start()
        await database.write(said("INSERT INTO t VALUES (3)"))
        assert await database.do(said("SELECT n FROM t ORDER BY n")) == [(1,), (3,)]


async def test_a_holder_that_is_paused_is_shut_out(postgresql, tmp_path, monkeypatch):
    """Whoever writes alone and says nothing any more loses the right, and what it wrote."""
    monkeypatch.setattr("motet.store.database._WAIT_S", 1)
    place = postgresql.place(tmp_path)
    one, two = Database(place), Database(place)
    one.transact(said(MAKE), alone=True)
    paused, go_on = threading.Event(), threading.Event()

    def slow(connection):
        connection.execute(text("INSERT INTO t VALUES (1)"))
        paused.set()
        go_on.wait(10)

    faults = []

    def hold():
        try:
            one.transact(slow, alone=True)
        except StoreError as error:
            faults.append(error)

    holder = threading.Thread(target=hold)
    holder.start()
    paused.wait(10)
    for _ in range(3):  # the wait and the bound on silence are as long
        try:
            two.transact(said("INSERT INTO t VALUES (2)"), alone=True)
            break
        except StoreError:
            continue
    go_on.set()
    holder.join()
    assert faults
    assert two.transact(said("SELECT n FROM t")) == [(2,)]
    one.close()
    two.close()
