"""Jobs in their file: pages of lines, calls once, one runner at a time, all or nothing."""

import asyncio
import time

import pytest

from motet.errors import StoreError
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
