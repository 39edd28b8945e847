"""`motet batch`: a file of requests, answered with each expert loaded as seldom as can be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import ConfigOption, Json, command, print_json, run, setup_logs
from motet.errors import BatchError, ConfigError

if TYPE_CHECKING:
    from motet.batch.loading import Loader
    from motet.batch.outlook import Forecast
    from motet.batch.run import Settings
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
    from motet.batch.run import Settings
    from motet.composer.assembly import assemble
    from motet.config import load

    setup_logs(verbose)
    document = load(config)
    parts = assemble(document)
    settings = Settings(_bytes(memory), concurrency, str(order))
    paths = _Paths(source, out, errors or out.with_name(f"{out.stem}.errors{out.suffix}"))
    loader = _loader(document, parts, local=local, address=address)
    work = _Work(parts, paths, loader, settings, model, fresh=fresh, shown=not json)
    try:
        report = run(_answer(work, plan_only=plan))
    except typer.Exit:
        typer.echo("Stopped; the same command goes on from here.", err=True)
        raise
    finally:
        parts.encoders.close()
    if json:
        print_json(report)
    elif not plan:
        _show_report(report)


@dataclass(frozen=True, slots=True)
class _Paths:
    """The files of a batch."""

    source: Path
    out: Path
    errors: Path

    @property
    def state(self) -> Path:
        return self.out.with_name(f"{self.out.name}.state")


@dataclass(frozen=True, slots=True, kw_only=False)
class _Work:
    """What the command line asks for."""

    parts: Parts
    paths: _Paths
    loader: Loader
    settings: Settings
    model: str | None
    fresh: bool
    shown: bool


async def _answer(work: _Work, *, plan_only: bool) -> dict[str, Any]:
    """Plan and run; return the report as plain JSON values."""
    from motet.batch.facts import begin
    from motet.batch.lease import Lease
    from motet.batch.lines import InputFile, Rules
    from motet.batch.output import write_results
    from motet.batch.run import Batch
    from motet.batch.store import Store
    from motet.composer.pipeline import Pipeline
    from motet.experts.fleet import ReadyFleet

    paths = work.paths
    _check_out(paths, fresh=work.fresh)
    pipeline = Pipeline(work.parts, ReadyFleet(work.parts.experts.values()))
    with InputFile(paths.source) as source:
        async with Store(paths.state) as store:
            rules = Rules(model=work.model)
            job = await begin(store, "batch", work.parts.document, source, rules, fresh=work.fresh)
            async with Lease(store, job.id):
                with progress_bars() as bars:
                    args = (job, store, source, pipeline, work.loader, work.settings, bars)
                    batch = Batch(*args)
                    await batch.prepare()
                loads = batch.outlook.loads(batch.slots, work.settings.order)
                forecasts = batch.outlook.forecasts(loads)
                if work.shown:
                    _show_plan(forecasts, loads, batch.outlook.budget)
                if plan_only:
                    return {"plan": [asdict(f) for f in forecasts], "loads": loads}
                with progress_bars() as bars:
                    batch.report = bars
                    await batch.run()
                await write_results(store, job.id, paths.out, paths.errors)
                return await _report(store, job.id, paths)


async def _report(store: Any, job: str, paths: _Paths) -> dict[str, Any]:
    lines, completed, failed = await store.counts(job)
    totals = await store.totals(job)
    loads, seconds = await store.effort(job)
    tokens = sum(total.completion_tokens for total in totals)
    return {
        "out": str(paths.out),
        "errors": str(paths.errors) if failed else None,
        "lines": lines,
        "completed": completed,
        "failed": failed,
        "calls": sum(total.calls for total in totals),
        "prompt_tokens": sum(total.prompt_tokens for total in totals),
        "completion_tokens": tokens,
        "cost_usd": sum(total.cost_usd for total in totals),
        "loads": loads,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds, 3) if seconds else None,
        "experts": [asdict(total) for total in totals],
    }


def _check_out(paths: _Paths, *, fresh: bool) -> None:
    """Refuse to replace what this batch has not written."""
    for path in (paths.out, paths.errors):
        if not path.parent.is_dir():
            raise BatchError(f"{path}: there is no folder {path.parent}.")
    if len({path.resolve() for path in (paths.source, paths.out, paths.errors)}) < 3:
        raise BatchError("IN, OUT and the file of --errors must be three different files.")
    if paths.out.exists() and not paths.state.exists() and not fresh:
        raise BatchError(
            f"{paths.out} exists, and no batch is known that wrote it.",
            hint="Name another file, move it away, or replace it with --fresh.",
        )


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
    from rich.table import Table

    from motet.units import mib

    if not forecasts:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("expert", no_wrap=True)
    for title in ("calls", "memory", "loads"):
        table.add_column(title, justify="right")
    for found in forecasts:
        memory = "unknown" if found.bytes is None else mib(found.bytes) if found.bytes else "none"
        table.add_row(found.expert, str(found.calls), memory, str(found.loads))
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
