"""`motet encoder`: expert encoders of domains, fitted on questions and their documents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from motet.cli.bars import progress_bar
from motet.cli.console import Json, command, new_table, print_json

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Expert encoders of domains."""


@app.command("fit")
@command
def fit(
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS", help="JSONL whose lines have domain, question and document."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where they are kept.")],
    encoder: Annotated[
        str | None,
        typer.Option(help="The base: a hub id, a folder or pypi:package; MiniLM if not given."),
    ] = None,
    together: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="One expert of all domains at once, a `fallback`."),
    ] = None,
    rank: Annotated[int, typer.Option(min=1, max=1024, help="Of each domain's map.")] = 32,
    centroids: Annotated[int, typer.Option(min=1, max=1024, help="Of each domain.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, max=10_000)] = 60,
    seed: Annotated[int, typer.Option(help="For every random choice.")] = 0,
    json: Json = False,
) -> None:
    """Fit an expert encoder to each domain, and centroids by which queries choose among them."""
    from motet.encoders.encoder import DEFAULT_ENCODER
    from motet.encoders.encoder import encoder as named
    from motet.lab.retrieval.data import read_pairs
    from motet.lab.retrieval.fit import FitOptions
    from motet.lab.retrieval.fit import fit as fitted

    pairs = read_pairs(questions)
    if together is not None:
        pairs = [replace(pair, domain=together) for pair in pairs]
    options = FitOptions(rank=rank, centroids=centroids, epochs=epochs, seed=seed)
    with progress_bar() as report:
        base = named(encoder or DEFAULT_ENCODER, report=report)
        made = fitted(pairs, base, options, report)
    digest = made.save(out)
    told = made.about["of"]
    if json:
        print_json({"artifact": str(out), "sha256": digest, "encoder": made.encoder, **made.about})
        return
    from rich.console import Console

    table = new_table()
    for title in ("domain", "questions", "nDCG@10 of the base", "of the expert", "of its map"):
        table.add_column(title)
    for name, said in told.items():
        share = f"{said['share']:.0%}"
        shown = (f"{said['ndcg_base']:.3f}", f"{said['ndcg']:.3f}", share)
        table.add_row(name, str(said["rows"]), *shown)
    Console().print(table)
    typer.secho("  on a fifth of the questions, by which the share was chosen", dim=True)
