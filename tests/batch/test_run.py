"""Whole batches on fake experts that have to be loaded: answers, order, faults, resuming."""

import asyncio
import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap

import pytest
from tests.batch.helpers import FLEET, MIXED, Loaded, line, run_batch

from motet.errors import BatchError, ExpertError
from motet.store.jobs import opened


async def test_lines_are_grouped_and_the_output_keeps_their_order(tmp_path):
    done = await run_batch(tmp_path, MIXED)
    assert [each["custom_id"] for each in done.out] == [f"q{n}" for n in range(30)]
    assert done.texts["q0"] == "hello 0" and done.texts["q1"] == "bee" and done.texts["q2"] == "see"
    assert sorted(done.loader.loads) == ["a", "b", "c", "dead"]
    assert done.loader.most == 1
    assert done.errors == []


async def test_explain_names_calls_and_no_times(tmp_path):
    done = await run_batch(tmp_path, [line("x", "so dead", motet={"explain": True})])
    told = done.out[0]["response"]["body"]["motet"]
    assert [call["expert"] for call in told["experts"]] == ["dead", "c"]
    assert told["experts"][0]["error"] and "started" not in told["experts"][0]


async def test_an_expert_without_weights_fails_its_lines_or_is_replaced(tmp_path):
    lines = [line("x", "a bee"), line("y", model="b"), line("z")]
    done = await run_batch(tmp_path, lines, broken={"b"})
    assert done.texts == {"x": "see", "z": "hello"}
    assert "no weights of b" in done.errors[0]["response"]["body"]["error"]["message"]


async def test_what_may_heal_is_tried_again_within_bounds(tmp_path):
    fleet = FLEET.replace("error: overloaded}", "error: overloaded, delay_s: 0}")
    done = await run_batch(tmp_path, [line("x", model="shaky")], fleet=fleet)
    # a retry_after of one second is heeded between the attempts
    assert done.loader.calls["shaky"] == 3 and done.errors
    assert done.totals["shaky"].calls == 1


class Interrupted(Loaded):
    """A loader whose experts stop the whole batch after some calls."""

    left = 7

    def expert(self, expert):
        Interrupted.left -= 1
        if Interrupted.left == 0:
            raise BatchError("pulled the plug")
        return super().expert(expert)


async def test_the_same_batch_goes_on_and_asks_nothing_twice(tmp_path):
    (tmp_path / "other").mkdir()
    whole = await run_batch(tmp_path / "other", MIXED)
    shutil.copy2(tmp_path / "other" / "in.jsonl", tmp_path / "in.jsonl")
    with pytest.raises(BatchError, match="pulled the plug"):
        await run_batch(tmp_path, MIXED, loader=Interrupted, concurrency=1)
    assert not (tmp_path / "out.jsonl").exists()
    kept = sqlite3.connect(tmp_path / "state").execute("SELECT COUNT(*) FROM calls").fetchone()[0]
    done = await run_batch(tmp_path, MIXED)
    assert kept == 6
    assert done.loader.calls.total() == whole.loader.calls.total() - kept
    assert done.out == whole.out
    assert done.texts == whole.texts
    again = await run_batch(tmp_path, MIXED)
    assert again.out == done.out and not again.loader.calls


async def test_an_engine_that_raises_what_it_should_not(tmp_path):
    class Wild(Loaded):
        def expert(self, expert):
            found = super().expert(expert)

            async def stream(request):
                raise ZeroDivisionError("oops")
                yield

            found.stream = stream
            return found

    done = await run_batch(tmp_path, [line("x")], loader=Wild)
    assert "ZeroDivisionError" in done.errors[0]["response"]["body"]["error"]["message"]
    assert ExpertError.code == done.errors[0]["response"]["body"]["error"]["code"]


def test_a_store_that_cannot_grow_says_so_and_goes_on_later(tmp_path):
    """The kernel itself refuses to let the file grow (RLIMIT_FSIZE)."""
    code = textwrap.dedent("""
        import asyncio, pathlib, resource, sys
        from tests.batch.helpers import line, run_batch
        from motet.errors import StoreError
        most = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        lines = [line(f"q{n}", "word " * 400) for n in range(60)]
        try:
            done = asyncio.run(run_batch(pathlib.Path(sys.argv[1]), lines))
        except StoreError as error:
            sys.exit(f"{error}")
        print(len(done.out), sum(done.loader.calls.values()))
    """)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[0]

    def run(most):
        command = [sys.executable, "-c", code, str(tmp_path), str(most)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    stopped = run(300_000)
    assert stopped.returncode == 1
    assert "Is the disk full?" in stopped.stderr
    assert not (tmp_path / "out.jsonl").exists()
    done = run(unlimited)
    assert done.returncode == 0, done.stderr
    answered, asked = map(int, done.stdout.split())
    assert answered == 60 and 0 < asked < 60


async def test_cancelled_in_the_middle_it_goes_on_later(tmp_path):
    fleet = FLEET.replace("{id: a, engine: fake,", "{id: a, engine: fake, delay_s: 0.05,")
    lines = [line(f"q{n}") for n in range(60)]
    async with opened(tmp_path / "state") as store:
        run = asyncio.create_task(run_batch(tmp_path, lines, fleet=fleet, concurrency=1))
        while not await store.totals("batch"):
            await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    done = await run_batch(tmp_path, lines, fleet=fleet)
    assert len(done.out) == 60 and done.totals["a"].calls == 60
    assert 0 < done.loader.calls["a"] < 60
