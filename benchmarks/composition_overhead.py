"""What a strategy costs beside its experts: each kind over experts that answer at once.

Scripted experts without any delay are asked through a service in this process; the control asks
the same experts as often, with a bare `asyncio.gather` of their streams. Contenders take turns in
each round. Figures: milliseconds of a strategy beyond the control, less 0.2 ms for each expert
call, of which less than 1 is wanted (`overhead_ms_KIND`); and how many times the control it takes.

Run as `python benchmarks/composition_overhead.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median

from rich.table import Table

from _common import console, finish, machine, markdown, parser, versions
from motet.config import parse
from motet.service.motet import Motet
from motet.types import Request
from motet.whole import collect

_ALLOWED_MS = 0.2
"""Milliseconds that a call of an expert may take."""
STRATEGIES = {
    "single": "{kind: single}",
    "hedged": "{kind: single, hedge_s: 1}",
    "vote": "{kind: vote, weighted: false}",
    "aggregate": "{kind: aggregate}",
    "debate": "{kind: debate}",
    "refine": "{kind: refine}",
    "steps": "{kind: steps, steps: [{name: a, ask: 'x {request}'}, {name: b, ask: 'y {a}'}]}",
}
FLEET = """
version: 1
experts:
  - {id: one, engine: fake, tokens: [The answer is 1]}
  - {id: two, engine: fake, tokens: [The answer is 2]}
  - {id: three, engine: fake, tokens: [The answer is 3]}
routers: {r: {kind: constant, expert: one, fallbacks: [two, three]}}
compositions:
"""
ASKED = Request(model="x", messages=({"role": "user", "content": "Which number is it? " * 20},))
HEAD = ["strategy", "expert calls", "ms", "bare ms", "times bare", "ms beyond 0.2 a call"]


async def asked(motet: Motet, kind: str) -> int:
    """Ask a composition once; return how many expert calls it made."""
    async with motet.answer(Request(model=kind, messages=ASKED.messages)) as answer:
        await collect(answer)
        return len(answer.calls.made)


async def bare(motet: Motet, calls: int) -> None:
    """Ask as many experts as often, and nothing else."""
    experts = [motet.parts.experts[name] for name in ("one", "two", "three")]
    await asyncio.gather(*(collect(experts[at % 3].stream(ASKED)) for at in range(calls)))


async def measured(rounds: int, each: int) -> dict[str, tuple[int, float, float]]:
    """Return calls, milliseconds and milliseconds of the control, by strategy."""
    text = FLEET + "".join(
        f"  {kind}: {{router: r, strategy: {strategy}}}\n" for kind, strategy in STRATEGIES.items()
    )
    found = {}
    async with Motet(parse(text)) as motet:
        await motet.fleet.ready()
        for kind in STRATEGIES:
            calls = await asked(motet, kind)
            ours, theirs = [], []
            for _ in range(rounds):
                begun = time.perf_counter()
                for _ in range(each):
                    await asked(motet, kind)
                between = time.perf_counter()
                for _ in range(each):
                    await bare(motet, calls)
                ours.append(1000 * (between - begun) / each)
                theirs.append(1000 * (time.perf_counter() - between) / each)
            found[kind] = (calls, median(ours), median(theirs))
    return found


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__).parse_args()
    rounds, each = (5, 40) if arguments.quick else (15, 100)
    found = asyncio.run(measured(rounds, each))
    rows, figures = [], {}
    for kind, (calls, ours, theirs) in found.items():
        beyond = ours - theirs - _ALLOWED_MS * calls
        figures[f"overhead_ms_{kind}"] = round(beyond, 3)
        figures[f"times_bare_{kind}"] = round(ours / theirs, 2)
        times = [f"{ours:.3f}", f"{theirs:.3f}", f"{ours / theirs:.1f}", f"{beyond:.3f}"]
        rows.append([kind, str(calls), *times])
    table = Table(*HEAD)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    report = {
        "figures": figures,
        "settings": {"rounds": rounds, "requests a round": each},
        "machine": machine(),
        "versions": versions("motet"),
    }
    finish(arguments, "composition_overhead", report, [markdown(HEAD, rows)])


if __name__ == "__main__":
    main()
