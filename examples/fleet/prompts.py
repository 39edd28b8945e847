"""Write a file of prompts: `python examples/fleet/prompts.py SPLIT COUNT > prompts.jsonl`.

COUNT prompts of each task, for `motet table build`. Of the split `train`, the adapters learned from
seed 0; other seeds give other prompts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from tasks import TASKS, examples

MAX_TOKENS = 96
"""Room for every right answer; a model that rambles is cut there."""


def lines(split: str, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of prompts, task by task."""
    for task in TASKS:
        for example in examples(task, split, count, seed):
            yield {
                "query": example.prompt,
                "task": task,
                "grader": example.grader,
                "reference": example.reference,
                "max_tokens": MAX_TOKENS,
            }


def main() -> None:
    """Print the prompts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("split", choices=["train", "test"])
    parser.add_argument("count", type=int, help="prompts of each task")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for line in lines(args.split, args.count, args.seed):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
