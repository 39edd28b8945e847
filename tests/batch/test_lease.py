"""Who runs a batch: one process at a time, and another one when it is gone."""

import socket
import subprocess
import sys
import time

import pytest

from motet.batch.lease import Held, Lease
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
