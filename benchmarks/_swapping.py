"""One run of `swapping.py` in a process of its own: a policy on a trace, or the calibration.

Run as `python _swapping.py CONFIG TRACE POLICY|calibrate`; prints one JSON object. Memory is what
Linux counts as anonymous (RssAnon), less what the process and its libraries had before the first
engine: pages of weight files can be dropped at any time.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

import motet
from motet.composer.assembly import assemble
from motet.config import load
from motet.residency.engines import LocalEngines
from motet.types import Request

_TOKENS = 24
_SAMPLE_S = 0.02


def resident(field: str = "RssAnon") -> int:
    """Return bytes that this process holds in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("needs Linux: /proc/self/status has no such field")


class Peak:
    """The most memory above what was there before, sampled on a thread."""

    def __init__(self) -> None:
        self._before = {field: resident(field) for field in ("RssAnon", "VmRSS")}
        self.most = dict.fromkeys(self._before, 0)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            for field, before in self._before.items():
                self.most[field] = max(self.most[field], resident(field) - before)

    def end(self) -> dict[str, int]:
        """Stop and return the peaks."""
        self._ended.set()
        return self.most


class Watcher:
    """Keeps what the swapper tells.

    Attributes
    ----------
    full
        Set once no further engine fits.
    """

    def __init__(self) -> None:
        self.full = asyncio.Event()
        self.load_seconds: list[float] = []
        self.waits: list[float] = []
        self.outcomes: list[str] = []

    def leased(self, expert: str, outcome: str, seconds: float) -> None:
        """Keep a wait."""
        self.waits.append(seconds)
        self.outcomes.append(outcome)

    def loaded(self, engine: str, outcome: str, seconds: float) -> None:
        """Keep a load."""
        self.load_seconds.append(seconds)

    def unloaded(self, engine: str) -> None:
        """Do nothing."""

    def holds(self, used: int, budget: int) -> None:
        """See that the ledger is within the budget."""
        assert used <= budget
        if self.load_seconds and used + used // len(self.load_seconds) > budget:
            self.full.set()


async def replay(config: Path, trace: list[dict[str, Any]], policy: str) -> dict[str, Any]:
    """Ask as the trace says, whatever is still under way; return what came of it."""
    document = load(config)
    residency = document.config.residency
    assert residency is not None
    object.__setattr__(
        document.config, "residency", residency.model_copy(update={"policy": policy})
    )
    service = motet.Motet(document)
    assert service.swapper is not None
    watcher = Watcher()
    service.swapper.watcher = watcher
    peak = Peak()
    loop = asyncio.get_running_loop()
    tokens, ends, faults = [0] * len(trace), [0.0] * len(trace), []
    async with service:
        for expert in service.fleet.view:
            await service.fleet.ready(expert)
        await watcher.full.wait()  # what fits is loaded ahead; then the trace begins
        began = loop.time()

        async def one(number: int) -> None:
            ask = trace[number]
            await asyncio.sleep(began + ask["at"] - loop.time())
            try:
                reply = await service.chat(
                    f"only-{ask['expert']}", ask["prompt"], max_tokens=_TOKENS, temperature=0.0
                )
                tokens[number] = reply.usage.completion_tokens
            except motet.errors.MotetError as error:
                faults.append(str(error))
            ends[number] = loop.time() - began

        await asyncio.gather(*(one(number) for number in range(len(trace))))
    return {
        "seconds": max(ends),
        "waits": watcher.waits,
        "loads": len(watcher.load_seconds),
        "load_seconds": watcher.load_seconds,
        "hits": watcher.outcomes.count("hit"),
        "tokens": tokens,
        "faults": faults,
        "peak": peak.end(),
    }


async def calibrate(config: Path, trace: list[dict[str, Any]]) -> dict[str, float]:
    """Return this machine's pace: how loads and answers take longer beside one another."""
    experts = assemble(load(config)).experts
    first, second, third = list(experts)[:3]
    engines = LocalEngines(experts)
    sizes = await engines.sizes([first])
    now = time.perf_counter

    async def answer(expert: str, number: int) -> float:
        """Return the seconds of one token."""
        ask = trace[number % len(trace)]
        request = Request(
            model=expert,
            messages=({"role": "user", "content": ask["prompt"]},),
            max_tokens=_TOKENS,
            temperature=0.0,
        )
        began, made = now(), 1
        async for chunk in engines.expert(expert).stream(request):
            if chunk.usage is not None:
                made = chunk.usage.completion_tokens
        return (now() - began) / made

    async def load_of(engine: str) -> float:
        began = now()
        await engines.load(engine)
        return now() - began

    await load_of(first)  # imports what the others find imported
    idle = [await load_of(second)]
    await engines.unload(second)
    idle.append(await load_of(second))
    numbers = range(6)
    alone = statistics.median([await answer(first, n) for n in numbers])
    four = statistics.median(
        [s for n in (0, 4) for s in await asyncio.gather(*(answer(first, n + k) for k in range(4)))]
    )
    beside, loading = [], asyncio.create_task(load_of(third))
    while not loading.done():
        beside.append(await answer(first, len(beside)))
    began = now()
    await engines.unload(third)
    unload_s = now() - began
    await engines.close()
    load_s = statistics.median(idle)
    size = sizes[first]
    assert size is not None
    return {
        "token_s": alone,
        "start_s": 0.0,
        "load_rate": size / load_s,
        "unload_s": unload_s,
        "row_share": min(1.0, max(0.0, (four / alone - 1) / 3)),
        "beside_load": max(1.0, statistics.median(beside) / alone),
        "beside_answers": max(1.0, loading.result() / load_s),
    }


def main() -> None:
    """Run what the arguments say."""
    config, trace_file, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    import torch

    # Else the first load would count the libraries as its own.
    import transformers.models.llama.modeling_llama  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401

    torch.set_num_threads(2)
    trace = json.loads(trace_file.read_text())
    if what == "calibrate":
        print(json.dumps(asyncio.run(calibrate(config, trace))))
    else:
        print(json.dumps(asyncio.run(replay(config, trace, what))))


if __name__ == "__main__":
    main()
