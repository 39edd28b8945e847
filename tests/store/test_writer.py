"""Rows kept a moment later: once each, within bounds, whatever happens to the database."""

import subprocess
import sys
import textwrap
import time

import pytest
from sqlalchemy import text
from tests.conftest import wait_for

from motet.errors import StoreError
from motet.store.database import Database
from motet.store.writer import Writer


def keep(connection, rows):
    values = [{"n": n} for n in rows]
    connection.execute(text("INSERT INTO numbers VALUES (:n)"), values)


def nothing(connection):
    return False


def numbers(database):
    def read(connection):
        return [n for (n,) in connection.execute(text("SELECT n FROM numbers ORDER BY n"))]

    return database.transact(read)


@pytest.fixture
def database(place):
    database = Database(place)
    make = text("CREATE TABLE numbers (n BIGINT)")
    database.transact(lambda c: c.execute(make), alone=True)
    yield database
    database.close()


class Flaky(Database):
    """A database that is away while told so, or whose answer to a commit is lost."""

    away = False
    deaf = False

    def transact(self, work, *, alone=False):
        if self.away:
            raise StoreError("the store is away.")
        result = super().transact(work, alone=alone)
        if self.deaf:
            self.deaf = False
            raise StoreError("the connection was lost.")
        return result


def flaky(database):
    return Flaky(database.place)


def test_rows_are_kept_in_their_order_and_the_last_at_the_end(database):
    writer = Writer(database, nothing)
    writer.start()
    for n in range(5000):
        writer.put(keep, n, 10)
    wait_for(lambda: len(numbers(database)) == 5000)
    writer.put(keep, 5000, 10)
    writer.close()
    assert numbers(database) == list(range(5001)) and writer.dropped == 0


def test_what_waits_is_bounded_by_rows_and_bytes_and_the_rest_is_counted(database, caplog):
    heard = []
    for bounds in ({"most_rows": 10}, {"most_bytes": 100}):
        writer = Writer(database, nothing, **bounds)  # nobody keeps them: it is not started
        writer.heard = lambda up, dropped: heard.append(dropped)
        for n in range(25):
            writer.put(keep, n, 10)
        assert writer.dropped == 15
    assert sum(heard) == 30
    assert len([r for r in caplog.records if "dropped" in r.message]) <= 4  # and not 30


def test_rows_wait_while_the_database_is_away_and_are_kept_when_it_is_back(database, caplog):
    away = flaky(database)
    away.away = True
    states = []
    writer = Writer(away, nothing, most_rows=50)
    writer.heard = lambda up, dropped: states.append(up)
    writer.start()
    for n in range(60):
        writer.put(keep, n, 10)
    wait_for(lambda: not writer.up)
    time.sleep(1.2)  # it is tried again, and nothing more is said
    away.away = False
    wait_for(lambda: writer.up)
    writer.close()
    assert numbers(database) == list(range(50)) and writer.dropped == 10
    assert [s for n, s in enumerate(states) if n == 0 or states[n - 1] != s][-2:] == [False, True]
    said = [r.message for r in caplog.records]
    assert len([m for m in said if "the store is away" in m]) == 1
    assert len([m for m in said if "is back; 10 records" in m]) == 1
    away.close()


def test_a_transaction_whose_end_was_not_heard_counts_once(database):
    deaf = flaky(database)
    writer = Writer(deaf, nothing)
    for n in range(10):
        writer.put(keep, n, 10)
    deaf.deaf = True
    writer._turn()
    assert not writer.up
    writer.put(keep, 10, 10)  # comes between the two tries
    writer._turn()
    assert writer.up and numbers(database) == list(range(11))
    deaf.close()


@pytest.mark.parametrize("unfit", [2**70, "a number that is there"])
def test_a_row_that_does_not_fit_keeps_nobody_else_out(database, unfit):
    writer = Writer(database, nothing)
    index = text("CREATE UNIQUE INDEX once ON numbers (n)")
    database.transact(lambda c: c.execute(index), alone=True)
    for n in range(100):
        writer.put(keep, (unfit if unfit == 2**70 else 3) if n == 37 else n, 10)
    writer._turn()
    assert numbers(database) == [n for n in range(100) if n != 37]
    assert writer.dropped == 1 and writer.up


def test_it_tidies_up_until_nothing_is_left_to(database):
    left = [True, True, False]
    writer = Writer(database, lambda connection: left.pop(0))
    writer.start()
    wait_for(lambda: not left)
    writer.close()


LOAD = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from tests.store.test_writer import keep, nothing
    from motet.store.database import Database
    from motet.store.place import StorePlace
    from motet.store.writer import Writer
    where = sys.argv[1]
    place = StorePlace(Path("/nowhere"), url=where) if "://" in where else StorePlace.file(Path(where))
    writer = Writer(Database(place), nothing)
    writer.start()
    n = 0
    while True:
        writer.put(keep, n, 10)
        n += 1
        print(n, time.time(), flush=True)  # brought by then
        time.sleep(0.0005)
""")


def test_a_killed_process_loses_the_last_second_at_most(database):
    where = str(database.place.path or database.place.url)
    command = [sys.executable, "-c", LOAD, where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        brought = []
        while not brought or time.time() - brought[0][1] < 2.5:
            n, when = process.stdout.readline().split()
            brought.append((int(n), float(when)))
        process.kill()
        killed = time.time()
        said = (line.split() for line in process.stdout.read().splitlines())
        brought += [(int(n), float(when)) for n, when in said]
    kept = numbers(database)
    assert kept == list(range(len(kept)))  # no gap, and nothing twice
    due = [n for n, when in brought if when < killed - 1.0]
    assert len(kept) >= len(due) > 100


def test_a_killed_database_under_load_loses_nothing_that_it_kept(postgresql, tmp_path):
    database = Database(postgresql.place(tmp_path))
    make = text("CREATE TABLE numbers (n BIGINT)")
    database.transact(lambda c: c.execute(make), alone=True)
    writer = Writer(database, nothing)
    writer.start()
    n = 0
    for moment in ("kill", "start", "kill", "start", None):
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            writer.put(keep, n, 10)
            n += 1
            time.sleep(0.0005)
        if moment:
            getattr(postgresql, moment)()
    wait_for(lambda: writer.up and len(numbers(database)) == n)
    writer.close()
    assert numbers(database) == list(range(n)) and writer.dropped == 0
    database.close()


FULL = textwrap.dedent("""
    import resource, sys, time
    from pathlib import Path
    from tests.store.test_writer import nothing, numbers
    from sqlalchemy import text
    from motet.store.database import Database
    from motet.store.place import StorePlace
    from motet.store.writer import Writer
    database = Database(StorePlace.file(Path(sys.argv[1])))
    make = text("CREATE TABLE numbers (n BIGINT, filling TEXT)")
    database.transact(lambda c: c.execute(make), alone=True)
    def keep(connection, rows):
        values = [{"n": n, "filling": "x" * 2000} for n in rows]
        connection.execute(text("INSERT INTO numbers VALUES (:n, :filling)"), values)
    writer = Writer(database, nothing, most_rows=500)
    writer.start()
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, most[1]))
    n = 0
    while writer.up or not writer.dropped:
        writer.put(keep, n, 2000)
        n += 1
        time.sleep(0.001)
    resource.setrlimit(resource.RLIMIT_FSIZE, most)
    while not writer.up:
        time.sleep(0.05)
    writer.close()
    kept = numbers(database)
    assert len(kept) == len(set(kept)) == n - writer.dropped, (len(kept), n, writer.dropped)
    print("healed", writer.dropped > 0)
""")


def test_a_full_disk_is_seen_counted_and_got_over(tmp_path):
    """The kernel itself refuses to let the file grow (RLIMIT_FSIZE)."""
    command = [sys.executable, "-c", FULL, str(tmp_path / "store.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "healed True\n", done.stderr
    assert "Is the disk full?" in done.stderr and done.stderr.count("records wait") == 1
