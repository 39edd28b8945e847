"""`motet vote` and `motet cascade`: fitted on recorded answers, and judged on others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from motet.cli.bars import progress_bar
from motet.cli.console import Json, command, new_table, print_json
from motet.errors import ConfigError

if TYPE_CHECKING:
    from motet.lab.compositions.ballots import Aim
    from motet.lab.compositions.outcome import Replies
    from motet.lab.routers.bootstrap import Figure
    from motet.tables.recorded import Recorded

vote = typer.Typer(no_args_is_help=True)
cascade = typer.Typer(no_args_is_help=True)

TablePath = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A recorded table: .parquet, .csv or .jsonl.")
]
FittedPath = Annotated[Path, typer.Argument(metavar="DIR", help="What `fit` wrote.")]
Pool = Annotated[
    str | None,
    typer.Option(metavar="FILE:NAME", help="A list of experts in a JSON file; all if not given."),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where it is kept.")]
Seed = Annotated[int, typer.Option(help="For every random choice.")]
SINGLE = "best-single"


@vote.callback()
def _vote() -> None:
    """Votes fitted on recorded answers."""


@cascade.callback()
def _cascade() -> None:
    """Cascades fitted on recorded answers."""


@vote.command("fit")
@command
def fit_vote(
    table: TablePath, out: Out, pool: Pool = None, seed: Seed = 0, json: Json = False
) -> None:
    """Learn how much each expert's answer counts, by task; cross-validated on the way."""
    from motet.lab.compositions.ballots import cross_validated_vote
    from motet.lab.compositions.ballots import fit_vote as fitted
    from motet.lab.compositions.outcome import figures, figures_json
    from motet.tables.recorded import read_recorded

    with progress_bar() as report:
        data = read_recorded(table, pool_of(pool), needs=("answer",))
        held_out = cross_validated_vote(data, seed=seed, progress=report)
        report("fitting", 0, 0)
        made = fitted(data, seed=seed)
    said = figures(data.routing, [held_out], seed)
    facts = facts_of(data, seed) | {"cross_validated": figures_json(said)}
    cover = made.save(out, "vote", facts)
    told = {"artifact": str(out), "version": cover.version, **cover.fitted, **cover.facts}
    if json:
        print_json(told)
        return
    typer.echo(f"A vote of {len(data.experts)} experts, fitted on {len(data):,} questions: {out}")
    show("cross-validated", said)
    typer.secho(f"  Judge it on other questions: motet vote eval {out} TABLE", dim=True)


@vote.command("eval")
@command
def eval_vote(artifact: FittedPath, table: TablePath, seed: Seed = 0, json: Json = False) -> None:
    """Judge a fitted vote on questions it has not seen."""
    _judge("vote", artifact, table, seed, json)


@cascade.command("fit")
@command
def fit_cascade(
    table: TablePath,
    out: Out,
    pool: Pool = None,
    target_accuracy: Annotated[
        str | None,
        typer.Option(
            metavar="best-single|X", help="Least cost at this accuracy, a mean over tasks."
        ),
    ] = None,
    target_cost: Annotated[
        str | None,
        typer.Option(metavar="best-single|USD", help="Most accuracy within this cost a question."),
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0, max=0.2, help="Accuracy above the target to ask for.")
    ] = 0.0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Learn whom to ask in turn, and when an answer is good enough."""
    from motet.lab.compositions.ballots import fit_cascade as fitted
    from motet.tables.recorded import read_recorded

    aim = _aim(target_accuracy, target_cost, margin)
    with progress_bar() as report:
        data = read_recorded(table, pool_of(pool), needs=("answer",))
        made, points, chosen = fitted(data, aim, seed=seed, progress=report)
    seen = [
        {"lam": p.lam, "accuracy": p.accuracy, "cost": p.cost, "smooth": p.smooth} for p in points
    ]
    facts = facts_of(data, seed) | {
        "target": aim.kind,
        "value": aim.value,
        "margin": aim.margin,
        "lam": chosen.lam,
        "cross_validated": {"accuracy": chosen.accuracy, "cost": chosen.cost},
        "prices": seen,
    }
    cover = made.save(out, "cascade", facts)
    if json:
        print_json({"artifact": str(out), "version": cover.version, **cover.fitted, **cover.facts})
        return
    typer.echo(f"A cascade fitted on {len(data):,} questions: {out}")
    for course in cover.facts["courses"]:
        typer.echo(
            f"  {course['task'] or 'all'}: {' > '.join(course['experts'])}, "
            f"kept at {course['threshold']:.2f}"
        )
    typer.echo(
        f"  cross-validated: accuracy {chosen.accuracy:.4f} at {1000 * chosen.cost:.4g} USD per "
        "1,000 questions"
    )
    typer.secho(f"  Judge it on other questions: motet cascade eval {out} TABLE", dim=True)


@cascade.command("eval")
@command
def eval_cascade(
    artifact: FittedPath, table: TablePath, seed: Seed = 0, json: Json = False
) -> None:
    """Judge a fitted cascade on questions it has not seen."""
    _judge("cascade", artifact, table, seed, json)


def pool_of(text: str | None) -> tuple[str, ...] | None:
    """Return the experts of `FILE:NAME`, None where nothing is named.

    Raises
    ------
    ConfigError
        There is no such file or list.
    """
    import orjson

    from motet.files import read_text
    from motet.wording import did_you_mean

    if text is None:
        return None
    file, _, name = text.rpartition(":")
    if not file:
        raise ConfigError(f"--pool {text!r} is not FILE:NAME.")
    try:
        lists = orjson.loads(read_text(Path(file)))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--pool {file}: cannot be read as JSON: {error}") from error
    if not isinstance(lists, dict) or not isinstance(lists.get(name), list):
        known = list(lists) if isinstance(lists, dict) else []
        raise ConfigError(f"--pool {file}: no list {name!r}. {did_you_mean(name, known)}")
    names = [str(each) for each in lists[name]]
    if len(set(names)) < len(names) or not names:
        raise ConfigError(f"--pool {file}: {name!r} must name experts, each once.")
    return tuple(names)


def facts_of(data: Recorded, seed: int) -> dict[str, Any]:
    """Return what an artifact notes of the table that it was fitted on."""
    from motet.lab.compositions.outcome import best_single

    table = data.routing
    return {
        "table": table.name,
        "table_sha256": table.digest,
        "rows": len(table),
        "seed": seed,
        "best_single": data.experts[best_single(table)],
    }


def show(title: str, said: dict[str, Figure]) -> None:
    """Print figures with their intervals."""
    from rich.console import Console

    table = new_table("figure", title=title)
    for name in ("value", "low", "high"):
        table.add_column(name, justify="right")
    for name, figure in said.items():
        values = (figure.value, figure.low, figure.high)
        table.add_row(name, *("" if value is None else f"{value:.5g}" for value in values))
    Console().print(table)
    typer.secho("95% intervals: bootstrap over questions.", dim=True)


def _judge(
    kind: Literal["vote", "cascade"], artifact: Path, path: Path, seed: int, json: bool
) -> None:
    from motet.composer.fitted import folder
    from motet.composer.fitted.ballots import FittedBallots
    from motet.lab.compositions.ballots import outcome
    from motet.lab.compositions.outcome import controls, figures, figures_json
    from motet.tables.recorded import read_recorded

    with progress_bar() as report:
        fitted = FittedBallots.load(artifact, kind)
        cover = folder.read_cover(artifact, kind)
        data = read_recorded(path, fitted.experts, needs=("answer",))
        report("judging", 0, 0)
        named = cover.fitted.get("best_single")
        best = fitted.experts.index(named) if named in fitted.experts else None
        judged: list[Replies] = [outcome(fitted, data), *controls(data.routing, best)]
        said = figures(data.routing, judged, seed)
    if json:
        print_json(
            {
                "artifact": str(artifact),
                "kind": kind,
                "version": cover.version,
                "rows": len(data),
                "best_single": named,
                **figures_json(said),
            }
        )
        return
    show(f"{kind} on {len(data):,} questions", said)


def _aim(accuracy: str | None, cost: str | None, margin: float) -> Aim:
    from motet.lab.compositions.ballots import Aim

    if (accuracy is None) == (cost is None):
        raise ConfigError("give one of --target-accuracy and --target-cost.")
    text = accuracy if cost is None else cost
    assert text is not None
    kind: Literal["accuracy", "cost"] = "accuracy" if cost is None else "cost"
    if text == SINGLE:
        return Aim(kind, None, margin)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < (1 if cost is None else 1e6):
        wanted = "a share from 0 to 1" if cost is None else "USD a question"
        raise ConfigError(f"--target-{kind} {text!r} is neither {SINGLE!r} nor {wanted}.")
    return Aim(kind, value, margin)
