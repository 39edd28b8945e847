"""What Motet adds to a request: to its time at one connection, to its throughput at many.

The same fake upstream is reached directly, through Motet in one process, through Motet on Ray
Serve, and through gateways of others (`_gateways.py`): one process each, closed loop, streamed and
not. Contenders take turns inside one run, in an order drawn anew each round, and figures are ratios
or differences of medians over the rounds. Every answer's words are checked; one wrong answer fails
the run. A gateway that cannot be had here is named and left out, and so are its figures.

With `--before FOLDER`, a checkout of another commit, Motet as it stands there is one more contender
in one process: whether a change has cost anything.

Run as `python benchmarks/overhead.py [--quick] [--contenders direct,inproc,...] [--before FOLDER]
[--json FILE] [--out]`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from argparse import ArgumentTypeError
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from _common import NoPeer, Processes, console, finish, machine, markdown, parser, versions
from _gateways import KEY, SHOWN, VERSIONS, Contenders, Place

CONNECTIONS = (1, 16, 64, 256)
FORMS = ("whole", "stream")
_SUFFIX = {"whole": "", "stream": "_streamed"}


@dataclass(frozen=True)
class Cell:
    """One thing to measure: a contender at a number of connections, in one form."""

    contender: str
    connections: int
    form: str


Reports = dict[Cell, list[dict[str, float]]]


def start(names: list[str], contenders: Contenders) -> dict[str, Place]:
    """Start the contenders that can be had here; say which cannot."""
    places = {}
    for name in names:
        try:
            with console.status(f"Starting {SHOWN[name]} ..."):
                places[name] = contenders.start(name)
        except NoPeer as absent:
            console.print(f"Without {SHOWN[name]}, and the figures beside it: {absent}")
    return places


def measure(place: Place, cell: Cell, seconds: float) -> dict[str, float]:
    """Load one contender from a process of its own; any error ends the benchmark."""
    command = [sys.executable, Path(__file__).parent / "_load.py", place.url, "auto", KEY]
    command += [str(cell.connections), str(seconds), cell.form]
    command += [f"{name}={value}" for name, value in place.headers.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout) if done.returncode == 0 else {"errors": [done.stderr[-500:]]}
    if errors := report.pop("errors"):
        raise SystemExit(f"{cell} failed: {errors}")
    return report


def run(places: Mapping[str, Place], rounds: int, seconds: float, seed: int) -> Reports:
    """Measure every cell once a round, contenders in turn."""
    draw = random.Random(seed)
    reports: Reports = defaultdict(list)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task("", total=rounds * len(CONNECTIONS) * len(FORMS) * len(places))
        for name, form in product(places, FORMS):
            bars.update(task, description=f"{SHOWN[name]} warms up")
            measure(places[name], Cell(name, 16, form), 1.0)
        for _ in range(rounds):
            for form, connections in product(FORMS, CONNECTIONS):
                for name in draw.sample(list(places), len(places)):
                    bars.update(task, description=f"{SHOWN[name]} x{connections} {form}")
                    cell = Cell(name, connections, form)
                    reports[cell].append(measure(places[name], cell, seconds))
                    bars.advance(task)
    return reports


def medians(reports: Reports) -> dict[Cell, dict[str, float]]:
    """Return each cell's medians over the rounds."""
    return {
        cell: {name: median(report[name] for report in rounds) for name in rounds[0]}
        for cell, rounds in reports.items()
    }


def figures_of(found: dict[Cell, dict[str, float]]) -> dict[str, float]:
    """Return the figures that Motet is held to, of the contenders that were there."""
    figures = {}
    for form in FORMS:
        for name, value in _figures_of_form(found, form):
            figures[f"{name}{_SUFFIX[form]}"] = round(value, 2)
    return figures


def _figures_of_form(found: dict[Cell, dict[str, float]], form: str) -> Iterator[tuple[str, float]]:
    def both(one: str, other: str, at: int, what: str) -> Iterator[tuple[float, float]]:
        """Yield what was measured of two contenders, where both were there."""
        if (a := found.get(Cell(one, at, form))) and (b := found.get(Cell(other, at, form))):
            yield a[what], b[what]

    for name in ("inproc", "ray"):
        for peer in VERSIONS:
            for ours, theirs in both(name, peer, 16, "rps"):
                yield f"{name}_rps_vs_{peer}_c16", ours / theirs
        for ours, direct in both(name, "direct", 1, "p50_ms"):
            yield f"{name}_added_ms_p50_c1", ours - direct
        if crowd := found.get(Cell(name, 64, form)):
            yield f"{name}_p99_over_p50_c64", crowd["p99_ms"] / crowd["p50_ms"]
    for ray, inproc in both("ray", "inproc", 16, "rps"):
        yield "ray_rps_vs_inproc_c16", ray / inproc
    for full, bare in both("full", "bare", 16, "rps"):
        yield "operations_rps_ratio_c16", full / bare
    for full, bare in both("full", "bare", 1, "p50_ms"):
        yield "operations_added_ms_p50_c1", full - bare
    for now, then in both("inproc", "before", 16, "rps"):
        yield "inproc_rps_vs_before_c16", now / then
    for now, then in both("inproc", "before", 1, "p50_ms"):
        yield "inproc_p50_vs_before_c1", now / then


def rows(found: dict[Cell, dict[str, float]], form: str) -> Iterator[list[str]]:
    """Yield the rows of one form's table."""
    for cell, values in sorted(
        ((cell, values) for cell, values in found.items() if cell.form == form),
        key=lambda item: (item[0].connections, list(SHOWN).index(item[0].contender)),
    ):
        cells = [f"{values['rps']:,.0f}"]
        cells += [f"{values[name]:.2f}" for name in ("p50_ms", "p99_ms", "first_ms")]
        yield [str(cell.connections), SHOWN[cell.contender], *cells]


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


def _names(text: str) -> list[str]:
    """Read `--contenders`; the upstream is always among them, and the first."""
    names = text.split(",")
    if unknown := [name for name in names if name not in SHOWN]:
        raise ArgumentTypeError(f"{', '.join(unknown)}: not of {', '.join(SHOWN)}")
    return [name for name in SHOWN if name in ("direct", *names)]


def main() -> None:
    """Run the benchmark."""
    arguments_of = parser(__doc__)
    arguments_of.add_argument(
        "--contenders", type=_names, help=f"some of {','.join(SHOWN)}; all when absent"
    )
    arguments_of.add_argument("--before", type=Path, help="a checkout of another commit")
    arguments = arguments_of.parse_args()
    names = arguments.contenders or list(SHOWN)
    if arguments.before is None:
        names = [name for name in names if name != "before"]
    rounds, seconds = (2, 1.5) if arguments.quick else (5, 2.0)
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        places = start(names, Contenders(processes, Path(folder), arguments.before))
        found = medians(run(places, rounds, seconds, arguments.seed))
    figures = figures_of(found)
    report: dict[str, Any] = {
        "figures": figures,
        "settings": {
            "rounds": rounds,
            "seconds": seconds,
            "seed": arguments.seed,
            "connections": ", ".join(map(str, CONNECTIONS)),
            "workers": "one process each; vllm-router has a thread for every core",
            "prompt": "about 1 KB, a system and a user message",
            "answer": "20 words; streamed in 23 events",
            "routing": "Motet: a rule of two conditions, then the fallback; the others: one model",
            "keys": "Motet and LiteLLM check one bearer key; vllm-router and Portkey check none",
        },
        "machine": machine(),
        "versions": {
            **versions("motet", "ray", "fastapi", "uvicorn", "uvloop", "httptools", "aiohttp"),
            **{name: version for name, version in VERSIONS.items() if name in places},
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
