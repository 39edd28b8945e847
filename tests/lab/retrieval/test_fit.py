"""Fitted experts find what the base does not, and never harm by their own measure."""

import numpy as np
import pytest
from tests.routers.learned import world

from motet.errors import TableError
from motet.lab.retrieval.data import Question
from motet.lab.retrieval.fit import FitOptions, fit

QUICK = FitOptions(rank=8, centroids=2, epochs=40, batch=32, rate=1e-2)
SAID = {"law": ["red", "old", "wet", "big"], "sea": ["red", "sad", "wet", "shy"]}
MEANT = {"law": ["lex", "ius", "mos", "res"], "sea": ["mast", "keel", "oar", "rope"]}


def pairs(seed=0):
    """What is asked in plain words, and said in others that each domain has of its own."""
    made = []
    for domain, words in SAID.items():
        other = dict(zip(words, MEANT[domain], strict=True))
        for a in words:
            for b in words:
                for tail in ("x", "y"):
                    question = f"{domain} {a} {b} {tail}" if a != b else f"{domain} {a} {tail}"
                    made.append(Question(domain, question, f"{other[a]} {other[b]} {tail}"))
    return [made[at] for at in np.random.default_rng(seed).permutation(len(made))]


@pytest.fixture(scope="module")
def made():
    return fit(pairs(), world.ENCODER, QUICK)


def test_experts_find_more_than_the_base(made):
    assert made.names == ("law", "sea")
    for said in made.about["of"].values():
        assert said["ndcg"] >= said["ndcg_base"]
    assert sum(s["ndcg"] - s["ndcg_base"] for s in made.about["of"].values()) > 0.2


def test_queries_find_their_domain(made):
    asked = [pair.question for pair in pairs()]
    chosen = made.nearness(world.ENCODER.encode(asked)).argmax(axis=1)
    right = np.array([made.names.index(pair.domain) for pair in pairs()])
    assert (chosen == right).mean() > 0.95
    np.testing.assert_allclose(np.linalg.norm(made.centroids, axis=2), 1, atol=1e-5)


def test_the_same_seed_gives_the_same(made):
    again = fit(pairs(), world.ENCODER, QUICK)
    for name in ("centroids", "down", "up"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))


def test_too_few_questions_are_refused():
    with pytest.raises(TableError, match="has 1 questions"):
        fit([Question("law", "q", "d")], world.ENCODER)
