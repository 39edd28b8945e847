"""Learned routers on the shared tables, beside their controls and llmrouter-lib.

Every kind that a table has columns for is cross-validated on it: folds stratified by task, the
same for all, judged with a paired bootstrap. llmrouter-lib's kNN, SVM, MLP and MF learn from the
same folds of the same embeddings, in an environment of their own, with the options that their
documentation gives. `categories` is mapped on one half of its table under each budget and judged
on the other.

Fit times are those of the whole `seven_llms` table with its embeddings at hand, on two cores.
Decision times are of one query after its embedding, on one core, with 100,000 stored queries and
50 experts; of kinds that ask other kinds, the table of `seven_llms` shows them.

Run as `python benchmarks/routing.py --tables FOLDER [--quick] [--json FILE] [--pages DIR] [--out]`,
where FOLDER holds `seven_llms/train.parquet` and the others.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from _common import console, finish, machine, markdown, parser, peer, versions
from motet.encoders.encoder import Encoder, encoder
from motet.encoders.tables import embed
from motet.errors import MotetError
from motet.lab.routers import page, plots
from motet.lab.routers.compare import Comparison, compare, folds
from motet.lab.routers.controls import one_hot
from motet.lab.routers.data import Data
from motet.lab.routers.evaluate import evaluate, time_decisions
from motet.lab.routers.kinds import ALL, choose
from motet.lab.routers.outcome import TableOutcome
from motet.lab.routers.report import Judgement, Report, Timing
from motet.routers.learned import ESTIMATORS
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.base import Queries
from motet.routers.learned.fit import train
from motet.tables.routing import Table, read

LLMROUTER = "0.4.0"
TORCH = "2.13.0"
"""The same for both sides, and for the peer a build without CUDA where there is one."""
TABLES = ("seven_llms", "strong_weak", "eleven_llms_cost", "eighteen_llms_categories")
TIMED, CATEGORIES = "seven_llms", "eighteen_llms_categories"
BUDGETS = (20, 75, 110, 400)
"""Billions of parameters."""
STORED, EXPERTS, WIDTH = 100_000, 50, 384
_FEW = 2_000
Told = Callable[..., None]
"""Told of progress: a stage, how much of it is done, and its total."""
_HERE = Path(__file__).parent
_POINTS = 1e4
"""Figures are rounded to this many parts of one."""


def load(path: Path, encode: Encoder, report: Told) -> Data:
    """Return a table with the embeddings of its queries, where it has any."""
    table = read(path)
    if table.queries is None:
        return Data(table=table)
    return Data(table=table, embeddings=embed(path, table, encode, report), encoder=encode)


def rivals(data: Data, count: int, seed: int) -> list[tuple[TableOutcome, Timing]]:
    """Return what llmrouter-lib's routers do on the folds of a table."""
    assert data.embeddings is not None
    python = peer("llmrouter", LLMROUTER, "llmrouter-lib", f"torch=={TORCH}") / "python"
    with tempfile.TemporaryDirectory() as name:
        job, out = Path(name, "job.npz"), Path(name, "out.json")
        fold = folds(data.table, count, seed)
        parts = {"embeddings": data.embeddings, "scores": data.table.scores, "fold": fold}
        np.savez(job, **parts, seed=seed)
        # One thread: its networks are so small that two only wait for each other.
        env = {**os.environ, "OMP_NUM_THREADS": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        command = [python, "-W", "ignore", _HERE / "_llmrouter.py", job, out]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        if done.returncode:
            raise SystemExit(f"llmrouter-lib failed:\n{done.stderr[-2000:]}")
        found = json.loads(out.read_text())
    contestants = []
    for kind, result in found.items():
        calls = one_hot(np.array(result["chosen"]), len(data.table.experts))
        p50, p95 = np.quantile(result["decide"], [0.5, 0.95]) * 1000
        timing = Timing(fit_seconds=max(result["fit"]), decision_ms_p50=p50, decision_ms_p95=p95)
        contestants.append((TableOutcome(name=f"llmrouter-lib {kind}", calls=calls), timing))
    return contestants


def budgets(folder: Path) -> dict[str, float]:
    """Return accuracies, mean over queries, of `categories` under each budget."""
    learned, test = read(folder / "train.parquet"), read(folder / "test.parquet")
    lines = (folder / "parameters.csv").read_text().splitlines()[1:]
    sizes = {name: float(size) for name, size in (line.rsplit(",", 1) for line in lines)}
    found = {}
    for budget in BUDGETS:
        router = train(learned, None, "categories", {"sizes": sizes, "budget": budget})
        judged = evaluate(router, test, draws=2).of("categories")
        name = f"{CATEGORIES}_budget_{budget}_accuracy"
        found[name] = _value(judged, "accuracy_mean_over_queries")
    return found


def fit_times(data: Data, kinds: Mapping[str, Any], report: Told) -> dict[str, float]:
    """Return the seconds that each kind takes to learn a whole table."""
    found = {}
    for done, (kind, options) in enumerate(kinds.items()):
        report(f"fitting {kind} on all of {data.table.name}", done, len(kinds))
        began = time.perf_counter()
        train(data.table, data.embeddings, kind, options, data.encoder)
        found[kind] = time.perf_counter() - began
    return found


def many_queries(rows: int, seed: int) -> tuple[Table, np.ndarray]:
    """Return a table of made-up queries in clusters, with their vectors."""
    random = np.random.default_rng(seed)
    cluster = random.integers(256, size=rows)
    centres = random.normal(size=(256, WIDTH))
    vectors = centres[cluster] + random.normal(size=(rows, WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chances = random.random((256, EXPERTS))[cluster]
    table = Table(
        name=f"{rows} made-up queries",
        experts=tuple(f"expert-{number:02}" for number in range(EXPERTS)),
        scores=(random.random(chances.shape) < chances).astype(np.float32),
        tasks=tuple(f"task {number % 8}" for number in cluster),
        queries=tuple(f"query {row} of cluster {cluster[row]}" for row in range(rows)),
    )
    return table, vectors.astype(np.float32)


@contextmanager
def one_core() -> Iterator[None]:
    """Hold this process to one core and its libraries to one thread."""
    from threadpoolctl import threadpool_limits

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with threadpool_limits(1):
            yield
    finally:
        os.sched_setaffinity(0, cores)


def holds_others(kind: str) -> bool:
    """Return whether a kind asks other kinds; its decisions take as long as theirs together."""
    return "of" in ESTIMATORS.load(kind).Config.model_fields


def keeps_queries(router: Artifact, rows: int) -> bool:
    """Return whether a router that learned from so many rows holds something for each of them."""
    state = router.estimator.state()
    return any(name.endswith(".faiss") or len(part) == rows for name, part in state.items())


def decision_times(
    kinds: Mapping[str, Any], rows: int, encode: Encoder, seed: int, report: Told
) -> dict[str, float]:
    """Return the median milliseconds of a decision of each kind, on one core.

    Kinds that keep no queries decide as fast after few as after many, and learn from few.
    """
    few, many = many_queries(_FEW, seed), many_queries(rows, seed)
    asked, asked_vectors = many_queries(300, seed + 1)
    queries = Queries(embeddings=asked_vectors, texts=asked.queries, tasks=asked.tasks)
    found = {}
    for done, (kind, options) in enumerate(kinds.items()):
        report(f"deciding by {kind} among {rows:,} stored queries", done, len(kinds))
        router = train(*few, kind, options, encode)
        if keeps_queries(router, _FEW):
            router = train(*many, kind, options, encode)
        with one_core():
            timing = time_decisions(router, queries)
        assert timing.decision_ms_p50 is not None
        found[kind] = timing.decision_ms_p50
    return found


def times(data: Data, kinds: Mapping[str, Any], stored: int, report: Told) -> dict[str, float]:
    """Return the figures of fitting a whole table and of deciding."""
    assert data.encoder is not None
    fits = fit_times(data, kinds, report)
    alone = {kind: options for kind, options in kinds.items() if not holds_others(kind)}
    decisions = decision_times(alone, stored, data.encoder, 0, report)
    return {
        **{f"fit_seconds_{kind}": seconds for kind, seconds in fits.items()},
        "fit_seconds_max": max(fits.values()),
        **{f"decision_ms_p50_{kind}": ms for kind, ms in decisions.items()},
        "decision_ms_p50": max(decisions.values()),
    }


def figures_of(reports: Mapping[str, Report]) -> dict[str, float]:
    """Return the figures of every router on every table."""
    found = {}
    for table, report in reports.items():
        for judgement in report.routers:
            name = f"{table}_{judgement.name.replace(' ', '_')}"
            found[f"{name}_accuracy"] = _value(judgement, "accuracy_mean_over_tasks")
            if len(report.experts) == 2:
                found[f"{name}_apgr"] = _value(judgement, "apgr")
            ratio = judgement.figures["cost_ratio_at_best_single"].value
            if ratio is not None:
                found[f"{name}_cost_at_best_single"] = ratio
    return found


def _value(judgement: Judgement, name: str) -> float:
    value = judgement.figures[name].value
    assert value is not None, f"{judgement.name} has no {name}"
    return value


HEAD = [
    "contestant",
    "over tasks %",
    "95%",
    "gain",
    "95%",
    "APGR",
    "cost for best %",
    "fit s",
    "ms",
]


def rows_of(report: Report) -> Iterator[list[str]]:
    """Yield a report's contestants, controls last."""
    for judgement in chain(report.routers, report.controls):
        found = judgement.figures
        cells = []
        for name, form in (("accuracy_mean_over_tasks", ".1f"), ("gain_over_best_single", "+.1f")):
            figure = found[name]
            ends = (figure.value, figure.low, figure.high)
            value, low, high = ("" if end is None else f"{100 * end:{form}}" for end in ends)
            cells += [value, f"{low} to {high}"]
        apgr, ratio = found["apgr"].value, found["cost_ratio_at_best_single"].value
        cells += ["" if apgr is None else f"{apgr:.3f}", "" if ratio is None else f"{ratio:.0%}"]
        times = judgement.timing.fit_seconds, judgement.timing.decision_ms_p50
        cells += ["" if each is None else f"{each:.2f}" for each in times]
        yield [judgement.name + (" (control)" if judgement.control else ""), *cells]


def parts_of(reports: Mapping[str, Report]) -> Iterator[str]:
    """Yield the Markdown of the dated result."""
    for name, report in reports.items():
        yield f"## {name}\n"
        yield " ".join(page.summary(report)) + "\n"
        yield markdown(HEAD, rows_of(report))


def show(report: Report) -> None:
    """Print a report's contestants."""
    grid = Grid(*HEAD, title=report.table, box=None)
    for row in rows_of(report):
        grid.add_row(*row)
    console.print(grid)


def arguments_of() -> argparse.Namespace:
    """Return what the command line asks for."""
    made = parser(__doc__)
    made.add_argument("--tables", type=Path, required=True, metavar="FOLDER")
    made.add_argument("--pages", type=Path, metavar="DIR", help="write each HTML report here")
    made.add_argument(
        "--only",
        action="append",
        choices=TABLES,
        help="leave the other tables out; repeat for more",
    )
    made.add_argument("--kinds", default="all", help="compare these alone")
    made.add_argument("--skip-peer", action="store_true", help="leave llmrouter-lib out")
    return made.parse_args()


def run(
    arguments: argparse.Namespace, settings: Mapping[str, int], encode: Encoder, report: Told
) -> tuple[dict[str, Report], dict[str, float]]:
    """Return the report of each table, and every figure."""
    seed, reports, figures = settings["seed"], {}, {}
    for name in arguments.only or TABLES:
        told = partial(report, before=f"{name}: ")
        data = load(arguments.tables / name / "train.parquet", encode, told)
        kinds, left_out = choose(arguments.kinds, data.table, {})
        plan = Comparison(
            kinds=kinds,
            folds=settings["folds"],
            draws=settings["bootstrap draws"],
            seed=seed,
            left_out=left_out,
            all=arguments.kinds == ALL,
        )
        others = []
        if data.embeddings is not None and not arguments.skip_peer:
            told("llmrouter-lib learns and decides", 0, 0)
            others = rivals(data, plan.folds, seed)
        reports[name] = compare(data, plan, progress=told, others=others)
        show(reports[name])
        if name == CATEGORIES:
            figures |= budgets(arguments.tables / CATEGORIES)
        if name == TIMED:
            kinds = {kind: kinds[kind] for kind in kinds if kind in reports[name].names}
            figures |= times(data, kinds, settings["stored queries"], told)
    figures = figures_of(reports) | figures
    return reports, {name: round(value * _POINTS) / _POINTS for name, value in figures.items()}


def main() -> None:
    """Run the benchmark."""
    arguments, encode = arguments_of(), encoder()
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has room for whole lines
    settings = {
        "folds": 2 if arguments.quick else 5,
        "bootstrap draws": 500 if arguments.quick else 1000,
        "seed": arguments.seed,
        "stored queries": STORED // 5 if arguments.quick else STORED,
    }
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)

        def report(stage: str, done: float, total: float, before: str = "") -> None:
            bars.update(task, description=before + stage, completed=done, total=total or None)

        reports, figures = run(arguments, settings, encode, report)
    for name, value in figures.items():
        console.print(f"{name:60} {value:10.4f}")
    if arguments.pages:
        arguments.pages.mkdir(parents=True, exist_ok=True)
        for name, found in reports.items():
            text = page.page(found, plots.pictures(found))
            (arguments.pages / f"{name}.html").write_text(text, encoding="utf-8")
    more = {
        "experts of the stored queries": EXPERTS,
        "encoder": encode.name,
        "llmrouter-lib": "its KNNRouter, SVMRouter, MLPRouter and MFRouter with their trainers, "
        "options as documented, on these embeddings in place of Longformer's; its times leave out "
        "reading files",
    }
    known = versions("motet", "numpy", "scikit-learn", "faiss-cpu", "torch")
    result = {
        "figures": figures,
        "settings": settings | more,
        "machine": machine(),
        "versions": known | {"llmrouter-lib": LLMROUTER},
    }
    finish(arguments, "routing", result, parts_of(reports))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except MotetError as error:
        raise SystemExit(str(error)) from None
