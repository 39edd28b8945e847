"""`motet simulate`: what policies of residency would do to a trace."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.bars import progress_bar
from motet.cli.console import ConfigPath, Json, command, print_json
from motet.cli.plan import machine_of, weights_of
from motet.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from motet.config import Document
    from motet.planner.simulate.homes import Home
    from motet.planner.simulate.pace import Pace
    from motet.planner.simulate.run import Outcome
    from motet.planner.simulate.trace import Trace
    from motet.residency.actions import Rules

_POLICIES = "worth,lru,in-order"


@command
def simulate(
    config: ConfigPath = "experts.yaml",
    devices: Annotated[
        str | None,
        typer.Option(help="Such as 2xh100, or a100-40g,24GiB; else this machine's memory."),
    ] = None,
    host_memory: Annotated[
        str, typer.Option(help="Memory of the host for experts that sleep (with --devices).")
    ] = "0GiB",
    memory: Annotated[
        str | None, typer.Option(help="Memory without --devices; else residency.memory.")
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Requests: at, expert and seconds (.csv, .jsonl, .parquet)."),
    ] = None,
    requests: Annotated[int, typer.Option(min=1, help="Requests of a trace made up.")] = 10_000,
    rate: Annotated[float, typer.Option(min=1e-6, help="Its requests a second.")] = 1.0,
    skew: Annotated[float, typer.Option(min=0, help="Zipf's exponent over the experts.")] = 1.0,
    traffic: Annotated[
        str | None, typer.Option(help="Weights such as sql=3,units=1, instead of Zipf's law.")
    ] = None,
    burst: Annotated[float, typer.Option(min=1, help="Mean requests of a burst.")] = 4.0,
    seconds: Annotated[
        float, typer.Option(min=1e-6, help="Mean seconds of a request that runs alone.")
    ] = 1.0,
    policies: Annotated[str, typer.Option(help="Which to compare, by commas.")] = _POLICIES,
    calibration: Annotated[
        Path | None, typer.Option(help="The device's pace, JSON of benchmarks/swapping.py.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Requests an engine runs at once (with --devices).")
    ] = 8,
    seed: Annotated[int, typer.Option(help="For the trace.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw the policies (.png or .svg).")] = None,
    json: Json = False,
) -> None:
    """Simulate loading experts on demand: a trace, devices, and policies side by side.

    The decisions are those of the service; only time is simulated.
    """
    from motet.composer.assembly import Assembly
    from motet.config import load
    from motet.planner.simulate.homes import engine_of, here, planned
    from motet.planner.simulate.pace import Pace, read_pace
    from motet.planner.simulate.picture import draw

    chosen = _policies(policies)
    document = load(config)
    assembly = Assembly(document)
    owner = engine_of(document)
    if not owner:
        raise ConfigError(f"{config}: no expert of this config holds a model here.")
    pace = read_pace(calibration) if calibration else Pace()
    made = _trace(list(owner), trace, requests, rate, skew, traffic, burst, seconds, seed)
    made = replace(made, names=tuple(owner[name] for name in made.names))
    if devices is None:
        held = {name: assembly.experts[name] for name in dict.fromkeys(owner.values())}
        homes = here(held, _memory(memory, document), pace)
    else:
        machine = machine_of(devices, host_memory)
        shares = _shares(made)
        homes = planned(document, machine, pace, shares, concurrency=concurrency, seconds=2.5)
    outcomes, speeds = _play(homes, made, document, chosen, pace)
    if plot is not None:
        draw(outcomes, made, _rules(document, 1).max_wait_s, plot)
    if json:
        print_json(_plain(outcomes, speeds, homes, made, seed))
    else:
        _show(outcomes, speeds, homes, made)
        if plot is not None:
            typer.echo(f"Wrote {plot}.")


def _policies(text: str) -> list[str]:
    from motet.residency.policy import POLICIES

    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in POLICIES:
            raise ConfigError(f"--policies: no policy {name!r}. {did_you_mean(name, POLICIES)}")
    return list(dict.fromkeys(names))


def _memory(text: str | None, document: Document) -> int:
    from motet import units
    from motet.experts.footprint import default_budget

    settings = document.config.residency
    if text is None:
        return default_budget() if settings is None else int(settings.memory)
    return units.option("--memory", text)


def _trace(
    names: list[str],
    file: Path | None,
    requests: int,
    rate: float,
    skew: float,
    traffic: str | None,
    burst: float,
    seconds: float,
    seed: int,
) -> Trace:
    from motet.planner.simulate.trace import make_trace, read_trace

    if file is not None:
        return read_trace(file, names, seconds)
    weights = weights_of(traffic)
    for name in weights or ():
        if name not in names:
            hint = did_you_mean(name, names)
            raise ConfigError(f"--traffic: no expert {name!r} holds a model. {hint}")
    return make_trace(
        names,
        requests,
        rate=rate,
        skew=skew,
        burst=burst,
        seconds=seconds,
        weights=weights,
        seed=seed,
    )


def _shares(trace: Trace) -> dict[str, float]:
    """Return how often each engine of a trace is asked."""
    import numpy as np

    shares: dict[str, float] = {}
    for name, count in zip(
        trace.names, np.bincount(trace.expert, minlength=len(trace.names)), strict=True
    ):
        shares[name] = shares.get(name, 0.0) + float(count)
    return shares


def _rules(document: Document, memory: int) -> Rules:
    from motet.residency.actions import Rules

    settings = document.config.residency
    if settings is None:
        return Rules(memory)
    return Rules(memory, settings.max_wait_s, settings.max_waiting, settings.turn_s)


def _play(
    homes: list[Home], trace: Trace, document: Document, policies: list[str], pace: Pace
) -> tuple[dict[str, Outcome], dict[str, float]]:
    """Return each policy's outcome, and how many requests a second were simulated."""
    from motet.planner.simulate.run import simulate, together

    outcomes: dict[str, Outcome] = {}
    speeds: dict[str, float] = {}
    with progress_bar() as report:
        for policy in policies:
            began, parts, done = time.perf_counter(), [], 0
            for home in homes:
                part, rows = trace.of([place.expert for place in home.places])

                def say(count: float, done: int = done, policy: str = policy) -> None:
                    report(policy, done + count, len(trace))

                rules = _rules(document, home.memory)
                outcome = simulate(home.places, part, rules, policy, pace, say)
                parts.append((outcome, rows))
                done += len(part)
            outcomes[policy] = together(parts, len(trace))
            speeds[policy] = len(trace) / (time.perf_counter() - began)
    return outcomes, speeds


def _figures(outcome: Outcome) -> dict[str, float]:
    return {
        "throughput": outcome.throughput,
        "wait_p50_s": outcome.wait(50),
        "wait_p95_s": outcome.wait(95),
        "wait_p99_s": outcome.wait(99),
        "wait_mean_s": float(outcome.wait_s.mean()),
        "hit_share": float(outcome.hit.mean()),
        "refused_share": float((~outcome.served).mean()),
        "loads": outcome.loads,
        "seconds": outcome.seconds,
    }


def _plain(
    outcomes: dict[str, Outcome],
    speeds: dict[str, float],
    homes: list[Home],
    trace: Trace,
    seed: int,
) -> dict[str, Any]:
    return {
        "requests": len(trace),
        "seed": seed,
        "devices": [
            {
                "name": home.name,
                "memory": home.memory,
                "experts": {place.expert: place.size for place in home.places},
            }
            for home in homes
        ],
        "policies": {name: _figures(outcome) for name, outcome in outcomes.items()},
        "simulated_requests_per_second": speeds,
    }


def _show(
    outcomes: dict[str, Outcome], speeds: dict[str, float], homes: list[Home], trace: Trace
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("policy")
    titles = ("answers/s", "wait p50", "p95", "p99", "there", "loads", "refused")
    for title in titles:
        table.add_column(title, justify="right")
    for name, outcome in outcomes.items():
        waits = (f"{outcome.wait(p):.3g} s" for p in (50, 95, 99))
        there, refused = outcome.hit.mean(), (~outcome.served).mean()
        cells = (f"{there:.1%}", f"{outcome.loads:,}", f"{refused:.2%}")
        table.add_row(name, f"{outcome.throughput:.3g}", *waits, *cells)
    console = Console()
    console.print(table)
    experts = sum(len(home.places) for home in homes)
    slowest = min(speeds.values())
    console.print(
        f"{len(trace):,} requests to {experts} experts on {len(homes)} device(s), over "
        f"{trace.at[-1] / 3600:.3g} h. Simulated at {slowest:,.0f} requests a second or more."
    )
