"""A new expert, asked a hundred prompts: what routers lose beside one trained on all its answers.

Recorded tables, so nothing is generated. Each expert of a table is held out in turn: a router is
trained on the others, the expert is added after its answers to `--prompts` rows of the training
half, and all is judged on the other half, every task counting the same. Regret is what a router
trained on all answers of all experts scores more, in points. The ways:

- chosen: rows of most information, and what they let expect of the rest (`motet apply --learn`);
- random: as many random rows, completed in the same way;
- random, bare: as many random rows, and nothing said of the rest;
- likeness: no answer at all; experts that are described alike stand for it, and where nobody is
  described, as in tables of others, the mean of all;
- without: it is not added.

Intervals are of the mean over experts and seeds, by a bootstrap over experts.

Run as `python benchmarks/coldstart.py --tables FOLDER [--quick] [--json FILE] [--out]`: FOLDER
holds `seven_llms/train.parquet` and the like. The shipped fleet's table is measured without it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from _common import console, finish, machine, markdown, parser, versions
from motet.config import load
from motet.encoders.encoder import DEFAULT_ENCODER, encoder
from motet.lab.coldstart import PROMPTS
from motet.lab.routers.data import Data, read_data
from motet.lab.routers.evaluate import queries_of
from motet.lab.routers.metrics import Tasks
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.coldstart import likeness
from motet.routers.learned.fit import train
from motet.routers.learned.newcomer import Newcomer

_ROOT = Path(__file__).parent.parent
_FLEET = "fleet"
_AUTO = ("stack", {"of": [{"kind": "categories"}, {"kind": "knn"}]})
_RIDGE: tuple[str, dict[str, Any]] = ("ridge", {})
_KINDS = {_FLEET: _AUTO, "seven_llms": _RIDGE, "eleven_llms_cost": _RIDGE}
_MOST_ROWS = 3000
_DRAWS = 2000
WAYS = ("chosen", "random", "random, bare", "likeness", "without")


@dataclass(frozen=True)
class World:
    """One table, parted in rows to learn from and rows to judge on."""

    name: str
    learn: Data
    judge: Data

    def artifact(self, experts: tuple[str, ...]) -> Artifact:
        """Return a router of this table's kind that knows these experts."""
        kind, options = _KINDS[self.name]
        table = self.learn.table.of(experts)
        return train(table, self.learn.embeddings, kind, options, self.learn.encoder)

    def score(self, artifact: Artifact) -> float:
        """Return the mean score of its choices, in points, every task counting the same."""
        table = self.judge.table.of(artifact.experts)
        estimate = artifact.estimate(queries_of(table, self.judge.embeddings))
        chosen = artifact.decide(estimate).chosen
        scores = table.scores[np.arange(len(table)), chosen]
        share = Tasks.read(table.tasks).share
        return 100 * float((scores * share).sum())


def worlds(data: Data, name: str, seeds: int, seed: int) -> Iterator[tuple[int, World]]:
    """Yield a table in halves, another way for each seed."""
    for number in range(seed, seed + seeds):
        rows = np.random.default_rng(number).permutation(len(data.table))[:_MOST_ROWS]
        half = len(rows) // 2
        yield number, World(name, data.take(np.sort(rows[:half])), data.take(np.sort(rows[half:])))


def regrets(
    world: World, described: Mapping[str, str], prompts: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the regret of each way for each expert that is held out."""
    everybody = world.learn.table.experts
    full = world.score(world.artifact(everybody))
    for expert in everybody:
        others = tuple(name for name in everybody if name != expert)
        before = world.artifact(others)
        row: dict[str, Any] = {"table": world.name, "expert": expert, "seed": seed, "full": full}
        for way, artifact in added(world, before, expert, described, prompts, seed).items():
            row[way] = full - world.score(artifact)
        yield row


def added(
    world: World,
    before: Artifact,
    expert: str,
    described: Mapping[str, str],
    prompts: int,
    seed: int,
) -> dict[str, Artifact]:
    """Return what a router is after a new expert has come, by way."""
    table, vectors = world.learn.table, world.learn.embeddings
    newcomer = Newcomer(table.of(before.experts), vectors)
    own = table.of([expert])
    chosen = newcomer.choose(prompts, seed=seed)
    drawn = np.random.default_rng(seed).permutation(len(table))[:prompts]
    bare = None if vectors is None else vectors[drawn]
    return {
        "chosen": before.add(expert, newcomer.complete(chosen, own.take(chosen)), vectors),
        "random": before.add(expert, newcomer.complete(drawn, own.take(drawn)), vectors),
        "random, bare": before.add(expert, own.take(drawn), bare),
        "likeness": before.add(expert, like=_like(expert, before.experts, described)),
        "without": before,
    }


def _like(
    expert: str, others: tuple[str, ...], described: Mapping[str, str]
) -> Mapping[str, float]:
    known = {name: described[name] for name in others if name in described}
    if expert not in described or not known:
        return {name: 1 / len(others) for name in others}
    return likeness(described[expert], known, encoder(DEFAULT_ENCODER))


def summary(rows: list[dict[str, Any]], seed: int) -> dict[str, float]:
    """Return means with their intervals, the worst expert's mean, and how many keep within 2."""
    figures: dict[str, float] = {}
    random = np.random.default_rng(seed)
    for name in dict.fromkeys(row["table"] for row in rows):
        own = [row for row in rows if row["table"] == name]
        experts = list(dict.fromkeys(row["expert"] for row in own))
        draws = random.integers(len(experts), size=(_DRAWS, len(experts)))
        figures[f"{name}_full"] = float(np.mean([row["full"] for row in own]))
        for way in WAYS:
            means = np.array(
                [np.mean([row[way] for row in own if row["expert"] == one]) for one in experts]
            )
            key = f"{name}_{way.replace(', ', '_')}"
            low, high = np.percentile(means[draws].mean(axis=1), [2.5, 97.5])
            figures |= {key: float(means.mean()), f"{key}_low": low, f"{key}_high": high}
            figures[f"{key}_worst"] = float(means.max())
            figures[f"{key}_within_2"] = float((means <= 2).mean())
    return {key: round(float(value), 3) for key, value in figures.items()}


def tables(args: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Yield the tables there are, by name."""
    yield _FLEET, _ROOT / "examples" / "fleet" / "table.parquet"
    for name in _KINDS:
        if args.tables is not None and name != _FLEET:
            yield name, args.tables / name / "train.parquet"


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--tables", type=Path, help="a folder of recorded tables")
    arguments.add_argument("--prompts", type=int, default=PROMPTS, help="asked of a new expert")
    args = arguments.parse_args()
    seeds = 1 if args.quick else 5
    shipped = load(_ROOT / "experts.yaml").config.experts
    described = {entry.id: entry.description for entry in shipped}
    rows: list[dict[str, Any]] = []
    began = time.perf_counter()
    for name, path in tables(args):
        kind, options = _KINDS[name]
        data = read_data(path, {kind: options})
        for number, world in worlds(data, name, seeds, args.seed):
            with console.status(f"{name}, seed {number} ..."):
                rows += regrets(world, described, args.prompts, number)
    figures = summary(rows, args.seed)
    for key, value in figures.items():
        console.print(f"{key} {value:.3f}")
    experts = [
        [name, expert, *(f"{np.mean([r[way] for r in own]):.2f}" for way in WAYS)]
        for name, expert in dict.fromkeys((row["table"], row["expert"]) for row in rows)
        if (own := [row for row in rows if (row["table"], row["expert"]) == (name, expert)])
    ]
    report = {
        "figures": figures,
        "rows": rows,
        "settings": {
            "prompts": args.prompts,
            "seeds": seeds,
            "seed": args.seed,
            "most rows": _MOST_ROWS,
            "kinds": ", ".join(f"{name}: {kind}" for name, (kind, _) in _KINDS.items()),
            "seconds": round(time.perf_counter() - began),
        },
        "machine": machine(),
        "versions": versions("motet", "numpy", "scikit-learn"),
    }
    head = ["table", "held out", *WAYS]
    finish(args, "coldstart", report, [f"## Regret in points\n\n{markdown(head, experts)}"])


if __name__ == "__main__":
    main()
