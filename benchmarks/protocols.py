"""What a client of another protocol than chat pays: Responses and Messages beside chat completions.

One service in one process, in front of the upstream of `overhead.py`; the protocols take turns
inside each round, in an order drawn anew, streamed and not. Figures are ratios of medians over the
rounds: the time of one request alone, and the requests a second of 16 connections turned over.

Run as `python benchmarks/protocols.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from statistics import median

from _common import Processes, console, finish, machine, markdown, parser, versions
from _gateways import Contenders, Place
from overhead import Cell, measure

PROTOCOLS = ("chat", "responses", "messages")
CONNECTIONS = (1, 16)
HEAD = ["connections", "form", "protocol", "requests/s", "p50 ms", "p99 ms", "first ms"]
Found = Mapping[Cell, Mapping[str, float]]


def form_of(form: str, protocol: str) -> str:
    """Return what the load generator calls a form of a protocol."""
    return form if protocol == "chat" else f"{form}-{protocol}"


def run(place: Place, rounds: int, seconds: float, seed: int) -> Found:
    """Measure every cell once a round, and return the medians."""
    draw, reports = random.Random(seed), defaultdict(list)
    for protocol, form in product(PROTOCOLS, ("whole", "stream")):
        measure(place, Cell("inproc", 16, form_of(form, protocol)), 1.0)
    for number in range(rounds):
        with console.status(f"Round {number + 1} of {rounds} ..."):
            for form, connections in product(("whole", "stream"), CONNECTIONS):
                for protocol in draw.sample(PROTOCOLS, len(PROTOCOLS)):
                    cell = Cell("inproc", connections, form_of(form, protocol))
                    reports[cell].append(measure(place, cell, seconds))
    return {
        cell: {name: median(report[name] for report in each) for name in each[0]}
        for cell, each in reports.items()
    }


def figures_of(found: Found) -> dict[str, float]:
    """Return what each protocol takes of what chat takes."""
    figures = {}
    for protocol, form in product(PROTOCOLS[1:], ("whole", "stream")):
        one, chat = (
            [found[Cell("inproc", at, form_of(form, name))] for at in CONNECTIONS]
            for name in (protocol, "chat")
        )
        suffix = "_streamed" if form == "stream" else ""
        figures[f"{protocol}_p50_vs_chat_c1{suffix}"] = one[0]["p50_ms"] / chat[0]["p50_ms"]
        figures[f"{protocol}_cost_vs_chat_c16{suffix}"] = chat[1]["rps"] / one[1]["rps"]
    return {name: round(value, 2) for name, value in figures.items()}


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__).parse_args()
    rounds, seconds = (3, 1.5) if arguments.quick else (7, 2.0)
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        contenders = Contenders(processes, Path(folder), None)
        contenders.start("direct")
        found = run(contenders.start("inproc"), rounds, seconds, arguments.seed)
    figures = figures_of(found)
    rows = []
    for form, at, protocol in product(("whole", "stream"), CONNECTIONS, PROTOCOLS):
        values = found[Cell("inproc", at, form_of(form, protocol))]
        times = [f"{values[name]:.2f}" for name in ("p50_ms", "p99_ms", "first_ms")]
        rows.append([str(at), form, protocol, f"{values['rps']:,.0f}", *times])
    for name, value in figures.items():
        console.print(f"{name:40} {value:8.2f}")
    report = {
        "figures": figures,
        "settings": {"rounds": rounds, "seconds": seconds, "seed": arguments.seed},
        "machine": machine(),
        "versions": versions("motet", "fastapi", "uvicorn", "uvloop"),
    }
    finish(arguments, "protocols", report, [markdown(HEAD, rows)])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
