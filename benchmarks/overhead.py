"""What Motet adds to a request: to its time at one connection, to its throughput at many.

The same fake upstream is reached directly, through Motet in one process, through Motet on Ray
Serve, and through LiteLLM's proxy: one worker each, closed loop, streamed and not. Contenders
take turns inside one run, in an order drawn anew each round, and figures are ratios or
differences of medians over the rounds. Every answer's words are checked; one wrong answer fails
the run.

With `--before FOLDER`, a checkout of another commit, Motet as it stands there is one more contender
in one process: whether a change has cost anything.

Run as `python benchmarks/overhead.py [--quick] [--before FOLDER] [--json FILE] [--out]`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from _common import Processes, console, finish, free_port, machine, markdown, parser, peer, versions

LITELLM = "1.106.2"
"""The newest release whose requirements could be installed when this was last run."""
KEY = "sk-only-for-this-benchmark-0123456789abcdef"
"""Checked by every contender: LiteLLM refuses to start without one."""
CONNECTIONS = (1, 16, 64)
FORMS = ("whole", "stream")
_SHOWN = {
    "direct": "direct",
    "inproc": "Motet --local",
    "before": "Motet before",
    "ray": "Motet on Ray",
    "litellm": "LiteLLM",
}
_HERE = Path(__file__).parent

MOTET = """
version: 1
experts:
  - {{id: general, engine: openai, url: "{upstream}", model: upstream}}
  - {{id: coder, engine: openai, url: "{upstream}", model: upstream}}
routers:
  rules:
    kind: symbolic
    rules:
      - {{name: code, when: "has_code || mentions(['sql', 'python'])", use: [coder]}}
  front: {{kind: chain, of: [rules], fallback: general}}
compositions:
  auto: {{router: front}}
service: {{host: 127.0.0.1, port: {port}, replicas: 1, api_keys: ["{key}"]}}
"""
LITELLM_CONFIG = """
model_list:
  - model_name: auto
    litellm_params: {{model: openai/upstream, api_base: "{upstream}", api_key: none}}
litellm_settings: {{telemetry: false, set_verbose: false}}
general_settings: {{master_key: "{key}"}}
"""


@dataclass(frozen=True)
class Cell:
    """One thing to measure: a contender at a number of connections, in one form."""

    contender: str
    connections: int
    form: str


Reports = dict[Cell, list[dict[str, float]]]


def start(
    contenders: list[str], processes: Processes, folder: Path, before: Path | None
) -> dict[str, str]:
    """Start the upstream and the contenders; return the base URL of each."""
    ports = {name: free_port() for name in ("direct", *contenders)}
    urls = {name: f"http://127.0.0.1:{port}/v1" for name, port in ports.items()}
    command = [sys.executable, _HERE / "_upstream.py", str(ports["direct"])]
    processes.start("direct", command)
    processes.wait_for("direct", urls["direct"])
    for name in contenders:
        if name == "direct":
            continue
        config = folder / f"{name}.yaml"
        text = LITELLM_CONFIG if name == "litellm" else MOTET
        config.write_text(text.format(upstream=urls["direct"], port=ports[name], key=KEY))
        with console.status(f"Starting {_SHOWN[name]} ..."):
            if name == "litellm":
                _start_litellm(processes, config, ports[name])
            else:
                local = ["--local"] if name != "ray" else []
                command = [sys.executable, "-m", "motet.cli.main", "serve", config, *local]
                source = {"PYTHONPATH": f"{before}/src"} if name == "before" else {}
                processes.start(name, command, **source)
                processes.wait_for(name, f"http://127.0.0.1:{ports[name]}/ready")
    return urls


def _start_litellm(processes: Processes, config: Path, port: int) -> None:
    command = [peer("litellm", LITELLM, "litellm[proxy]") / "litellm", "--config", config]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    # As its documentation advises for production; the list of prices would come from the network.
    quiet = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
    processes.start("litellm", command, LITELLM_LOCAL_MODEL_COST_MAP="True", **quiet)
    processes.wait_for("litellm", f"http://127.0.0.1:{port}/health/liveliness")


def measure(urls: dict[str, str], cell: Cell, seconds: float) -> dict[str, float]:
    """Load one contender from a process of its own; any error ends the benchmark."""
    command = [sys.executable, _HERE / "_load.py", urls[cell.contender], "auto", KEY]
    command += [str(cell.connections), str(seconds), cell.form]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout) if done.returncode == 0 else {"errors": [done.stderr[-500:]]}
    if errors := report.pop("errors"):
        raise SystemExit(f"{cell} failed: {errors}")
    return report


def run(
    urls: dict[str, str], contenders: list[str], rounds: int, seconds: float, seed: int
) -> Reports:
    """Measure every cell once a round, contenders in turn."""
    draw = random.Random(seed)
    reports: Reports = defaultdict(list)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task("", total=rounds * len(CONNECTIONS) * len(FORMS) * len(contenders))
        for name, form in product(contenders, FORMS):
            bars.update(task, description=f"{_SHOWN[name]} warms up")
            measure(urls, Cell(name, 16, form), 1.0)
        for _ in range(rounds):
            for form, connections in product(FORMS, CONNECTIONS):
                for name in draw.sample(contenders, len(contenders)):
                    bars.update(task, description=f"{_SHOWN[name]} x{connections} {form}")
                    cell = Cell(name, connections, form)
                    reports[cell].append(measure(urls, cell, seconds))
                    bars.advance(task)
    return reports


def medians(reports: Reports) -> dict[Cell, dict[str, float]]:
    """Return each cell's medians over the rounds."""
    return {
        cell: {name: median(report[name] for report in rounds) for name in rounds[0]}
        for cell, rounds in reports.items()
    }


def figures_of(found: dict[Cell, dict[str, float]]) -> dict[str, float]:
    """Return the figures that Motet is held to."""
    figures = {}
    for form, suffix in zip(FORMS, ("", "_streamed"), strict=True):
        for name in ("inproc", "ray"):
            at_16, peer_16 = (found.get(Cell(who, 16, form)) for who in (name, "litellm"))
            if at_16 and peer_16:
                figures[f"{name}_rps_vs_litellm_c16{suffix}"] = at_16["rps"] / peer_16["rps"]
            at_1, direct = (found.get(Cell(who, 1, form)) for who in (name, "direct"))
            if at_1 and direct:
                figures[f"{name}_added_ms_p50_c1{suffix}"] = at_1["p50_ms"] - direct["p50_ms"]
        now, then = (found.get(Cell(who, 16, form)) for who in ("inproc", "before"))
        if now and then:
            figures[f"inproc_rps_vs_before_c16{suffix}"] = now["rps"] / then["rps"]
        now, then = (found.get(Cell(who, 1, form)) for who in ("inproc", "before"))
        if now and then:
            figures[f"inproc_p50_vs_before_c1{suffix}"] = now["p50_ms"] / then["p50_ms"]
    return {name: round(value, 2) for name, value in figures.items()}


def rows(found: dict[Cell, dict[str, float]], form: str) -> Iterator[list[str]]:
    """Yield the rows of one form's table."""
    for cell, values in sorted(
        ((cell, values) for cell, values in found.items() if cell.form == form),
        key=lambda item: (item[0].connections, list(_SHOWN).index(item[0].contender)),
    ):
        cells = [f"{values['rps']:,.0f}"]
        cells += [f"{values[name]:.2f}" for name in ("p50_ms", "p99_ms", "first_ms")]
        yield [str(cell.connections), _SHOWN[cell.contender], *cells]


HEAD = ["connections", "way", "requests/s", "p50 ms", "p99 ms", "first ms"]


def show(found: dict[Cell, dict[str, float]], figures: dict[str, float]) -> None:
    """Print both tables and the figures."""
    for form, title in zip(FORMS, ("Whole answers", "Streamed answers"), strict=True):
        table = Table(*HEAD, title=title)
        for row in rows(found, form):
            table.add_row(*row)
        console.print(table)
    for name, value in figures.items():
        console.print(f"{name:40} {value:8.2f}")


def main() -> None:
    """Run the benchmark."""
    arguments_of = parser(__doc__)
    arguments_of.add_argument(
        "--skip", action="append", default=[], choices=list(_SHOWN)[1:], help="leave out"
    )
    arguments_of.add_argument("--before", type=Path, help="a checkout of another commit")
    arguments = arguments_of.parse_args()
    if arguments.before is None:
        arguments.skip.append("before")
    rounds, seconds = (2, 1.5) if arguments.quick else (5, 2.0)
    contenders = [name for name in _SHOWN if name not in arguments.skip]
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        urls = start(contenders, processes, Path(folder), arguments.before)
        found = medians(run(urls, contenders, rounds, seconds, arguments.seed))
    figures = figures_of(found)
    report: dict[str, Any] = {
        "figures": figures,
        "settings": {
            "rounds": rounds,
            "seconds": seconds,
            "seed": arguments.seed,
            "connections": ", ".join(map(str, CONNECTIONS)),
            "workers": 1,
            "prompt": "about 1 KB, a system and a user message",
            "answer": "20 words; streamed in 23 events",
            "routing": "Motet: a rule of two conditions, then the fallback; LiteLLM: one model",
            "keys": "every contender checks one bearer key",
        },
        "machine": machine(),
        "versions": {
            **versions("motet", "ray", "fastapi", "uvicorn", "uvloop", "httptools", "aiohttp"),
            "litellm": LITELLM,
        },
    }
    show(found, figures)
    titles = {"whole": "## Whole answers\n", "stream": "## Streamed answers\n"}
    parts = [part for f in FORMS for part in (titles[f], markdown(HEAD, rows(found, f)))]
    finish(arguments, "overhead", report, parts)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
