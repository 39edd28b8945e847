"""Fuse specialists of the fleet and compare: `python examples/fleet/fuse.py`.

SmolLM2 writes beside three of its adapters, on a mixed set of four tasks: each specialist's own,
and short questions that the base answers best. Trained on prompts of the committed table, which
says who was right; tested on others. Beside the fused answers stand those of each member alone, of
the best expert of each task (routing by task, which knows more than a router does), of a majority
vote, and of the base that reads the specialists' answers (`text`, an aggregator). Everything goes
to `work/`. Needs `pip install 'motet[cpu,train,learned]'`.
"""

from __future__ import annotations

import os

# Before torch loads: threads that spin while they wait starve everything else on few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks import Example, examples

HERE = Path(__file__).parent
WORK = HERE / "work"
CONFIG = HERE.parents[1] / "experts.yaml"
TASKS = ("arithmetic", "units", "triage", "chat")
MEMBERS = ("smollm", "arithmetic", "units", "triage")
TABLE_SEED = 1
"""The seed of prompts.py with which the committed table was made."""


def main() -> None:
    """Make what is missing, evaluate, and write `work/results.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=24, help="of each task, to train on")
    parser.add_argument("--test", type=int, default=12, help="of each task, to test on")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    right, best = who_was_right()
    train = [(t, e) for t in TASKS for e in examples(t, "train", args.prompts, TABLE_SEED)]
    test = [(t, e) for t in TASKS for e in examples(t, "test", args.test, args.seed + 3)]
    write(WORK / "train.jsonl", (line(t, e) | {"right": right[e.prompt]} for t, e in train))
    write(WORK / "test.jsonl", (line(t, e) for t, e in test))
    out = str(WORK / "fusion")
    command = ["train", str(CONFIG), "--experts", ",".join(MEMBERS), "--primaries", "smollm"]
    command += ["--peers", "3", "--data", str(WORK / "train.jsonl"), "--out", out]
    motet("fuse", *command, "--steps", str(args.steps), "--seed", str(args.seed))
    command = ["eval", out, "--config", str(CONFIG), "--data", str(WORK / "test.jsonl")]
    found = json.loads(motet("fuse", *command, "--max-tokens", "24", "--json"))
    results = compare(found, test, best, args.seed)
    (WORK / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


def who_was_right() -> tuple[dict[str, dict[str, bool]], dict[str, str]]:
    """Return who was right by prompt, and the best member of each task, on the table."""
    from motet.routers import tables

    table = tables.read(HERE / "table.parquet")
    columns = [table.experts.index(name) for name in MEMBERS]
    own = table.scores[:, columns]
    right = {
        query: {name: bool(score >= 0.5) for name, score in zip(MEMBERS, row, strict=True)}
        for query, row in zip(table.queries, own, strict=True)
    }
    best = {}
    for task in TASKS:
        rows = [n for n, other in enumerate(table.tasks) if other == task]
        best[task] = MEMBERS[int(own[rows].mean(axis=0).argmax())]
    return right, best


def line(task: str, example: Example) -> dict[str, Any]:
    """Return an example as a line for `motet fuse`."""
    about = {"grader": example.grader, "reference": example.reference, "task": task}
    return {"query": example.prompt, "answer": example.answer, **about}


def write(path: Path, lines: Iterator[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))


def motet(*arguments: str) -> str:
    """Run a command of Motet's, its progress on this terminal; return what it prints."""
    command = [sys.executable, "-m", "motet.cli.main", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def compare(
    found: dict[str, Any], test: Sequence[tuple[str, Example]], best: dict[str, str], seed: int
) -> dict[str, Any]:
    """Return accuracies of every way, and how far the fused answers are from each, in points."""
    from dataclasses import asdict

    from motet.fusion.data import read_examples
    from motet.fusion.evaluate import difference, grades

    said = dict(found["answers"])
    said["smollm"] = said.pop("alone")
    said["routed by task"] = [said[best[task]][n] for n, (task, _) in enumerate(test)]
    said["vote"] = [majority([said[name][n] for name in MEMBERS]) for n in range(len(test))]
    asked = read_examples(WORK / "test.jsonl", MEMBERS)
    scores = {way: grades(asked, answers) for way, answers in said.items()}
    by_task = {
        way: {
            task: 100
            * sum(s for s, (own, _) in zip(of, test, strict=True) if own == task)
            / sum(own == task for own, _ in test)
            for task in TASKS
        }
        for way, of in scores.items()
    }
    return {
        "accuracy": {way: 100 * sum(of) / len(of) for way, of in scores.items()},
        "by_task": by_task,
        "fused_less": {
            way: asdict(difference(scores["fused"], of, seed=seed))
            for way, of in scores.items()
            if way != "fused"
        },
    }


def majority(answers: Sequence[str]) -> str:
    """Return the answer that most agree on, the base's where nobody agrees."""
    from motet.composer.ballot import normal

    votes = Counter(normal(answer, "auto") for answer in answers)
    return next(a for a in answers if votes[normal(a, "auto")] == max(votes.values()))


if __name__ == "__main__":
    main()
