"""`motet batch`: a file of requests, answered with each expert loaded as seldom as can be."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import ConfigOption, Json, command, new_table, print_json, run, setup_logs
from motet.errors import ConfigError

if TYPE_CHECKING:
    from motet.batch.from_file import BatchFiles, BatchReport, FileBatch
    from motet.batch.loading import Loader
    from motet.batch.outlook import Forecast
    from motet.composer.parts import Parts
    from motet.config import Document


class Order(StrEnum):
    """How a batch goes through its lines."""

    GROUPED = "grouped"
    ARRIVAL = "arrival"


@command
def batch(
    source: Annotated[
        Path, typer.Argument(help="JSON lines, OpenAI's Batch format.", metavar="IN")
    ],
    out: Annotated[Path, typer.Argument(help="Where the answers go.", metavar="OUT")],
    config: ConfigOption = "experts.yaml",
    model: Annotated[str | None, typer.Option(help="For bodies that name no model.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="What loaded experts may take together, such as 2GiB.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Lines that ask one expert at once.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Experts in this process, no Ray. Default if no vllm.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Run on the Ray at this address, or 'auto', with Ray Data.")
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(help="Where failed lines go; OUT with .errors by default.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be done, and stop.")
    ] = False,
    order: Annotated[
        Order, typer.Option(help="'arrival' goes line by line, to compare.")
    ] = Order.GROUPED,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew: forget kept answers, replace OUT.")
    ] = False,
    json: Json = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show logs.")] = False,
) -> None:
    """Answer a file of requests, grouped by expert.

    Every line is routed first. Then each expert is loaded once, as far as memory allows, answers
    its group and leaves. Decisions and answers are kept in OUT.state as they come: after an
    interruption of any kind the same command goes on where it was.
    """
    from motet.batch.from_file import BatchFiles, batch_from_file
    from motet.batch.run import Settings
    from motet.composer.assembly import assemble
    from motet.config import load

    setup_logs(verbose)
    document = load(config)
    parts = assemble(document)
    settings = Settings(_bytes(memory), concurrency, str(order))
    files = BatchFiles.of(source, out, errors)
    loader = _loader(document, parts, local=local, address=address)
    opened = batch_from_file(parts, files, loader, settings, model=model, fresh=fresh)
    try:
        plain = run(_answer(opened, files, plan_only=plan, shown=not json))
    except typer.Exit:
        typer.echo("Stopped; the same command goes on from here.", err=True)
        raise
    finally:
        parts.encoders.close()
    if json:
        print_json(plain)
    elif not plan:
        _show_report(plain)


async def _answer(
    opened: AbstractAsyncContextManager[FileBatch],
    files: BatchFiles,
    *,
    plan_only: bool,
    shown: bool,
) -> dict[str, Any]:
    """Plan and run, showing how far it is; return the report as plain JSON values."""
    async with opened as batch:
        with progress_bars() as bars:
            await batch.prepare(bars)
        if shown:
            _show_plan(batch.forecasts, batch.loads, batch.budget)
        if plan_only:
            return {"plan": [asdict(each) for each in batch.forecasts], "loads": batch.loads}
        with progress_bars() as bars:
            return _plain(await batch.run(bars), files)


def _plain(report: BatchReport, files: BatchFiles) -> dict[str, Any]:
    experts, seconds = report.experts, report.seconds
    tokens = sum(total.completion_tokens for total in experts)
    return {
        "out": str(files.out),
        "errors": str(files.errors) if report.failed else None,
        "lines": report.lines,
        "completed": report.completed,
        "failed": report.failed,
        "calls": sum(total.calls for total in experts),
        "prompt_tokens": sum(total.prompt_tokens for total in experts),
        "completion_tokens": tokens,
        "cost_usd": sum(total.cost_usd for total in experts),
        "loads": report.loads,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds, 3) if seconds else None,
        "experts": [asdict(total) for total in experts],
    }


def _bytes(text: str | None) -> int | None:
    from motet import units

    return None if text is None else units.option("--memory", text)


def _loader(document: Document, parts: Parts, *, local: bool, address: str | None) -> Loader:
    """Return where experts are loaded: in this process, on a local Ray, or on a cluster."""
    from motet.batch.loading import local_engines

    if local and address is not None:
        raise ConfigError("--local and --address exclude each other.")
    if address is not None:
        from motet.deploy.batch.data import RayDataLoader

        return RayDataLoader(document, parts.experts, address)
    needs_ray = any(expert.home == "vllm" for expert in parts.experts.values())
    if local or not needs_ray:
        return local_engines(parts.experts)
    from motet.deploy.batch.pools import PoolLoader

    return PoolLoader(document, parts.experts)


def _show_plan(forecasts: list[Forecast], loads: list[str], budget: int | None) -> None:
    """Print who is going to be asked how often, and what is loaded in which order."""
    from rich.console import Console

    from motet.units import mib

    if not forecasts:
        return
    table = new_table()
    table.add_column("expert", no_wrap=True)
    for title in ("calls", "memory", "loads"):
        table.add_column(title, justify="right")
    for each in forecasts:
        memory = "unknown" if each.bytes is None else mib(each.bytes) if each.bytes else "none"
        table.add_row(each.expert, str(each.calls), memory, str(each.loads))
    console = Console(stderr=True)
    console.print(table)
    within = "" if budget is None else f" within {mib(budget)}"
    if loads:
        console.print(f"Loads{within}: {', '.join(loads)}.", style="dim", highlight=False)


def _show_report(report: dict[str, Any]) -> None:
    """Print what was done and what it took."""
    typer.echo(
        f"{report['completed']} of {report['lines']} lines answered, {report['failed']} failed; "
        f"{report['calls']} expert calls, {report['loads']} loads."
    )
    rate = report["tokens_per_second"]
    typer.echo(
        f"{report['prompt_tokens']} tokens read, {report['completion_tokens']} written"
        f"{f' at {rate:.1f} a second' if rate else ''}; "
        f"{report['seconds']:.1f} s, {report['cost_usd']:.6g} USD."
    )
    typer.echo(f"Wrote {report['out']}.")
    if report["errors"]:
        typer.echo(f"Failed lines are in {report['errors']}.")
