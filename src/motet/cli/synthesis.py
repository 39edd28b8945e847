"""`motet profile synthesis`: who writes the right answer from drafts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import ConfigPath, Json, Key, ServiceUrl, command, print_json, run

if TYPE_CHECKING:
    from motet.config import Document
    from motet.experts import Expert
    from motet.lab.tabulation import Prompt


@command
def synthesis(
    profile: Annotated[Path, typer.Argument(help="The skill profile that keeps the result.")],
    config: ConfigPath,
    prompts: Annotated[Path, typer.Argument(help="The prompts that the table was built from.")],
    table: Annotated[Path, typer.Argument(help="The table, with the experts' answers.")],
    experts: Annotated[
        str | None, typer.Option(help="Ask only these, parted by commas; else all.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Questions for each expert.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the questions and the order of drafts.")] = 0,
    url: ServiceUrl = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Test who writes the right answer from drafts, and keep the result in a profile.

    Every expert gets questions with one right and two wrong drafts, as they stand in the table;
    graders judge what it makes of them. The strategy `aggregate` takes the best as aggregator.
    Answers are kept beside the profile: after an interruption only what is missing is asked.
    """
    from motet.cli.served import caller, chosen, served
    from motet.composer.assembly import assemble
    from motet.config import load
    from motet.lab.tabulation import read_prompts, synthesis_prompts
    from motet.routers.skill.profile import Profile

    document = load(config)
    assemble(document)
    known = Profile.load(profile)
    names = chosen(document, experts)
    asked = synthesis_prompts(read_prompts(prompts), table, count=count, seed=seed)
    with served(document, url, names, key) as there:
        remote = {name: caller(document, name, there, key) for name in names}
        found = run(_ask(document, asked, remote, profile.with_suffix(".answers.jsonl")))
    known.model_copy(update={"synthesis": known.synthesis | found}).save(profile)
    if json:
        print_json({"profile": str(profile), "synthesis": found})
    else:
        _show(found, profile)


async def _ask(
    document: Document, prompts: Sequence[Prompt], experts: Mapping[str, Expert], kept: Path
) -> dict[str, tuple[int, int]]:
    """Return expert -> how many it wrote rightly, of how many."""
    from motet.cli.served import started
    from motet.lab.tabulation import AnswerLog, Tabulation, state_of

    entries = {entry.id: entry for entry in document.config.experts}
    states = {name: state_of(entries[name], document.folder) for name in experts}
    async with started(experts.values()):
        with AnswerLog(kept) as log, progress_bars() as report:
            tabulation = Tabulation(prompts, experts, states, log)
            await tabulation.run(report)
            scores = await tabulation.grade(report)
    return {name: (sum(s >= 1 for s in own), len(own)) for name, own in scores.items()}


def _show(found: Mapping[str, tuple[int, int]], profile: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("expert", "right", "of", box=None, header_style="bold", pad_edge=False)
    for name, (right, asked) in sorted(found.items(), key=lambda item: -item[1][0]):
        table.add_row(name, str(right), str(asked))
    Console().print(table)
    typer.echo(f"Wrote {profile}.")
