"""Votes, cascades and rankers on recorded answers, cross-validated, beside their controls.

`--data` names a folder with `zeroeval/train.parquet`, `alpaca_eval/train.parquet` and a
`pools.json` beside each: lists of experts by name. Nothing of it is kept in the result but figures.
Every figure is of questions that were not learned from: five folds, the search for a cascade inside
them, tasks told from the queries. Figures: accuracy (mean over tasks, in points) and USD per 1,000
questions of a vote of everybody, and of cascades fitted to the accuracy and to the cost of the best
single expert; pairs in the right order and the mean score of the pick of rankers; with 95%
intervals (bootstrap over questions). Controls: best single, oracle; longest text, best author.

Run as `python benchmarks/recorded.py --data FOLDER [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from _common import console, finish, machine, markdown, parser, versions
from motet.errors import TableError
from motet.lab.compositions.ballots import Aim, cross_validated_vote, fit_cascade
from motet.lab.compositions.outcome import Replies, best_single, controls, figures
from motet.lab.compositions.ranking import cross_validated_ranker, ranking_figures
from motet.lab.routers.bootstrap import Figure
from motet.progress import silent
from motet.tables import Recorded, read_recorded

Row = tuple[str, str, Figure, Figure | None]
"""What, in which pool, its accuracy or score, and its cost or pairs."""
HEAD = ["method", "pool", "accuracy or score", "95%", "USD per 1,000 or pairs right", "95%"]
ACCURACY, COST = "accuracy_mean_over_tasks", "cost_per_thousand_questions"


def judged(name: str, pool: str, table: Recorded, said: Replies, seed: int) -> Row:
    """Return a row of an outcome."""
    found = figures(table.routing, [said], seed)
    prefix = f"{said.name}_" if said.name else ""
    return name, pool, found[prefix + ACCURACY], found[prefix + COST]


def answered(folder: Path, pools: list[str], seed: int) -> Iterator[Row]:
    """Yield votes and cascades over short answers."""
    lists = json.loads((folder / "pools.json").read_text())
    for pool in pools:
        table = read_recorded(folder / "train.parquet", lists[pool], needs=("answer",))
        for control in controls(table.routing):
            yield judged(control.name.replace("_", " "), pool, table, control, seed)
        yield judged("vote", pool, table, cross_validated_vote(table, seed=seed), seed)
        try:
            _, points, chosen = fit_cascade(table, Aim("accuracy"), seed=seed, progress=silent)
        except TableError as error:
            console.print(f"{pool}: {error}")
            continue
        single = best_single(table.routing)
        assert table.routing.costs is not None and chosen.outcome is not None
        paid = float(table.routing.costs[:, single].mean())
        within = [point for point in points if point.cost <= paid]
        yield judged("cascade, single's accuracy", pool, table, chosen.outcome, seed)
        if within:
            best = max(within, key=lambda point: (point.smooth, -point.cost))
            assert best.outcome is not None
            yield judged("cascade, single's cost", pool, table, best.outcome, seed)


def ranked(folder: Path, seed: int) -> Iterator[Row]:
    """Yield rankers of texts."""
    pool = "with_text"
    lists = json.loads((folder / "pools.json").read_text())
    table = read_recorded(folder / "train.parquet", lists[pool], needs=("text",))
    single = best_single(table.routing)
    for known in (False, True):
        said = cross_validated_ranker(table, knows_authors=known, seed=seed)
        found = ranking_figures(table, said, single, seed)
        if not known:
            yield (
                "longest text",
                pool,
                found["longest_pick_score_mean"],
                found["longest_pairs_right"],
            )
            yield "best author", pool, found["best_single_pick_score_mean"], None
        name = f"ranker, author {'known' if known else 'hidden'}"
        yield name, pool, found["pick_score_mean"], found["pairs_right"]


def main() -> None:
    """Run the benchmark."""
    made = parser(__doc__)
    made.add_argument("--data", type=Path, required=True, help="the folder of recorded tables")
    arguments = made.parse_args()
    pools = ["small"] if arguments.quick else ["without_best", "small", "all"]
    began = time.perf_counter()
    rows, values = [], {}
    found = [
        *answered(arguments.data / "zeroeval", pools, arguments.seed),
        *ranked(arguments.data / "alpaca_eval", arguments.seed),
    ]
    for name, pool, first, second in found:
        is_ranking = pool == "with_text"
        shown = [name, pool, *_shown(first, 100), *_shown(second, 100 if is_ranking else 1)]
        rows.append(shown)
        key = f"{name}_{pool}".replace(", ", "_").replace(" ", "_").replace("'s", "")
        for kind, figure in (("score", first), ("pairs" if is_ranking else "usd", second)):
            if figure is not None and figure.value is not None:
                values[f"{key}_{kind}"] = round(figure.value, 4)
    table = Table(*HEAD)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    report = {
        "figures": values,
        "settings": {
            "seed": arguments.seed,
            "pools": ", ".join(pools),
            "folds": 5,
            "seconds": round(time.perf_counter() - began),
        },
        "machine": machine(),
        "versions": versions("motet", "numpy", "scikit-learn", "scipy"),
    }
    finish(arguments, "recorded", report, [markdown(HEAD, rows)])


def _shown(figure: Figure | None, scale: float) -> tuple[str, str]:
    if figure is None or figure.value is None or figure.low is None or figure.high is None:
        return "", ""
    bounds = f"{scale * figure.low:.2f} to {scale * figure.high:.2f}"
    return f"{scale * figure.value:.2f}", bounds


if __name__ == "__main__":
    main()
