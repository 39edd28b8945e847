"""`motet plan`: which expert lives where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.console import ConfigPath, Json, command, new_table, print_json
from motet.errors import ConfigError

if TYPE_CHECKING:
    from motet.config import Document
    from motet.planner import Advice, Machine, Plan


@command
def plan(
    config: ConfigPath = "experts.yaml",
    devices: Annotated[
        str | None,
        typer.Option(help="Such as 2xh100, or a100-40g,24GiB, or cpu:8GiB; else this machine."),
    ] = None,
    host_memory: Annotated[
        str, typer.Option(help="Memory of the host for experts that sleep (GPUs only).")
    ] = "0GiB",
    traffic: Annotated[
        str | None, typer.Option(help="Weights such as sql=3,units=1; else all alike.")
    ] = None,
    pin: Annotated[
        str | None, typer.Option(help="Further experts that never leave, by commas.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Requests of full context that an engine holds at once.")
    ] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for the best plan.")] = 2.5,
    png: Annotated[Path | None, typer.Option(help="Draw the devices here (.png or .svg).")] = None,
    json: Json = False,
) -> None:
    """Plan which experts are resident, asleep or on disk, on which device, with what memory.

    Reads sizes from the heads of weight files and from configurations; loads no model.
    """
    from motet.composer.assembly import assemble
    from motet.config import load
    from motet.planner import advise
    from motet.planner.picture import draw

    document = load(config)
    assemble(document)
    made = plan_of(
        document,
        devices,
        host_memory,
        traffic,
        pin=pin,
        concurrency=concurrency,
        seconds=seconds,
    )
    advice = advise(document, made, weights_of(traffic))
    if png is not None:
        draw(made, png)
    if json:
        print_json(_plain(made) | {"adapters": [asdict(each) for each in advice]})
    else:
        _show(made)
        _show_adapters(advice)
        if png is not None:
            typer.echo(f"Wrote {png}.")


def plan_of(
    document: Document,
    devices: str | None,
    host_memory: str,
    traffic: str | None,
    *,
    pin: str | None = None,
    concurrency: int = 8,
    seconds: float = 2.5,
) -> Plan:
    """Return the plan of a config for what the options of `motet plan` say.

    Raises
    ------
    ConfigError
        An option is wrong, nobody holds a model, or the experts do not fit.
    """
    from motet.planner import plan_config

    return plan_config(
        document,
        machine_of(devices, host_memory),
        traffic=weights_of(traffic),
        pinned=pin.split(",") if pin else (),
        concurrency=concurrency,
        seconds=seconds,
    )


def machine_of(devices: str | None, host_memory: str) -> Machine:
    """Return the machine that `--devices` and `--host-memory` say; without them this one."""
    from motet import units
    from motet.planner.devices import parse_machine, this_machine

    host = units.option("--host-memory", host_memory)
    return this_machine() if devices is None else parse_machine(devices, host)


def weights_of(text: str | None) -> dict[str, float] | None:
    """Return the weights that `--traffic` says, such as `sql=3,units=1`."""
    if text is None:
        return None
    weights: dict[str, float] = {}
    for item in text.split(","):
        name, _, value = item.partition("=")
        try:
            weights[name.strip()] = float(value)
        except ValueError:
            raise ConfigError(f"--traffic {item!r} is not of the form expert=weight.") from None
        if not 0 <= weights[name.strip()] < float("inf"):
            raise ConfigError(f"--traffic {item!r}: a weight is a number of at least 0.")
    return weights


def _plain(made: Plan) -> dict[str, Any]:
    return {
        "devices": [asdict(device) for device in made.machine.devices],
        "experts": [
            {
                "id": seat.demand.expert,
                "state": seat.state.value,
                "devices": seat.devices,
                "weight_bytes": seat.demand.weights,
                "kv_bytes": seat.kv,
                "memory_share": seat.share,
                "traffic": seat.demand.traffic,
                "wait_s": seat.wait_s,
                "why": seat.why,
            }
            for seat in made.seats
        ],
        "wait_s": made.wait_s,
        "first_fit_wait_s": made.first_fit_wait_s,
        "gap": made.gap,
        "seconds": made.seconds,
    }


def _show(made: Plan) -> None:
    from rich.console import Console

    from motet.units import readable

    table = new_table()
    for title in ("expert", "state", "on"):
        table.add_column(title, overflow="fold")
    for title in ("weights", "keys+values", "of device"):
        table.add_column(title, justify="right")
    table.add_column("why", style="dim")
    for seat in made.seats:
        table.add_row(
            seat.demand.expert,
            seat.state.value,
            ", ".join(seat.devices),
            readable(seat.demand.weights),
            readable(seat.kv) if seat.devices else "",
            f"{seat.share:.0%}" if seat.devices else "",
            seat.why,
        )
    console = Console()
    console.print(table)
    proof = "proven best" if made.gap == 0 else f"at most {made.gap:.1%} above the best possible"
    text = f"A request waits {made.wait_s:.3g} s for its expert on average ({proof}"
    if made.first_fit_wait_s is not None:
        text += f"; first-fit decreasing {made.first_fit_wait_s:.3g} s"
    console.print(f"{text}). Planned in {made.seconds:.2f} s.")


def _show_adapters(advice: Sequence[Advice]) -> None:
    from rich.console import Console

    if not advice:
        return
    table = new_table()
    for title in ("adapter", "of", "best"):
        table.add_column(title, overflow="fold")
    table.add_column("why", style="dim")
    for each in advice:
        best = "share the engine"
        if each.merge:
            best = f"merge, on {each.device}" if each.device else "merge into the base"
        table.add_row(each.adapter, each.base, best, each.why)
    console = Console()
    console.print()
    console.print(table)
