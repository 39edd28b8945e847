"""A small world where the best router is known: topics, and experts that are good at one each."""

import functools
import hashlib

import numpy as np

from motet.progress import silent
from motet.routers.learned.base import Queries
from motet.tables.routing import Table

TOPICS = {
    "maths": "sum integer equation prime fraction algebra".split(),
    "code": "python function loop compile variable class".split(),
    "law": "contract court statute plaintiff appeal clause".split(),
}
EXPERTS = ("jurist", "coder", "solver", "cheap")
SKILL = np.array(  # topics x experts
    [[0.2, 0.3, 0.95, 0.4], [0.2, 0.95, 0.3, 0.4], [0.95, 0.2, 0.2, 0.4]], np.float32
)
COSTS = np.array([8e-3, 8e-3, 8e-3, 1e-3], np.float32)
WIDTH = 16
KINDS = (
    "best-single", "categories", "clusters", "contrastive", "cost-quality", "fusion-of-experts",
    "guard", "irt", "knn", "length", "matrix-factorization", "ridge", "stack", "tree", "words",
)  # fmt: skip
LEARN = tuple(kind for kind in KINDS if kind not in ("best-single", "length"))
QUICK = {
    "clusters": {"clusters": 6},
    "contrastive": {"dimensions": 8, "epochs": 40, "batch": 32, "rate": 1e-2, "top": 1},
    "fusion-of-experts": {"epochs": 40, "batch": 32, "rate": 1e-2},
    "guard": {"of": {"kind": "ridge"}},
    "irt": {"dimensions": 4, "epochs": 60, "rate": 1e-2},
    "knn": {"k": [5, 10]},
    "matrix-factorization": {"dimensions": 8, "epochs": 40, "rate": 1e-2},
    "stack": {"of": [{"kind": "ridge"}, {"kind": "knn", "k": [5]}]},
    "tree": {"leaf_rows": 10, "components": 6, "prior_rows": 2},
}


class FakeEncoder:
    """Adds up a fixed random direction for each word."""

    name = "fake"
    short_name = "fake"
    width = WIDTH

    def __init__(self, salt="x"):
        self.digest = hashlib.sha256(salt.encode()).hexdigest()
        self.calls = []

    def encode(self, texts, report=silent):
        self.calls.append(list(texts))
        return np.stack([self._one(text) for text in texts])

    def load(self):
        pass

    def _one(self, text):
        found = np.full(WIDTH, 1e-3)
        for word in text.split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            found += np.random.default_rng(seed).normal(size=WIDTH)
        return (found / np.linalg.norm(found)).astype(np.float32)


ENCODER = FakeEncoder()


def table(rows=150, seed=0, costs=True, experts=EXPERTS):
    """A table whose scores are drawn from SKILL."""
    random = np.random.default_rng(seed)
    names = list(TOPICS)
    topic = random.integers(len(names), size=rows)
    queries = tuple(
        " ".join(random.choice(TOPICS[names[t]], 5)) + f" number {row}"
        for row, t in enumerate(topic)
    )
    columns = [EXPERTS.index(expert) for expert in experts]
    return Table(
        name="world",
        experts=tuple(experts),
        scores=(random.random((rows, 4)) < SKILL[topic]).astype(np.float32)[:, columns],
        tasks=tuple(names[t] for t in topic),
        queries=queries,
        costs=np.tile(COSTS, (rows, 1))[:, columns] if costs else None,
    )


def queries(of):
    """The queries of a table, encoded."""
    return Queries(embeddings=ENCODER.encode(of.queries), texts=of.queries, tasks=of.tasks)


def trained(kind, of, /, **options):
    """An artifact of a kind, with hyperparameters small enough for a test."""
    from motet.routers.learned.fit import train

    return train(of, ENCODER.encode(of.queries), kind, {**QUICK.get(kind, {}), **options}, ENCODER)


@functools.cache
def once(kind):
    """Return the artifact of a kind on `table()`, trained once for all tests."""
    return trained(kind, table())
