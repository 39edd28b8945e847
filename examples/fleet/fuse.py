"""Fuse specialists of the fleet and compare: `python examples/fleet/fuse.py`.

SmolLM2 writes beside three of its adapters, on a mixed set of four tasks: each specialist's own,
and short questions that the base answers best. Trained on prompts of the committed table, which
says who was right; tested on others. Beside the fused answers stand those of each member, of a
router trained on the same prompts, of votes, of the base that reads the specialists' answers
(`text`, an aggregator), and of the base with LoRA of equal size, each with the operations it took;
the router's expert also answers as often as the fusion's operations allow. Everything goes to
`work/`. Needs `pip install 'motet[cpu,train,learned]'`.
"""

from __future__ import annotations

import os

# Before torch loads: threads that spin while they wait starve everything else on few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contestants import Way, agreed, orders, routed, sampled, trained_router, voted
from tasks import Example, examples

HERE = Path(__file__).parent
WORK = HERE / "work"
CONFIG = HERE.parents[1] / "experts.yaml"
TASKS = ("arithmetic", "units", "triage", "chat")
MEMBERS = ("smollm", "arithmetic", "units", "triage")
MAX_TOKENS = 24
TABLE_SEED = 1
"""The seed of prompts.py with which the committed table was made."""


def main() -> None:
    """Make what is missing, evaluate, and write `work/results.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=40, help="of each task, to train on")
    parser.add_argument("--test", type=int, default=24, help="of each task, to test on")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    began = time.monotonic()
    right, best = who_was_right()
    train = [(t, e) for t in TASKS for e in examples(t, "train", args.prompts, TABLE_SEED)]
    if unknown := [e for _, e in train if e.prompt not in right]:
        most = args.prompts - len(unknown) // len(TASKS)
        parser.error(f"--prompts is {args.prompts}, but the table has {most} of each task")
    test = [(t, e) for t in TASKS for e in examples(t, "test", args.test, args.seed + 3)]
    write(WORK / "train.jsonl", (line(t, e) | {"right": right[e.prompt]} for t, e in train))
    write(WORK / "test.jsonl", (line(t, e) for t, e in test))
    out = str(WORK / "fusion")
    command = ["train", str(CONFIG), "--experts", ",".join(MEMBERS), "--primaries", "smollm"]
    command += ["--peers", "3", "--data", str(WORK / "train.jsonl"), "--out", out, "--lora"]
    motet("fuse", *command, "--steps", str(args.steps), "--seed", str(args.seed))
    command = ["eval", out, "--config", str(CONFIG), "--data", str(WORK / "test.jsonl")]
    found = json.loads(motet("fuse", *command, "--max-tokens", str(MAX_TOKENS), "--json"))
    ways = contestants(found, train, test, best, args.seed)
    results = compare(ways, test, args.seed) | {"prompts": args.prompts, "steps": args.steps}
    results["minutes"] = (time.monotonic() - began) / 60
    (WORK / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


def who_was_right() -> tuple[dict[str, dict[str, bool]], dict[str, str]]:
    """Return who was right by prompt, and the best member of each task, on the table."""
    from motet import tables

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


def contestants(
    found: dict[str, Any],
    train: Sequence[tuple[str, Example]],
    test: Sequence[tuple[str, Example]],
    best: dict[str, str],
    seed: int,
) -> dict[str, Way]:
    """Return every way to answer the test, fused ones among them."""
    ways = {
        {"alone": "smollm"}.get(way, way): Way(texts, found["flops"][way])
        for way, texts in found["answers"].items()
    }
    router = trained_router(HERE / "table.parquet", MEMBERS, [e.prompt for _, e in train], seed)
    ranked = orders(router, [example.prompt for _, example in test])
    first = [order[0] for order in ranked]
    data = WORK / "test.jsonl"
    drawn = sampled(WORK / "fusion", CONFIG, first, data, MAX_TOKENS, seed)
    count, consistent = agreed(drawn, ways["fused"].gflops)
    return {
        **ways,
        "routed by task": routed(ways, [best[task] for task, _ in test]),
        "routed": routed(ways, first),
        f"routed, vote of {count} samples": consistent,
        "vote of the router's 2": voted(ways, [order[:2] for order in ranked]),
        "vote of the router's 3": voted(ways, [order[:3] for order in ranked]),
        "vote of the 4": voted(ways, [MEMBERS] * len(test)),
    }


def compare(ways: dict[str, Way], test: Sequence[tuple[str, Example]], seed: int) -> dict[str, Any]:
    """Return accuracy and compute of every way, and how far the fused answers are from each."""
    from dataclasses import asdict

    from motet.fusion.data import read_examples
    from motet.fusion.evaluate import difference, grades

    asked = read_examples(WORK / "test.jsonl", MEMBERS)
    scores = {name: grades(asked, way.texts) for name, way in ways.items()}
    of_task = {task: [n for n, (own, _) in enumerate(test) if own == task] for task in TASKS}
    return {
        "accuracy": {name: 100 * sum(of) / len(of) for name, of in scores.items()},
        "by_task": {
            name: {
                task: 100 * sum(of[n] for n in rows) / len(rows) for task, rows in of_task.items()
            }
            for name, of in scores.items()
        },
        "gflops": {name: way.gflops for name, way in ways.items()},
        "fused_less": {
            name: asdict(difference(scores["fused"], of, seed=seed))
            for name, of in scores.items()
            if name != "fused"
        },
        "questions": len(test),
        "seed": seed,
    }


if __name__ == "__main__":
    main()
