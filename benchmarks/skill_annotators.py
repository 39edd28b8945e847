"""Annotators of the skill router beside their controls, cross-validated on routing tables.

For every table and fold a profile is built without the fold, and the fold's questions are given to
the first expert it recruits. Contestants differ in what names a question's skills:

- `lexical`: the text alone, as the router does it; `exact` never looks for a near keyword,
  `nearest` does for every unknown one, `untrimmed` is `exact` without trimming, `published` has
  Symbolic-MoE's counts and L*G, `sample` asks the expert that three draws name most often
- `expert`: an expert of a running service, where --url and --expert are given
- `task` (control): the table's own task is the one keyword, which no annotator is told
- `random` (control): a keyword of ten at random, which says nothing
- `ridge` (peer): a ridge regression on the query's embedding, with no skills at all

Run as `python benchmarks/skill_annotators.py --tables FILE [FILE ...] [--url URL --expert ID]
[--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
from rich.table import Table as Grid

from _common import console, finish, machine, markdown, parser, versions
from motet.cli.bars import progress_bar
from motet.encoders.encoder import Encoder, encoder
from motet.encoders.tables import embed
from motet.errors import MotetError
from motet.experts.wire.request import body_of
from motet.lab.routers.compare import cross_validate, folds
from motet.lab.routers.data import Data
from motet.lab.routers.metrics import Tasks
from motet.lab.routers.outcome import best_single
from motet.routers.skill import lexical
from motet.routers.skill.annotation import ExpertAnnotator
from motet.routers.skill.annotations import AnnotationLog, annotate_all
from motet.routers.skill.build import BuildOptions, build
from motet.routers.skill.matching import Matcher
from motet.routers.skill.profile import AnnotatorRecord, Counts, Profile
from motet.routers.skill.recruit import Recruit, recruit, standings, trimmed
from motet.tables.routing import Table, read
from motet.types import Request

FLOOR, TRIM = 0.6, 0.05
Words = Sequence[tuple[str, ...]]
Picks = np.ndarray
"""`[rows]`, the column of the expert that answers."""


class Vectors:
    """Embeddings of keywords, each computed once."""

    def __init__(self, encode: Encoder, words: Words) -> None:
        every = sorted({word for row in words for word in row})
        self._vectors = dict(zip(every, encode.encode(every), strict=True))

    async def embed(self, word: str) -> np.ndarray:
        """Return the vector of a keyword."""
        return self._vectors[word]


def skill_picks(
    table: Table,
    words: Words,
    fold_of_row: np.ndarray,
    *,
    vectors: Vectors | None = None,
    counts: Counts = "beta",
    how: Recruit = "top",
    sparing: bool = False,
    trim: float = TRIM,
) -> Picks:
    """Return whom the skill router would ask, each row by a profile without its fold."""
    chosen = np.zeros(len(table), int)
    for fold in range(int(fold_of_row.max()) + 1):
        known = np.flatnonzero(fold_of_row != fold)
        record = AnnotatorRecord(kind="lexical", digest="-")
        profile = build(
            table.take(known),
            [words[row] for row in known],
            record,
            options=BuildOptions(counts=counts),
        )
        rows = np.flatnonzero(fold_of_row == fold)
        matcher = Matcher(profile, vectors and vectors.embed, FLOOR, sparing=sparing)
        asked = _asked(profile, table, [words[row] for row in rows], matcher, counts, how, trim)
        chosen[rows] = asyncio.run(asked)
    return chosen


async def _asked(
    profile: Profile,
    table: Table,
    words: Words,
    matcher: Matcher,
    counts: Counts,
    how: Recruit,
    trim: float,
) -> list[int]:
    overall = profile.global_scores("published")
    fallback = max(profile.experts, key=profile.rate)
    least = trimmed(profile, trim)
    found = []
    for number, row in enumerate(words):
        matched = [match.keyword for match in await matcher.match(row)]
        expert = fallback
        if matched:
            ranked = standings(profile, matched, profile.experts, counts, overall)
            expert = next(iter(recruit(ranked, 3, how, least, Random(number))))
        found.append(table.experts.index(expert))
    return found


def contestants(
    table: Table, path: Path | None, encode: Encoder, asked: Words | None, count: int, seed: int
) -> dict[str, Picks]:
    """Return the picks of everyone, controls last."""
    assert table.queries is not None
    fold = folds(table, count, seed)
    random = Random(seed)
    words = [lexical.keywords(query) for query in table.queries]
    vectors = Vectors(encode, words)
    data = Data(table=table, embeddings=embed(path, table, encode), encoder=encode)
    ridge, _ = cross_validate(data, "ridge", {}, count=count, seed=seed)
    found = {
        "lexical": skill_picks(table, words, fold, vectors=vectors, sparing=True),
        "lexical untrimmed": skill_picks(table, words, fold, trim=0.0),
        "lexical exact": skill_picks(table, words, fold),
        "lexical nearest": skill_picks(table, words, fold, vectors=vectors),
        "lexical published": skill_picks(table, words, fold, counts="published"),
        "lexical sample": skill_picks(table, words, fold, how="sample"),
    }
    if asked is not None:
        found["expert"] = skill_picks(table, asked, fold, vectors=Vectors(encode, asked))
    drawn = [(f"word {random.randrange(10)}",) for _ in table.queries]
    return found | {
        "ridge": ridge.quality.argmax(axis=1),
        "task": skill_picks(table, [(f"task {task}"[:20],) for task in _numbered(table)], fold),
        "random": skill_picks(table, drawn, fold),
        "best single": np.full(len(table), best_single(table, Tasks.read(table.tasks))),
        "oracle": table.scores.argmax(axis=1),
    }


def _numbered(table: Table) -> list[str]:
    return [str(number) for number in Tasks.read(table.tasks).of]


def accuracy(table: Table, chosen: Picks) -> float:
    """Return the mean score over tasks, each counting the same."""
    scores = table.scores[np.arange(len(table)), chosen]
    return float((scores * Tasks.read(table.tasks).share).sum())


def milliseconds(table: Table) -> float:
    """Return the median time of a lexical annotation."""
    assert table.queries is not None
    taken = []
    for query in table.queries[:1000]:
        began = time.perf_counter()
        lexical.keywords(query)
        taken.append(time.perf_counter() - began)
    return 1000 * float(np.median(taken))


def ask_expert(table: Table, arguments: argparse.Namespace) -> Words:
    """Return the keywords that an expert of a running service names; kept beside the JSON."""
    assert table.queries is not None
    key = os.environ.get("MOTET_API_KEY")
    headers = {"authorization": f"Bearer {key}"} if key else {}

    async def ask(expert: str, request: Request) -> str:
        answer = await client.post("/v1/chat/completions", json=body_of(request, expert))
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["message"]["content"] or "")

    async def annotate() -> Words:
        annotator = ExpertAnnotator(arguments.expert, ask)
        file = Path(f"{table.name.replace('/', '-')}.{arguments.expert}.annotations.jsonl")
        with AnnotationLog(arguments.kept / file, annotator.digest) as log, progress_bar() as bar:
            found = await annotate_all(table.queries or (), annotator, log, bar, 2)
        return [annotation.keywords for annotation in found]

    client = httpx.AsyncClient(base_url=arguments.url, headers=headers, timeout=600)
    return asyncio.run(annotate())


def sample(table: Table, rows: int | None, seed: int) -> Table:
    """Return at most `rows` rows at random, in their order."""
    if rows is None or len(table) <= rows:
        return table
    chosen = np.random.default_rng(seed).choice(len(table), rows, replace=False)
    return table.take(np.sort(chosen))


def main() -> None:
    """Run the benchmark."""
    made = parser(__doc__)
    made.add_argument("--tables", type=Path, nargs="+", required=True, metavar="FILE")
    made.add_argument("--url", help="a running service, for an expert annotator")
    made.add_argument("--expert", metavar="ID", help="the expert of that service")
    made.add_argument("--kept", type=Path, default=Path(), metavar="FOLDER", help="annotations")
    made.add_argument("--rows", type=int, help="sample this many rows of each table")
    arguments = made.parse_args()
    if (arguments.url is None) != (arguments.expert is None):
        raise SystemExit("--url and --expert go together.")
    rows = arguments.rows or (2000 if arguments.quick else None)
    settings = {"folds": 3 if arguments.quick else 5, "rows at most": rows or "all"}
    settings |= {"seed": arguments.seed, "floor": FLOOR, "expert": arguments.expert or "none"}
    encode, figures, times = encoder(), {}, {}
    results: dict[str, Mapping[str, float]] = {}
    for path in arguments.tables:
        table = sample(read(path), rows, arguments.seed)
        asked = ask_expert(table, arguments) if arguments.url else None
        whole = path if rows is None else None  # stored vectors are of all rows
        picks = contestants(table, whole, encode, asked, settings["folds"], arguments.seed)
        results[table.name] = {name: accuracy(table, chosen) for name, chosen in picks.items()}
        times[table.name] = milliseconds(table)
        for name, value in results[table.name].items():
            figures[f"{table.name}_{name}_accuracy".replace(" ", "_")] = round(value, 4)
        figures[f"{table.name}_lexical_ms_p50"] = round(times[table.name], 4)
    head, body = _grid(results)
    grid = Grid(*head, box=None)
    for row in body:
        grid.add_row(*row)
    console.print(grid)
    report = {"figures": figures, "settings": settings, "machine": machine()}
    report["versions"] = versions("motet", "numpy", "scikit-learn")
    finish(arguments, "skill-annotators", report, [markdown(head, body)])


def _grid(results: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[list[Any]]]:
    """Return accuracies in points, tables as columns."""
    names = list(next(iter(results.values())))
    body = [[name, *(f"{100 * found[name]:.1f}" for found in results.values())] for name in names]
    return ["accuracy, mean over tasks (%)", *results], body


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except MotetError as error:
        raise SystemExit(str(error)) from None
