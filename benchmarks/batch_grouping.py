"""What grouping by expert saves: `motet batch` against itself, line by line with LRU loading.

Four real models that do not fit the memory allowed together: SmolLM2-135M-Instruct with four of the
fleet's adapters merged into it, each a checkpoint of its own, on the transformers engine in this
machine's processor. Shuffled questions of four tasks, each naming its expert. Both contenders are
`motet batch`, with the same budget, concurrency and code path; `--order arrival` starts lines in
their order and evicts the model unused for longest. Answers are greedy in float32, so company in a
batch does not change them, and they are compared.

Run as `python benchmarks/batch_grouping.py [--quick] [--json FILE] [--out] [--resident N]`.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table as Shown

from _common import console, finish, machine, markdown, parser, versions
from _fleet import BASE, FLEET, merge
from motet.weights import Setting, default_cache
from motet.weights.sizes import weight_bytes

_EXPERTS = ("arithmetic", "units", "sql", "regexes")
_ORDERS = ("grouped", "arrival")
_MAX_TOKENS = 24
_CONCURRENCY = 8


def configure(folder: Path) -> Path:
    """Write the config of the four experts."""
    experts = [
        {
            "id": expert,
            "engine": "transformers",
            "model": str(folder / expert),
            "dtype": "float32",
            "max_batch": _CONCURRENCY,
            "context": 1024,
        }
        for expert in _EXPERTS
    ]
    config = folder / "experts.yaml"
    config.write_text(json.dumps({"version": 1, "experts": experts}))
    return config


def questions(folder: Path, count: int, seed: int) -> Path:
    """Write `count` shuffled lines, as many of each task; return the file."""
    command = [
        sys.executable,
        FLEET / "prompts.py",
        "test",
        str(-(-count // len(_EXPERTS))),
    ]
    made = subprocess.run(
        [*command, "--seed", str(seed + 1)], check=True, capture_output=True, text=True
    )
    prompts = [json.loads(line) for line in made.stdout.splitlines()]
    prompts = [prompt for prompt in prompts if prompt.get("task") in _EXPERTS]
    random.Random(seed).shuffle(prompts)
    file = folder / "in.jsonl"
    with file.open("w") as out:
        for number, prompt in enumerate(prompts[:count]):
            messages = prompt.get("messages") or [{"role": "user", "content": prompt["query"]}]
            body = {"model": prompt["task"], "messages": messages, "temperature": 0}
            line = {
                "custom_id": f"q{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {**body, "max_tokens": _MAX_TOKENS},
            }
            out.write(json.dumps(line) + "\n")
    return file


def run(order: str, config: Path, source: Path, memory: int, number: int) -> dict[str, Any]:
    """Run one batch in a process of its own; return its report, with its answers."""
    out = source.with_name(f"{order}{number}.jsonl")
    command = [sys.executable, "-m", "motet.cli.main", "batch", source, out, "--config", config]
    command += ["--memory", str(memory), "--concurrency", str(_CONCURRENCY)]
    with console.status(f"{order}, round {number + 1} ..."):
        done = subprocess.run(
            [*command, "--order", order, "--local", "--json"],
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise SystemExit(f"{order} failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    report["answers"] = {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in lines
    }
    console.print(f"{order}: {report['seconds']:.0f} s, {report['loads']} loads")
    return report


def median(runs: list[dict[str, Any]], field: str) -> float:
    """Return the median of a figure over the runs of one contender."""
    return statistics.median(run[field] for run in runs)


def measure(arguments: Any, folder: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """Run both contenders in turn; return figures and settings."""
    lines = arguments.lines or (24 if arguments.quick else 400)
    rounds = 1 if arguments.quick else arguments.rounds
    merge(folder, _EXPERTS, "float32")
    config = configure(folder)
    source = questions(folder, lines, arguments.seed)
    each = weight_bytes(str(folder / _EXPERTS[0]), Setting(folder, default_cache()), width=4)
    assert each is not None
    memory = arguments.resident * each + each // 2
    runs: dict[str, list[dict[str, Any]]] = {order: [] for order in _ORDERS}
    for number in range(rounds):
        for order in _ORDERS:
            runs[order].append(run(order, config, source, memory, number))
    grouped, arrival = runs["grouped"], runs["arrival"]
    mine, other = grouped[0]["answers"], arrival[0]["answers"]
    figures = {
        "wall_vs_lru": median(grouped, "seconds") / median(arrival, "seconds"),
        "loads_vs_lru": median(grouped, "loads") / median(arrival, "loads"),
        "tokens_per_second_vs_lru": median(grouped, "tokens_per_second")
        / median(arrival, "tokens_per_second"),
        "equal_answers": sum(mine[k] == other.get(k) for k in mine) / max(1, len(mine)),
        "grouped_seconds": median(grouped, "seconds"),
        "arrival_seconds": median(arrival, "seconds"),
        "grouped_loads": median(grouped, "loads"),
        "arrival_loads": median(arrival, "loads"),
        "answered": len(mine),
    }
    settings = {
        "lines": lines,
        "rounds": rounds,
        "experts": ", ".join(_EXPERTS),
        "model": BASE,
        "bytes of an expert": each,
        "memory": memory,
        "experts that fit": arguments.resident,
        "concurrency": _CONCURRENCY,
        "max_tokens": _MAX_TOKENS,
        "seed": arguments.seed,
    }
    return {name: round(value, 4) for name, value in figures.items()}, settings


def main() -> None:
    """Measure, show and write."""
    wanted = parser(__doc__)
    wanted.add_argument("--resident", type=int, default=2, help="experts that fit the memory")
    wanted.add_argument("--lines", type=int, help="questions; 400, or 24 with --quick")
    wanted.add_argument("--rounds", type=int, default=1, help="runs of each contender")
    arguments = wanted.parse_args()
    with tempfile.TemporaryDirectory(prefix="motet-batch-") as folder:
        figures, settings = measure(arguments, Path(folder))
    shown = Shown("figure", "value")
    for name, value in figures.items():
        shown.add_row(name, f"{value:g}")
    console.print(shown)
    report = {
        "figures": figures,
        "settings": settings,
        "machine": machine(),
        "versions": versions("torch", "transformers", "peft"),
    }
    rows = [[o, figures[f"{o}_seconds"], figures[f"{o}_loads"]] for o in _ORDERS]
    finish(arguments, "batch-grouping", report, [markdown(["order", "seconds", "loads"], rows)])


if __name__ == "__main__":
    main()
