"""`motet rank`: rankers of texts, fitted on recorded answers and judged on others."""

from __future__ import annotations

from typing import Annotated

import typer

from motet.cli.bars import progress_bar
from motet.cli.console import Json, command, print_json
from motet.cli.fitted import FittedPath, Out, Pool, Seed, TablePath, facts_of, pool_of, show
from motet.errors import ConfigError

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _rank() -> None:
    """Rankers of texts fitted on recorded answers."""


@app.command("fit")
@command
def fit(
    table: TablePath,
    out: Out,
    pool: Pool = None,
    author: Annotated[
        str,
        typer.Option(metavar="hidden|known", help="Whether it is told who wrote a text."),
    ] = "hidden",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Learn which of several texts is better; cross-validated on the way."""
    from motet.lab.compositions.outcome import best_single, figures_json
    from motet.lab.compositions.ranking import cross_validated_ranker, fit_ranker, ranking_figures
    from motet.tables.recorded import read_recorded

    if author not in ("hidden", "known"):
        raise ConfigError(f"--author {author!r} is neither 'hidden' nor 'known'.")
    with progress_bar() as report:
        data = read_recorded(table, pool_of(pool), needs=("text",))
        known = author == "known"
        held_out = cross_validated_ranker(data, knows_authors=known, seed=seed, progress=report)
        report("fitting", 0, 0)
        made = fit_ranker(data, knows_authors=known, seed=seed)
    said = ranking_figures(data, held_out, best_single(data.routing), seed)
    cover = made.save(out, facts_of(data, seed) | {"cross_validated": figures_json(said)})
    if json:
        print_json({"artifact": str(out), "version": cover.version, **cover.fitted, **cover.facts})
        return
    typer.echo(f"A ranker, its authors {author}, fitted on {len(data):,} questions: {out}")
    show("cross-validated", said)
    typer.secho(f"  Judge it on other questions: motet rank eval {out} TABLE", dim=True)


@app.command("eval")
@command
def evaluate(artifact: FittedPath, table: TablePath, seed: Seed = 0, json: Json = False) -> None:
    """Judge a fitted ranker on questions it has not seen."""
    from motet.composer.fitted import folder
    from motet.composer.fitted.ranking import FittedRanker
    from motet.lab.compositions.outcome import figures_json
    from motet.lab.compositions.ranking import ranked, ranking_figures
    from motet.tables.recorded import read_recorded

    with progress_bar() as report:
        ranker = FittedRanker.load(artifact)
        cover = folder.read_cover(artifact, "rank")
        data = read_recorded(table, ranker.experts, needs=("text",))
        report("judging", 0, 0)
        best = ranker.experts.index(cover.fitted["best_single"])
        said = ranking_figures(data, ranked(ranker, data), best, seed)
    if json:
        print_json(
            {
                "artifact": str(artifact),
                "kind": "rank",
                "version": cover.version,
                "author": cover.facts["author"],
                "rows": len(data),
                "best_single": cover.fitted["best_single"],
                **figures_json(said),
            }
        )
        return
    show(f"rank on {len(data):,} questions", said)
