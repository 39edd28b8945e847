"""A small table with a known truth: three experts, each the best at one kind of question."""

from types import SimpleNamespace

import numpy as np

from motet.lab.routers.data import Data
from motet.tables.routing import Table

EXPERTS = ("algebra", "poetry", "both")
TASKS = ("sums", "verses", "riddles")
ENCODER = SimpleNamespace(name="fake", digest="0" * 64)
"""What made `vectors`, as far as an artifact asks."""


def synthetic(rows=240, seed=0, costs=True, queries=True):
    """Scores by task with noise; the expert `both` is good at all and dear."""
    random = np.random.default_rng(seed)
    task = np.arange(rows) % len(TASKS)
    chances = np.array([[0.9, 0.1, 0.7], [0.1, 0.9, 0.7], [0.3, 0.3, 0.6]])[task]
    prices = np.array([0.001, 0.002, 0.01])
    words = ("add {} and {}", "a verse on {} and {}", "what has {} legs and {} heads")
    return Table(
        name="synthetic",
        experts=EXPERTS,
        scores=(random.random(chances.shape) < chances).astype(np.float32),
        tasks=tuple(TASKS[number] for number in task),
        queries=tuple(words[number].format(seed, row) for row, number in enumerate(task))
        if queries
        else None,
        costs=(prices * random.uniform(0.8, 1.2, chances.shape)).astype(np.float32)
        if costs
        else None,
    )


def vectors(table):
    """Embeddings that tell the tasks apart, with noise."""
    random = np.random.default_rng(7)
    task = np.array([TASKS.index(name) for name in table.tasks])
    found = np.eye(8)[task] + random.normal(0, 0.25, (len(task), 8))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def data(rows=240, seed=0, **options):
    """Return such a table with its embeddings."""
    table = synthetic(rows, seed, **options)
    return Data(table=table, embeddings=vectors(table), encoder=ENCODER)


def value(judgement, name):
    """Return a figure of a report's contestant."""
    return judgement.figures[name].value
