"""Who runs a batch: one process at a time, and another one when it is gone."""

import socket
import subprocess
import sys
import time

import pytest

from motet.batch.facts import begin
from motet.batch.lease import Held, Lease
from motet.batch.lines import InputFile, Rules
from motet.config import parse
from motet.store.jobs import opened


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


async def test_a_lease_that_was_taken_is_prolonged_no_more(tmp_path):
    async with opened(tmp_path / "state") as store:
        await store.add_job("x", "{}", 0)
        await store.take("x", "paused:1:run", 0.0, gone=lambda holder: False)
        assert await store.prolong("x", "paused:1:run", 0.0)
        async with Lease(store, "x"):
            assert not await store.prolong("x", "paused:1:run", time.time() + 60)
            with pytest.raises(Held):
                async with Lease(store, "x"):
                    pass


async def test_a_new_beginning_waits_for_whoever_runs_the_old_one(tmp_path):
    (tmp_path / "in.jsonl").write_text("{}\n")
    document = parse("version: 1\nexperts: [{id: a, engine: fake}]\n")
    async with opened(tmp_path / "state") as store:
        with InputFile(tmp_path / "in.jsonl") as source:
            await begin(store, "x", document, source, Rules(), fresh=True)
            async with Lease(store, "x"):
                with pytest.raises(Held):
                    await begin(store, "x", document, source, Rules(), fresh=True)
            await begin(store, "x", document, source, Rules(), fresh=True)
