"""The parts of a batch that have edges of their own: answers, files that fill up, leases."""

import asyncio
import resource
import socket
import subprocess
import sys
import textwrap
import time
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.batch.helpers import FLEET, line, run_batch

from motet.batch.answers import Said
from motet.batch.lease import Held, Lease
from motet.errors import BatchError, ContextLengthExceeded, ExpertOverloaded, MotetError
from motet.store.jobs import opened
from motet.types import Chunk, Usage

CHUNKS = st.builds(
    Chunk,
    index=st.integers(0, 2),
    text=st.text(),
    reasoning=st.text(max_size=3),
    finish=st.sampled_from([None, "stop", "length"]),
    logprobs=st.sampled_from([None, {"content": [{"token": "a", "logprob": -0.5}]}]),
    usage=st.sampled_from([None, Usage(3, 4)]),
)
ERRORS = [
    None,
    ExpertOverloaded("a", "full.", retry_after=2.5),
    ContextLengthExceeded(limit=5, wanted=9, expert="a"),
    MotetError("so", hint="there", param="n"),
]


async def _stream(chunks, error):
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


@given(st.lists(CHUNKS), st.sampled_from(ERRORS))
def test_answers_survive_the_store(chunks, error):
    answer = asyncio.run(Said.of("a", _stream(chunks, error)))
    again = Said.load(answer.dump())
    assert again.chunks == answer.chunks and again.usage == answer.usage
    assert type(again.error) is type(error) and str(again.error) == str(error)
    assert (again.error and again.error.__dict__) == (error and error.__dict__)
    texts = "".join(chunk.text for chunk in chunks if chunk.index == 0)
    assert "".join(chunk.text for chunk in again.chunks if chunk.index == 0) == texts


def test_errors_of_a_plug_in_come_back_as_the_nearest_of_ours():
    class Own(ExpertOverloaded):
        pass

    again = Said.load(Said(error=Own("a", "full.")).dump())
    assert type(again.error) is ExpertOverloaded


async def test_one_process_at_a_time(tmp_path):
    async with opened(tmp_path / "state") as store:
        await store.add_job("x", "{}", 0)
        async with Lease(store, "x"):
            with pytest.raises(Held, match="is running this batch"):
                async with Lease(store, "x"):
                    pass
        async with Lease(store, "x"):
            pass


async def test_the_lease_of_a_process_that_is_gone_is_free(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])  # noqa: ASYNC220
    gone.wait()
    async with opened(tmp_path / "state") as store:
        await store.add_job("x", "{}", 0)
        owner = f"{socket.gethostname()}:{gone.pid}:run"
        await store.take("x", owner, time.time() + 60, gone=lambda holder: False)
        async with Lease(store, "x"):
            pass


async def test_a_full_disk_leaves_the_output_as_it_was_and_the_answers_kept(tmp_path):
    lines = [line(f"q{n}") for n in range(5)]
    (tmp_path / "out.jsonl").write_text("before")
    full = OSError(28, "No space left on device")
    with mock.patch("os.fsync", side_effect=full):
        with pytest.raises(BatchError, match="out.jsonl.*No space left on device.*Every answer is"):
            await run_batch(tmp_path, lines)
    assert (tmp_path / "out.jsonl").read_text() == "before"
    assert not list(tmp_path.glob("*.tmp*")) and not list(tmp_path.glob(".*.tmp*"))
    done = await run_batch(tmp_path, lines)
    assert len(done.out) == 5 and not done.loader.calls


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
