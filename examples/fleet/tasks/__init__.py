"""The fleet's tasks: each module makes checkable prompts from a seed, train and test disjoint.

A task module has `make(rng, split)`, which returns one `Example`. Every word list and every frame
of a task stands in two disjoint halves, one for each split, so that a test prompt shares neither
its wording nor its names with anything trained on.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tasks import arithmetic, chat, editor, extraction, regexes, sql, triage, units
from tasks.example import Example, Split

TASKS: dict[str, Callable[[random.Random, Split], Example]] = {
    "arithmetic": arithmetic.make,
    "units": units.make,
    "sql": sql.make,
    "extraction": extraction.make,
    "triage": triage.make,
    "regexes": regexes.make,
    "chat": chat.make,
}
"""Every task by name. `chat` is general conversation: it is measured, and no adapter learns it."""

SPECIALISTS = tuple(task for task in TASKS if task != "chat")
"""The tasks that have an adapter."""

ADAPTERS = (*SPECIALISTS, "editor")
"""All adapters; the editor's task is other experts' answers, so it is learned after them."""


def examples(task: str, split: Split, count: int, seed: int) -> list[Example]:
    """Return `count` different examples of a task; the same arguments give the same examples."""
    rng = random.Random(f"{task}/{split}/{seed}")
    found: dict[str, Example] = {}
    for _ in range(count * 50):
        example = (editor.make if task == "editor" else TASKS[task])(rng, split)
        found.setdefault(example.prompt, example)
        if len(found) == count:
            return list(found.values())
    raise ValueError(f"{task} has only {len(found)} different {split} prompts; {count} were asked")
