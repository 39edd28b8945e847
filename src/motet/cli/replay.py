"""`motet replay`: what would be decided now on what was decided then."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.console import ConfigOption, Json, command, new_table, plain, print_json, run
from motet.cli.moments import Since, moment
from motet.errors import ConfigError

if TYPE_CHECKING:
    from motet.config import Document
    from motet.service.replay import Replay, Replayed
    from motet.store.decisions import Wanted

_SHOWN = 12
"""Changes that are listed, the most frequent first."""
_WORDS = {"quality": "quality", "cost_usd": "USD an answer"}


@command
def replay(
    id: Annotated[
        str | None,
        typer.Argument(help="How a decision's id begins; without it all since.", metavar="[ID]"),
    ] = None,
    config: ConfigOption = "experts.yaml",
    since: Since = None,
    composition: Annotated[
        str | None, typer.Option(help="Only what was asked by this name.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 1000,
    other: Annotated[
        Path | None, typer.Option("--with", help="Another config that decides instead.")
    ] = None,
    artifact: Annotated[
        list[str] | None,
        typer.Option(metavar="ROUTER=DIR", help="What a router has learned instead; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Decide again on logged decisions, and show what would differ.

    Routers decide with what they had learned then, or with another config or artifact. Texts have
    to be kept: `store: {text: true}`.
    """
    from motet.config import load
    from motet.store.decisions import Wanted

    served = load(config)
    deciding = served if other is None else load(other)
    artifacts = dict(_named(text) for text in artifact or ())
    wanted = Wanted(since=moment("--since", since), composition=composition)
    said = run(_replayed(served, deciding, artifacts, wanted, (id, limit)))
    if json:
        print_json(said.json())
    elif id is not None and said.rows:
        _show_one(said.rows[0])
    else:
        _show(said)


async def _replayed(
    served: Document,
    deciding: Document,
    artifacts: dict[str, Path],
    wanted: Wanted,
    which: tuple[str | None, int],
) -> Replay:
    from motet.service.keeping import kept_by
    from motet.service.replay import replay as again
    from motet.store.decisions import DecisionRows

    id, limit = which
    async with kept_by(served) as database:
        kept = DecisionRows(database)
        rows = await kept.listing(wanted, limit) if id is None else [await kept.get(id)]
    return await again(rows, deciding, artifacts=artifacts, pinned=deciding is served)


def _named(text: str) -> tuple[str, Path]:
    router, equals, folder = text.partition("=")
    if not (equals and router and folder):
        raise ConfigError(f"--artifact {text!r} is not ROUTER=DIR, such as learned=routers/new.")
    return router, Path(folder)


def _show(said: Replay) -> None:
    """Print how many change, from whom to whom, and what is expected of it."""
    from rich.console import Console

    count, changed = len(said.rows), said.changed
    led = Counter((row.then[0], row.now[0]) for row in said.rows if row.then[0] != row.now[0])
    typer.echo(
        f"{count} decided again: {len(changed)} ask others, {led.total()} are led by another."
    )
    for why, times in said.skipped.items():
        typer.echo(f"{times} left out: {plain(why)}.")
    if led:
        table = new_table("then", "now")
        table.add_column("decisions", justify="right")
        for (then, now), times in led.most_common(_SHOWN):
            table.add_row(plain(then), plain(now), str(times))
        Console(markup=False).print(table)
    for name, means in said.expected().items():
        typer.echo(
            f"Expected {_WORDS[name]} now {means.now:.4g}, of those chosen then {means.then:.4g}; "
            f"means of the {means.decisions} decisions where both are known."
        )


def _show_one(row: Replayed) -> None:
    typer.echo(f"then: {plain(', '.join(row.then))}")
    typer.echo(f"now:  {plain(', '.join(row.now))}{' (the same)' if row.is_same else ''}")
    for name, now, then in (
        (_WORDS["quality"], row.quality, row.quality_then),
        (_WORDS["cost_usd"], row.cost_usd, row.cost_usd_then),
    ):
        if now is not None:
            before = "" if then is None else f", of {plain(row.then[0])} {then:.3g}"
            typer.echo(f"expected {name} {now:.3g}{before}")
    typer.echo(f"because: {plain(row.reason)}")
