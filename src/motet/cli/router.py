"""`motet router`: train routers on tables, judge them, and see why they decide."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motet.cli import router_output
from motet.cli.bars import progress_bar
from motet.cli.console import Json, command, print_json
from motet.errors import ConfigError

app = typer.Typer(no_args_is_help=True)

TablePath = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A routing table: .parquet, .csv or .jsonl.")
]
ArtifactPath = Annotated[Path, typer.Argument(metavar="DIR", help="A trained router.")]
Seed = Annotated[int, typer.Option(help="For every random choice.")]
EncoderName = Annotated[
    str | None,
    typer.Option("--encoder", help="A hub id, a folder or pypi:package; MiniLM if not given."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="OPTION=VALUE", help="A hyperparameter; repeat for more."),
]
Page = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write one HTML page here.")
]
Plots = Annotated[
    Path | None, typer.Option("--plots", metavar="DIR", help="Write the pictures here, as PNG.")
]


@app.command("train")
@command
def train(
    table: TablePath,
    kind: Annotated[str, typer.Option(help="The kind of router.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the router is kept.")],
    encoder: EncoderName = None,
    options: Options = None,
    seed: Seed = 0,
    target_cost: Annotated[
        float | None,
        typer.Option(metavar="USD", help="Mean cost of an answer that decisions shall keep to."),
    ] = None,
    target_share: Annotated[
        str | None,
        typer.Option(metavar="EXPERT=SHARE", help="Share of calls an expert shall get."),
    ] = None,
    json: Json = False,
) -> None:
    """Fit a router on a table and keep it in a folder."""
    from motet.lab.routers.data import read_data
    from motet.lab.routers.kinds import canonical
    from motet.lab.routers.training import Target
    from motet.lab.routers.training import train as trained

    kind, target = canonical(kind), Target(target_cost, _share(target_share))
    values = dict(_option(text) for text in options or ())
    with progress_bar() as report:
        data = read_data(table, {kind: values}, encoder, report)
        made, seconds = trained(data, kind, values, seed=seed, target=target, progress=report)
        made.save(out)
    facts = {
        "artifact": str(out),
        "kind": kind,
        "rows": len(data.table),
        "rows_left_out": data.table.left_out,
        "experts": list(made.experts),
        "encoder": made.manifest.encoder.name if made.manifest.encoder else None,
        "options": made.manifest.options,
        "lambda": made.terms.lam,
        "fit_seconds": round(seconds, 3),
    }
    if json:
        print_json(facts)
        return
    typer.secho(f"{kind}", bold=True, nl=False)
    typer.echo(f" fitted on {len(data.table):,} rows, {len(made.experts)} experts: {out}")
    typer.echo(f"  {seconds:.1f} s, lambda {made.terms.lam:g}")
    if data.table.left_out:
        typer.echo(f"  {data.table.left_out} rows without a score were left out")
    typer.secho(f"  Judge it on other queries: motet router eval {out} TABLE", dim=True)


@app.command("eval")
@command
def evaluate(
    artifact: ArtifactPath,
    table: TablePath,
    seed: Seed = 0,
    promote: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Copy the router here if it beats the best single expert with 95% confidence; "
            "else exit with status 1.",
        ),
    ] = None,
    report_file: Page = None,
    plots: Plots = None,
    json: Json = False,
) -> None:
    """Judge a trained router on queries it has not seen."""
    from motet.lab.routers.data import data_for
    from motet.lab.routers.evaluate import evaluate as judged
    from motet.lab.routers.promotion import promote as promoted
    from motet.lab.routers.publish import publish
    from motet.lab.routers.report import judgement_json, table_json
    from motet.routers.learned.artifact import Artifact

    with progress_bar() as report:
        router = Artifact.load(artifact)
        data = data_for(router, table, report)
        said = judged(router, data.table, data.embeddings, seed=seed, progress=report)
        publish(said, page_file=report_file, folder=plots, progress=report)
    if json:
        print_json(
            {
                "artifact": str(artifact),
                "kind": router.kind,
                **judgement_json(said.routers[0]),
                **table_json(said),
            }
        )
    else:
        router_output.show(said)
    if promote is not None:
        promoted(router, said, promote)
        typer.secho(f"promoted to {promote}", err=True)


@app.command("compare")
@command
def compare(
    table: TablePath,
    kinds: Annotated[str, typer.Option(help="Kinds, separated by commas, or 'all'.")],
    test: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Judge on these rows; else by cross-validation."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Of the cross-validation.")] = 5,
    encoder: EncoderName = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KIND.OPTION=VALUE", help="A hyperparameter of one kind."),
    ] = None,
    seed: Seed = 0,
    report_file: Page = None,
    plots: Plots = None,
    json: Json = False,
) -> None:
    """Judge kinds of routers side by side, with the controls."""
    from motet.lab.routers.compare import Comparison
    from motet.lab.routers.compare import compare as compared
    from motet.lab.routers.data import read_data
    from motet.lab.routers.kinds import ALL, choose
    from motet.lab.routers.publish import publish
    from motet.lab.routers.report import judgement_json, table_json
    from motet.tables.routing import read

    by_kind = _options_by_kind(options or ())
    chosen, left_out = choose(kinds, read(table), by_kind)
    comparison = Comparison(
        kinds=chosen, folds=folds, seed=seed, left_out=left_out, all=kinds == ALL
    )
    with progress_bar() as report:
        data = read_data(table, chosen, encoder, report)
        other = None if test is None else read_data(test, chosen, encoder, report)
        said = compared(data, comparison, other, report)
        publish(said, page_file=report_file, folder=plots, progress=report)
    if json:
        print_json(
            {
                **table_json(said),
                "kinds": {judgement.name: judgement_json(judgement) for judgement in said.routers},
                "differences": [
                    {"of": one, "to": to, "value": f.value, "low": f.low, "high": f.high}
                    for (one, to), f in said.against.items()
                ],
            }
        )
        return
    router_output.show(said)


@app.command("explain")
@command
def explain(
    artifact: ArtifactPath,
    prompt: Annotated[str, typer.Argument(help="The user's message.")],
    json: Json = False,
) -> None:
    """Show which expert a trained router would choose for a prompt, and what led to it."""
    from motet.lab.routers.data import encoder_for
    from motet.lab.routers.explain import explanation
    from motet.routers.learned.artifact import Artifact

    with progress_bar() as report:
        router = Artifact.load(artifact)
        explained = explanation(router, prompt, encoder_for(router, report))
    if json:
        print_json(explained)
        return
    router_output.show_explanation(explained)


def _option(text: str) -> tuple[str, Any]:
    """Return the name and value of `name=value`.

    The value is read as YAML. One that names a `.csv` file stands for the mapping of its first
    column to its second, which is how sizes and prices are kept.
    """
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {text!r} is not OPTION=VALUE.")
    if value.endswith(".csv"):
        return name.strip(), _mapping(Path(value))
    try:
        return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: the value cannot be read: {error}") from error


def _mapping(path: Path) -> dict[str, str]:
    """Return the first two columns of a CSV file with a heading."""
    import csv
    import io

    from motet.files import read_text

    try:
        _, *rows = csv.reader(io.StringIO(read_text(path)))
        return {row[0]: row[1] for row in rows if row}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise ConfigError(f"{path} is not a CSV file of two columns: {error}.") from error


def _options_by_kind(texts: list[str] | tuple[str, ...]) -> dict[str, dict[str, Any]]:
    from motet.lab.routers.kinds import canonical

    by_kind: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, value = _option(text)
        kind, dot, option = name.partition(".")
        if not dot:
            raise ConfigError(f"--set {text!r} is not KIND.OPTION=VALUE.")
        by_kind.setdefault(canonical(kind), {})[option] = value
    return by_kind


def _share(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    expert, equals, share = text.rpartition("=")
    try:
        if not equals:
            raise ValueError
        return expert, float(share)
    except ValueError:
        raise ConfigError(
            f"--target-share {text!r} is not EXPERT=SHARE, such as gpt=0.3."
        ) from None
