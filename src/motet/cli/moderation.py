"""`motet moderation`: labels of judged texts, what ensembles have learned, and classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.bars import progress_bar
from motet.cli.console import ConfigOption, Json, command, new_table, print_json, run
from motet.errors import ConfigError

if TYPE_CHECKING:
    from motet.config import Document

app = typer.Typer(no_args_is_help=True)


@app.command("weights")
@command
def weights(config: ConfigOption = "experts.yaml", json: Json = False) -> None:
    """Show what every ensemble has learned: weights, losses, and regret within its bound."""
    from rich.console import Console

    from motet.config import load

    told = run(_reports(load(config)))
    if json:
        print_json(told)
        return
    if not told:
        typer.echo(f"{config} has no moderations.")
    for name, said in told.items():
        table = new_table("member", "weight", "loss", title=name, title_justify="left")
        for member, weight in said["weights"].items():
            table.add_row(member, f"{weight:.3f}", f"{said['losses'][member]:.2f}")
        Console().print(table)
        typer.echo(
            f"  {said['labels']} labels; the ensemble has lost {said['loss']:.2f}, its best member "
            f"in hindsight ({said['best']}) {said['losses'][said['best']]:.2f}: regret "
            f"{said['regret']:.2f}, at most {said['bound']:.2f}"
        )


@app.command("label")
@command
def label(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the answer, modr-...")],
    config: ConfigOption = "experts.yaml",
    index: Annotated[int, typer.Option(min=0, help="Which of its results.")] = 0,
    harmful: Annotated[
        list[str] | None, typer.Option("--is", metavar="CATEGORY", help="It is that; repeat.")
    ] = None,
    harmless: Annotated[
        list[str] | None, typer.Option("--is-not", metavar="CATEGORY", help="It is not; repeat.")
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="No category holds.")] = False,
    json: Json = False,
) -> None:
    """Say what a judged text is; a service that runs takes it within two seconds."""
    from motet.config import load

    said = {**dict.fromkeys(harmful or (), True), **dict.fromkeys(harmless or (), False)}
    if clean == bool(said):
        raise ConfigError("Say what it is: either --clean, or --is and --is-not CATEGORY.")
    told = run(_label(load(config), id, index, None if clean else said))
    if json:
        print_json(told)
        return
    shares = ", ".join(f"{name} {weight:.3f}" for name, weight in told["weights"].items())
    typer.echo(f"{told['moderation']} has learned: {shares}")
    typer.echo(f"  regret {told['regret']:.2f}, at most {told['bound']:.2f}")


@app.command("train")
@command
def train(
    texts: Annotated[
        Path, typer.Argument(metavar="TEXTS", help="JSONL whose lines have text and categories.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the classifier is kept.")],
    reads: Annotated[str, typer.Option(help="words, letters or meaning.")] = "meaning",
    test: Annotated[
        Path | None, typer.Option(metavar="TEXTS", help="Judge on these, best by other writers.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Whose vectors `meaning` reads; MiniLM if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Train a classifier, and judge it on texts that it has not read."""
    from motet.encoders.encoder import DEFAULT_ENCODER
    from motet.encoders.encoder import encoder as named
    from motet.lab.moderation.train import judge, read_samples
    from motet.lab.moderation.train import train as trained
    from motet.moderation.classifier import SHIPPED
    from motet.wording import did_you_mean

    if reads not in SHIPPED:
        raise ConfigError(f"--reads: no {reads!r}. {did_you_mean(reads, SHIPPED)}")
    samples = read_samples(texts)
    with progress_bar() as report:
        base = named(encoder or DEFAULT_ENCODER, report=report) if reads == "meaning" else None
        made = trained(samples, reads, encoder=base, report=report)
        judged = None if test is None else judge(made, read_samples(test), base)
        if judged is not None:
            made.card["unread"] = judged
        digest = made.save(out)
    if json:
        print_json({"artifact": str(out), "sha256": digest, **made.card})
        return
    typer.echo(
        f"{reads} trained on {len(samples):,} texts, {len(made.categories)} categories: {out}"
    )
    if judged is None:
        typer.secho("  Judge it on texts of others: --test TEXTS", dim=True)
    else:
        typer.echo(
            "  on texts it has not read: " + ", ".join(f"{n} {v}" for n, v in judged.items())
        )


async def _reports(document: Document) -> dict[str, dict[str, Any]]:
    from motet.service.keeping import kept_by
    from motet.service.labels import reports

    async with kept_by(document) as database:
        return await reports(database, document.config)


async def _label(
    document: Document, id: str, index: int, categories: dict[str, bool] | None
) -> dict[str, Any]:
    from motet.service.keeping import kept_by
    from motet.service.labels import label
    from motet.store.moderations import ModerationRows

    async with kept_by(document) as database:
        return await label(ModerationRows(database), document.config, id, index, categories)
