"""Jobs in their file: pages of lines, calls once, one runner at a time, all or nothing."""

import asyncio
import sqlite3
import time

import pytest

from motet.errors import RequestError, StoreError
from motet.store import batches, files, jobs
from motet.store.batches import BatchRows
from motet.store.database import Database
from motet.store.files import FileRow, FileRows
from motet.store.jobs import CallRow, LineRow, opened


def lines(*numbers, **more):
    return [LineRow(n, n * 10, 10, f"q{n}", b"{}", **more) for n in numbers]


async def test_lines_come_in_order_and_by_page(tmp_path):
    async with opened(tmp_path / "state") as kept:
        await kept.add_job("j", "{}", 7)
        await kept.add_lines("j", lines(*range(1, 1001)))
        seen, after = [], 0
        while rows := await kept.open_lines("j", after):
            seen += [row.number for row in rows]
            after = seen[-1]
        assert seen == list(range(1, 1001))
        await kept.finish_line("j", 3, b"done", True)
        assert await kept.counts("j") == (1000, 0, 1)
        assert 3 not in [row.number for row in await kept.open_lines("j", 0)]
        assert (await kept.row("j", 3)).result == b"done"


async def test_lines_are_kept_all_or_none(tmp_path):
    async with opened(tmp_path / "state") as kept:
        await kept.add_job("j", "{}", 7)
        with pytest.raises(StoreError, match="state"):
            await kept.add_lines("j", lines(1, 2, 2))
        assert await kept.names("j") == []


async def test_a_call_is_kept_once_and_counted(tmp_path):
    async with opened(tmp_path / "state") as kept:
        await kept.add_job("j", "{}", 7)
        await kept.add_answer("j", 1, CallRow("k", "a", b"[1]", 3, 4, 0.5))
        with pytest.raises(StoreError):
            await kept.add_answer("j", 1, CallRow("k", "a", b"[2]", 3, 4, 0.5))
        assert await kept.answers("j", 1) == {"k": b"[1]"}
        (total,) = await kept.totals("j")
        assert (total.expert, total.calls, total.completion_tokens) == ("a", 1, 4)
        await kept.forget("j")
        assert await kept.facts("j") is None and await kept.answers("j", 1) == {}


async def test_of_many_takers_one_gets_the_right_to_run(tmp_path):
    path, until = tmp_path / "state", time.time() + 60
    async with opened(path) as one, opened(path) as two:
        await one.add_job("j", "{}", 7)
        took = await asyncio.gather(
            *(kept.take("j", f"owner-{n}", until, lambda _: False)
              for n, kept in enumerate([one, two] * 5))
        )  # fmt: skip
        (winner,) = [n for n, holder in enumerate(took) if holder is None]
        assert {holder for holder in took if holder} == {f"owner-{winner}"}
        await one.release("j", "somebody else")
        assert await two.take("j", "next", until, lambda _: False) == f"owner-{winner}"
        await one.release("j", f"owner-{winner}")
        assert await two.take("j", "next", until, lambda _: False) is None


async def test_a_right_that_ran_out_or_whose_owner_is_gone_is_free(tmp_path):
    async with opened(tmp_path / "state") as kept:
        await kept.add_job("j", "{}", 7)
        await kept.take("j", "late", time.time() - 1, lambda _: False)
        assert await kept.take("j", "dead", time.time() + 60, lambda _: False) is None
        assert await kept.take("j", "next", time.time() + 60, lambda who: who == "dead") is None


async def test_the_rows_of_a_service_are_paged_newest_first(tmp_path):
    schema = jobs.SCHEMA + files.SCHEMA + batches.SCHEMA
    async with Database(tmp_path / "store", schema) as database:
        rows = FileRows(database)
        for number in range(5):
            await rows.add(FileRow(f"file-{number}", "in.jsonl", "batch", 1, number))
        page, more = await rows.listing(None, 2, None)
        assert [row.id for row in page] == ["file-4", "file-3"] and more
        page, more = await rows.listing("file-1", 2, "batch")
        assert [row.id for row in page] == ["file-0"] and not more
        with pytest.raises(RequestError, match="no file 'nobody'"):
            await rows.listing("nobody", 2, None)


async def test_changes_of_a_batch_do_not_overwrite_one_another(tmp_path):
    async with Database(tmp_path / "store", batches.SCHEMA) as database:
        rows = BatchRows(database)
        await rows.add({"id": "b", "status": "open", "count": 0}, "file-1")

        def more(batch):
            batch["count"] += 1

        await asyncio.gather(*(rows.change("b", more) for _ in range(20)))
        assert (await rows.get("b"))["count"] == 20
        assert await rows.having(["open"], input="file-1") == ["b"]
        assert await rows.having(["open"], input="file-2") == []


async def test_a_file_that_is_no_database_says_so(tmp_path):
    (tmp_path / "state").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="state") as caught:
        async with opened(tmp_path / "state"):
            pass
    assert isinstance(caught.value.__cause__, sqlite3.Error)
