"""`motet profile synthesis`: who writes the right answer from drafts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import ConfigPath, Json, Key, ServiceUrl, command, new_table, print_json, run


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
    from motet.lab.tabulation import read_prompts, synthesis_prompts, synthesis_results
    from motet.routers.skill.profile import Profile

    document = load(config)
    assemble(document)
    known = Profile.load(profile)
    names = chosen(document, experts)
    asked = synthesis_prompts(read_prompts(prompts), table, count=count, seed=seed)
    with served(document, url, names, key) as there:
        remote = {name: caller(document, name, there, key) for name in names}
        kept = profile.with_suffix(".answers.jsonl")
        with progress_bars() as report:
            results = run(synthesis_results(document, asked, remote, kept, report))
    known.with_synthesis(results).save(profile)
    if json:
        print_json({"profile": str(profile), "synthesis": results})
    else:
        _show(results, profile)


def _show(results: Mapping[str, tuple[int, int]], profile: Path) -> None:
    from rich.console import Console

    table = new_table("expert", "right", "of")
    for name, (right, asked) in sorted(results.items(), key=lambda item: -item[1][0]):
        table.add_row(name, str(right), str(asked))
    Console().print(table)
    typer.echo(f"Wrote {profile}.")
