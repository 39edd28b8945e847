"""`motet table`: routing tables from real runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import ConfigPath, Json, Key, ServiceUrl, command, new_table, print_json, run
from motet.errors import ConfigError

if TYPE_CHECKING:
    from motet.lab.tabulation import Totals

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Routing tables: what routers are trained and judged on."""


@app.command("build")
@command
def build(
    config: ConfigPath,
    prompts: Annotated[Path, typer.Argument(help="JSON lines: query, task, grader, reference.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    experts: Annotated[
        str | None, typer.Option(help="Ask only these, parted by commas; else all.")
    ] = None,
    grader: Annotated[str | None, typer.Option(help="For prompts that name no grader.")] = None,
    judge: Annotated[str | None, typer.Option(help="The expert behind the grader 'judge'.")] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Bound on answers of prompts that give none.")
    ] = 256,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Questions under way at once, over all experts.")
    ] = 16,
    url: ServiceUrl = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Ask every expert every prompt, grade the answers, and write a routing table.

    Answers are kept beside the table as they come: run the same command again after an
    interruption, a new expert or a changed one, and only what is missing is asked. Without --url
    the config is served for the time of the build.
    """
    from motet.cli.served import caller, chosen, served
    from motet.composer.assembly import assemble
    from motet.config import load
    from motet.lab.tabulation import read_prompts, tabulate

    document = load(config)
    assemble(document)  # every problem is told before anything starts
    names = chosen(document, experts)
    asked = {*names, *(chosen(document, judge) if judge else ())}
    if out.suffix != ".parquet":
        raise ConfigError(f"--out {out}: a table is written as Parquet, in a .parquet file.")

    rows = read_prompts(prompts, grader=grader, max_tokens=max_tokens, judge=judge is not None)
    with served(document, url, asked, key) as there:
        remote = {name: caller(document, name, there, key) for name in asked}
        with progress_bars() as report:
            work = tabulate(
                document,
                rows,
                {name: remote[name] for name in names},
                out,
                judge=remote[judge] if judge else None,
                concurrency=concurrency,
                progress=report,
            )
            totals = run(work)
    if json:
        print_json({"table": str(out), "totals": [asdict(total) for total in totals]})
    else:
        _show(totals, out)


def _show(totals: Sequence[Totals], out: Path) -> None:
    """Print scores by task and expert, then what an answer took."""
    from rich.console import Console

    tasks = list(dict.fromkeys(total.task for total in totals))
    table = new_table()
    table.add_column("expert", no_wrap=True)
    for task in tasks:
        # Names break before figures do: a narrow terminal shows every column.
        table.add_column(task or "score", justify="right", overflow="fold", min_width=4)
    for title in ("uUSD", "tokens", "seconds", "refused"):
        table.add_column(title, justify="right", style="dim", overflow="fold", min_width=4)
    for expert in dict.fromkeys(total.expert for total in totals):
        own = [total for total in totals if total.expert == expert]
        prompts = sum(total.prompts for total in own)

        def mean(field: str, own: list[Totals] = own, prompts: int = prompts) -> float:
            value: float = sum(getattr(t, field) * t.prompts for t in own) / prompts
            return value

        table.add_row(
            expert,
            *(f"{total.score:.2f}" for total in own),
            f"{1e6 * mean('cost_usd'):.3g}",
            f"{mean('tokens'):.0f}",
            f"{mean('latency_s'):.2f}",
            str(sum(total.refused for total in own)),
        )
    Console().print(table)
    typer.secho("Means of an answer; uUSD is a millionth of a dollar.", dim=True)
    typer.echo(f"Wrote {out}.")
