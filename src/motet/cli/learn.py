"""New experts made known to routers: what `motet apply --learn` and `motet experts learn` share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import new_table, plain, run
from motet.errors import ConfigError
from motet.files import read_text, write_text

if TYPE_CHECKING:
    from motet.config import Document
    from motet.lab.coldstart import Learned

Learn = Annotated[
    bool, typer.Option("--learn", help="Ask new experts, so that routers know whom to send what.")
]
Budget = Annotated[
    float | None,
    typer.Option(min=0, metavar="USD", help="What the answers may cost, with --learn."),
]
Seconds = Annotated[
    float | None, typer.Option("--learn-seconds", min=0, help="How long new experts are asked.")
]
Prompts = Annotated[
    int | None,
    typer.Option("--learn-prompts", min=10, help="How many each new expert is asked; 100."),
]
_APPLYING_S = 120.0
"""Seconds that the service has to load new versions: no expert starts anew."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What learning may take; see `motet.lab.coldstart.learn`."""

    prompts: int | None = None
    budget: float | None = None
    seconds: float | None = None


def learn_into(
    config: Path, service: tuple[str, str | None], bounds: Allowance, only: str | None = None
) -> Learned | None:
    """Let routers learn the experts that they do not know, and put that in place.

    The file is written once the service has taken the new versions. Returns None where routers
    know everybody.

    Parameters
    ----------
    config
        What the service runs.
    service
        Its URL, and a key that may change it.
    only
        The one expert to learn; all new ones when None.

    Raises
    ------
    ConfigError
        There is no such expert, it is disabled, or the file was changed by somebody else meanwhile.
    """
    from motet.cli import client
    from motet.cli.served import chosen
    from motet.config import load
    from motet.lab.coldstart import newcomers

    document = load(config)
    wanted = chosen(document, only)
    for entry in document.config.experts:
        if only is not None and entry.id in wanted and not entry.enabled:
            raise ConfigError(
                f"expert {entry.id!r} is disabled, so it cannot be asked.",
                hint=f"motet experts enable {entry.id}",
            )
    names = [name for name in newcomers(document) if name in wanted]
    if not names:
        return None
    learned = run(_asked(document, names, service, bounds))
    if learned.text == document.text:
        return learned
    if read_text(config) != document.text:
        raise ConfigError(
            f"{config} has changed while experts were asked, and is left as it is.",
            hint="Run the command again: what was answered is not asked again.",
        )
    url, key = service
    client.post(url, "/admin/config", {"config": learned.text}, key, patience_s=_APPLYING_S)
    write_text(config, learned.text)
    return learned


async def _asked(
    document: Document, names: list[str], service: tuple[str, str | None], bounds: Allowance
) -> Learned:
    from motet.cli.served import caller
    from motet.lab.coldstart import PROMPTS, learn
    from motet.lab.tabulation import Purse, started

    experts = {name: caller(document, name, *service) for name in names}
    usd, seconds = (
        math.inf if bound is None else bound for bound in (bounds.budget, bounds.seconds)
    )
    async with started(experts.values()):
        with progress_bars() as report:
            purse = Purse(usd, seconds)
            return await learn(
                document, experts, prompts=bounds.prompts or PROMPTS, purse=purse, report=report
            )


def show_learned(said: Learned | None) -> None:
    """Print what was learned."""
    from rich.console import Console

    console = Console(markup=False)
    if said is None:
        console.print("The routers know every expert.")
        return
    table = new_table()
    table.add_column("expert", no_wrap=True)
    table.add_column("router")
    for title in ("answers", "score", "leads"):
        table.add_column(title, justify="right")
    table.add_column("now", overflow="fold")
    for lesson in said.lessons:
        table.add_row(
            lesson.expert,
            ", ".join(lesson.routers),
            str(lesson.asked or ""),
            "" if lesson.score is None else f"{lesson.score:.2f}",
            "" if lesson.leads is None else f"{lesson.leads:.0%}",
            plain("; ".join(filter(None, (lesson.version, lesson.note)))),
        )
    console.print()
    console.print(table)
    console.print(f"The answers cost {said.cost_usd:.3g} USD.")


def told(said: Learned | None) -> dict[str, Any]:
    """Return the same as plain JSON values."""
    return {"cost_usd": 0.0, "lessons": []} if said is None else said.json()
