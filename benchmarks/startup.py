"""How long a command takes before it says anything: `motet --help`, and `motet check`.

Each runs as a process of its own, in turn with two controls: Python that does nothing, and Python
that imports what any such command needs (typer, rich, pydantic, yaml). Seconds are medians over the
rounds, of a clock on the wall and of the processor; the target is under half a second on the wall
on an idle machine.

Run as `python benchmarks/startup.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from rich.progress import track

from _common import console, finish, machine, markdown, parser, versions

_ROOT = Path(__file__).parent.parent
_MOTET = [sys.executable, "-m", "motet.cli.main"]
CONTENDERS = {
    "python": [sys.executable, "-c", "pass"],
    "libraries": [sys.executable, "-c", "import typer, rich.console, pydantic, yaml"],
    "help": [*_MOTET, "--help"],
    "check": [*_MOTET, "check", "experts.yaml"],
}


def once(command: list[str]) -> tuple[float, float]:
    """Return the seconds that a command takes, on the wall and of the processor."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, cwd=_ROOT, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    spent = after.children_user + after.children_system
    return time.perf_counter() - began, spent - before.children_user - before.children_system


def main() -> None:
    """Run the rounds and print the medians."""
    args = parser(__doc__).parse_args()
    rng, rounds = random.Random(args.seed), 5 if args.quick else 25
    seconds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for command in CONTENDERS.values():  # files come into memory
        once(command)
    for _ in track(range(rounds), "Rounds", console=console):
        for name in rng.sample(list(CONTENDERS), len(CONTENDERS)):
            seconds[name].append(once(CONTENDERS[name]))
    figures, rows = {}, []
    for name in CONTENDERS:
        wall, cpu = (median(each[at] for each in seconds[name]) for at in (0, 1))
        figures |= {f"{name}_wall_s": round(wall, 3), f"{name}_cpu_s": round(cpu, 3)}
        rows.append([name, f"{wall:.3f}", f"{cpu:.3f}"])
        console.print("{:10} {} s on the wall, {} s of the processor".format(*rows[-1]))
    for name in ("help", "check"):
        figures[f"{name}_vs_libraries"] = round(
            figures[f"{name}_wall_s"] / figures["libraries_wall_s"], 2
        )
    report = {
        "figures": figures,
        "settings": {"rounds": rounds, "seed": args.seed},
        "machine": machine(),
        "versions": versions("motet", "typer", "pydantic", "rich"),
    }
    head = ["command", "seconds on the wall", "seconds of the processor"]
    finish(args, "startup", report, ["## Medians\n\n" + markdown(head, rows)])


if __name__ == "__main__":
    main()
