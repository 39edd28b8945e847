"""What `residency` gains: real models over the memory, by its policy, by LRU, and in order.

Six real models of which two fit: SmolLM2-135M-Instruct with six of the fleet's adapters merged into
it, each a checkpoint of its own, in float32 on the transformers engine in this machine's processor.
A skewed trace (Zipf, in bursts) is asked as it comes, whatever is still under way. Each policy runs
in a process of its own; contenders take turns. `lru` sends away the engine unused for longest and
serves who has waited longest; `in-order` serves one request after the other as they came. Both
share everything else with the service's policy: batches, one load for all who wait, turns.

The simulator is told this machine's pace, measured first, and predicts each run.

Run as `python benchmarks/swapping.py [--quick] [--json FILE] [--out] [--pace FILE]`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as Shown

from _common import console, finish, machine, markdown, parser, versions
from _fleet import BASE, FLEET, merge
from motet.composer.assembly import assemble
from motet.config import load
from motet.experts.footprint import sizes_of
from motet.planner.simulate.pace import Pace
from motet.planner.simulate.run import SimulatedExpert, simulate
from motet.planner.simulate.trace import Trace, make_trace
from motet.residency.actions import Bounds

_HERE = Path(__file__).parent
_EXPERTS = ("arithmetic", "units", "sql", "regexes", "extraction", "triage")
_POLICIES = ("worth", "lru", "in-order")
_KV = 128 * 2**20
"""For 8 prompts of 200 tokens and their answers, 46 KB a token; with 64 MiB one run was 4% over."""
_SLOTS = 8
_TURN_S = 10.0
_PATIENCE_S = 3600.0


def configure(folder: Path, memory: int) -> Path:
    """Write the config of the six experts and the memory they share."""
    experts = [
        {
            "id": expert,
            "engine": "transformers",
            "model": str(folder / expert),
            "dtype": "float32",
            "max_batch": _SLOTS,
            "context": 1024,
            "resources": {"memory": _KV},
        }
        for expert in _EXPERTS
    ]
    residency = {
        "memory": memory,
        "max_wait_s": _PATIENCE_S,
        "max_waiting": 10_000,
        "turn_s": _TURN_S,
    }
    # Nobody may give up before the queue does: all shall be served.
    patient = {"kind": "single", "first_chunk_s": _PATIENCE_S}
    content = {
        "version": 1,
        "experts": experts,
        "residency": residency,
        "routers": {e: {"kind": "constant", "expert": e} for e in _EXPERTS},
        "compositions": {f"only-{e}": {"router": e, "strategy": patient} for e in _EXPERTS},
        "service": {"limits": {"deadline_s": _PATIENCE_S}},
    }
    config = folder / "experts.yaml"
    config.write_text(json.dumps(content))
    return config


def ask(folder: Path, count: int, rate: float, seed: int) -> tuple[Path, Trace]:
    """Write a trace with a question of its expert's task for each request."""
    trace = make_trace(_EXPERTS, count, rate=rate, skew=1.0, burst=4.0, seed=seed)
    command = [
        sys.executable,
        FLEET / "prompts.py",
        "test",
        "60",
        "--seed",
        str(seed + 1),
    ]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    prompts: dict[str, list[str]] = {}
    for line in made.stdout.splitlines():
        prompt = json.loads(line)
        prompts.setdefault(prompt["task"], []).append(prompt["query"])
    rng = random.Random(seed)
    requests = [
        {"at": at, "expert": trace.names[e], "prompt": rng.choice(prompts[trace.names[e]])}
        for at, e in zip(trace.at.tolist(), trace.expert.tolist(), strict=True)
    ]
    file = folder / "trace.json"
    file.write_text(json.dumps(requests))
    return file, trace


def run(what: str, config: Path, trace: Path) -> dict[str, Any]:
    """Run a policy, or the calibration, in a process of its own."""
    command = [sys.executable, _HERE / "_swapping.py", config, trace, what]
    with console.status(f"{what} ..."):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found.get("faults"):
        raise SystemExit(f"{what}: {len(found['faults'])} requests failed: {found['faults'][0]}")
    return found


def predict(
    trace: Trace, found: dict[str, Any], pace: dict[str, float], size: int, memory: int, policy: str
) -> dict[str, float]:
    """Return throughput and p95 wait of a run as the simulator says, from pace and answers."""
    places = [SimulatedExpert(e, size, Pace(**_known(pace)).load_s(size), _SLOTS) for e in _EXPERTS]
    seconds = np.maximum(1, np.array(found["tokens"])) * pace["token_s"]
    asked = Trace(trace.names, trace.at, trace.expert, seconds)
    rules = Bounds(memory, _PATIENCE_S, 10_000, _TURN_S)
    outcome = simulate(places, asked, rules, policy, Pace(**_known(pace)))
    return {
        "throughput": len(trace) / outcome.seconds,
        "p95": outcome.wait(95),
        "loads": outcome.loads,
    }


def _known(pace: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in pace.items() if name in Pace.model_fields}


def measure(
    arguments: Any, folder: Path
) -> tuple[dict[str, float], dict[str, Any], list[list[Any]]]:
    """Run all contenders in turn; return figures, settings and the rows of the table."""
    count = arguments.requests or (24 if arguments.quick else 120)
    rounds = 1 if arguments.quick else arguments.rounds
    merge(folder, _EXPERTS, "bfloat16")
    size = sizes_of(assemble(load(configure(folder, 1))).experts)[_EXPERTS[0]]
    assert size is not None
    memory = arguments.resident * size
    config = configure(folder, memory)
    file, trace = ask(folder, count, arguments.rate, arguments.seed)
    pace = run("calibrate", config, file)
    console.print({name: float(f"{value:.4g}") for name, value in pace.items()})
    if arguments.pace:
        arguments.pace.write_text(json.dumps(_known(pace), indent=2) + "\n")
    runs: dict[str, list[dict[str, Any]]] = {policy: [] for policy in _POLICIES}
    rows: list[list[Any]] = []
    for number in range(rounds):
        for policy in _POLICIES if number == 0 else reversed(_POLICIES[:2]):
            found = run(policy, config, file)
            found["throughput"] = count / found["seconds"]
            found["p95"] = float(np.percentile(found["waits"], 95))
            found["mean"] = float(np.mean(found["waits"]))
            said = predict(trace, found, pace, size, memory, policy)
            found["said"] = said
            runs[policy].append(found)
            shown = [found["throughput"], said["throughput"], found["p95"], said["p95"]]
            loads = [found["loads"], said["loads"]]
            peak = found["peak"]["RssAnon"] / memory
            load_s = f"{float(np.median(found['load_seconds'])):.2f}"
            rows.append([policy, *(f"{v:.3g}" for v in shown), *loads, load_s, f"{peak:.3f}"])
            console.print(*rows[-1])
    return figures_of(runs, memory), settings_of(arguments, count, size, memory, pace), rows


def figures_of(runs: dict[str, list[dict[str, Any]]], memory: int) -> dict[str, float]:
    """Return the figures: ratios of medians, and the worst of memory."""

    def median(policy: str, field: str) -> float:
        return float(np.median([run[field] for run in runs[policy]]))

    everything = [run for policy in runs.values() for run in policy]
    figures = {
        "throughput_vs_lru": median("worth", "throughput") / median("lru", "throughput"),
        "p95_wait_vs_lru": median("worth", "p95") / median("lru", "p95"),
        "mean_wait_vs_lru": median("worth", "mean") / median("lru", "mean"),
        "throughput_vs_in_order": median("worth", "throughput") / median("in-order", "throughput"),
        "p95_wait_vs_in_order": median("worth", "p95") / median("in-order", "p95"),
        "peak_memory_vs_budget": max(run["peak"]["RssAnon"] for run in everything) / memory,
        "peak_rss_vs_budget": max(run["peak"]["VmRSS"] for run in everything) / memory,
    }
    for policy in runs:
        for field in ("throughput", "p95", "mean", "loads"):
            figures[f"{policy}_{field}"] = median(policy, field)
        for field in ("throughput", "p95"):
            said = float(np.median([run["said"][field] for run in runs[policy]]))
            figures[f"{policy}_{field}_simulated"] = said
    return {name: round(value, 4) for name, value in figures.items()}


def settings_of(
    arguments: Any, count: int, size: int, memory: int, pace: dict[str, float]
) -> dict[str, Any]:
    """Return what it takes to run this again."""
    return {
        "requests": count,
        "rounds": f"{1 if arguments.quick else arguments.rounds} (in-order: 1)",
        "rate": arguments.rate,
        "skew": 1.0,
        "burst": 4.0,
        "experts": ", ".join(_EXPERTS),
        "model": BASE,
        "bytes of an expert": size,
        "memory": memory,
        "experts that fit": arguments.resident,
        "slots": _SLOTS,
        "turn_s": _TURN_S,
        "seed": arguments.seed,
        **{f"pace: {name}": float(f"{value:.4g}") for name, value in pace.items()},
    }


def main() -> None:
    """Measure, show and write."""
    wanted = parser(__doc__)
    wanted.add_argument("--resident", type=int, default=2, help="experts that fit the memory")
    wanted.add_argument("--requests", type=int, help="120, or 24 with --quick")
    wanted.add_argument("--rate", type=float, default=2.5, help="requests a second")
    wanted.add_argument("--rounds", type=int, default=3, help="runs of each contender")
    wanted.add_argument("--pace", type=Path, metavar="FILE", help="write the calibration here")
    arguments = wanted.parse_args()
    with tempfile.TemporaryDirectory(prefix="motet-swap-") as folder:
        figures, settings, rows = measure(arguments, Path(folder))
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
    head = ["run", "answers/s", "simulated", "p95 wait, s", "simulated", "loads", "simulated"]
    head += ["s a load", "peak memory / budget"]
    finish(arguments, "swapping", report, [markdown(head, rows)])


if __name__ == "__main__":
    main()
