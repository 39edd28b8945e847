"""`motet simulate`: what policies of residency would do to a trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.bars import progress_bar
from motet.cli.console import ConfigPath, Json, command, new_table, print_json
from motet.cli.plan import machine_of, weights_of
from motet.errors import ConfigError
from motet.wording import did_you_mean

if TYPE_CHECKING:
    from motet.planner.simulate.compare import Played, Scenario
    from motet.planner.simulate.run import PolicyOutcome

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
    from motet import units
    from motet.composer.assembly import assemble
    from motet.config import load
    from motet.planner.simulate.compare import compare, scenario_of
    from motet.planner.simulate.homes import hosts_of
    from motet.planner.simulate.pace import read_pace
    from motet.planner.simulate.picture import draw
    from motet.planner.simulate.trace import make_trace, read_trace

    chosen = _policies(policies)
    document = load(config)
    parts = assemble(document)
    names = list(hosts_of(document))
    if trace is not None:
        asked = read_trace(trace, names, seconds)
    else:
        drawn: dict[str, Any] = {"rate": rate, "skew": skew, "burst": burst, "seconds": seconds}
        weights = _weights(traffic, names)
        asked = make_trace(names, requests, weights=weights, seed=seed, **drawn)
    scenario = scenario_of(
        document,
        parts.experts,
        asked,
        machine=machine_of(devices, host_memory) if devices else None,
        memory=units.option("--memory", memory) if memory else None,
        pace=read_pace(calibration) if calibration else None,
        concurrency=concurrency,
    )
    with progress_bar() as report:
        played = compare(scenario, chosen, report)
    if plot is not None:
        outcomes = {policy: each.outcome for policy, each in played.items()}
        draw(outcomes, asked, scenario.rules.max_wait_s, plot)
    if json:
        print_json(_plain(played, scenario, seed))
    else:
        _show(played, scenario)
        if plot is not None:
            typer.echo(f"Wrote {plot}.")


def _policies(text: str) -> list[str]:
    from motet.residency.policy import POLICIES

    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in POLICIES:
            raise ConfigError(f"--policies: no policy {name!r}. {did_you_mean(name, POLICIES)}")
    return list(dict.fromkeys(names))


def _weights(text: str | None, names: list[str]) -> dict[str, float] | None:
    weights = weights_of(text)
    for name in weights or ():
        if name not in names:
            hint = did_you_mean(name, names)
            raise ConfigError(f"--traffic: no expert {name!r} holds a model. {hint}")
    return weights


def _figures(outcome: PolicyOutcome) -> dict[str, float]:
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


def _plain(played: dict[str, Played], scenario: Scenario, seed: int) -> dict[str, Any]:
    return {
        "requests": len(scenario.trace),
        "seed": seed,
        "devices": [
            {
                "name": home.name,
                "memory": home.memory,
                "experts": {engine.expert: engine.size for engine in home.experts},
            }
            for home in scenario.homes
        ],
        "policies": {policy: _figures(each.outcome) for policy, each in played.items()},
        "simulated_requests_per_second": {
            policy: each.requests_per_second for policy, each in played.items()
        },
    }


def _show(played: dict[str, Played], scenario: Scenario) -> None:
    from rich.console import Console

    table = new_table()
    table.add_column("policy")
    titles = ("answers/s", "wait p50", "p95", "p99", "there", "loads", "refused")
    for title in titles:
        table.add_column(title, justify="right")
    for name, each in played.items():
        outcome = each.outcome
        waits = (f"{outcome.wait(p):.3g} s" for p in (50, 95, 99))
        there, refused = outcome.hit.mean(), (~outcome.served).mean()
        cells = (f"{there:.1%}", f"{outcome.loads:,}", f"{refused:.2%}")
        table.add_row(name, f"{outcome.throughput:.3g}", *waits, *cells)
    console = Console()
    console.print(table)
    homes, trace = scenario.homes, scenario.trace
    experts = sum(len(home.experts) for home in homes)
    slowest = min(each.requests_per_second for each in played.values())
    console.print(
        f"{len(trace):,} requests to {experts} experts on {len(homes)} device(s), over "
        f"{trace.at[-1] / 3600:.3g} h. Simulated at {slowest:,.0f} requests a second or more."
    )
