"""Rankers: trees read as they were fitted, and an order that does not depend on who comes first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.composer.fitted.world import EXPERTS, write

from motet.composer.fitted.ranking import FittedRanker
from motet.composer.fitted.texts import WIDTH, measures
from motet.errors import ArtifactError
from motet.lab.compositions.ranking import _boosted, fit_ranker, ranked, ranking_figures
from motet.tables import read_recorded


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rank")
    return [read_recorded(write(folder / f"{n}.parquet", 80, n), needs=("text",)) for n in (0, 1)]


@pytest.fixture(scope="module")
def ranker(tables):
    return fit_ranker(tables[0], knows_authors=True)


def test_trees_say_what_the_library_says():
    from sklearn.ensemble import HistGradientBoostingRegressor

    from motet.lab.compositions import ranking

    random = np.random.default_rng(0)
    inputs = random.normal(size=(300, 6))
    target = inputs[:, 0] * inputs[:, 1]
    models = [
        HistGradientBoostingRegressor(**ranking._TREES, random_state=seed).fit(inputs, target)
        for seed in range(ranking._ENSEMBLES)
    ]
    base = np.mean([model._baseline_prediction for model in models])
    expected = np.mean([model.predict(inputs) for model in models], axis=0) - base
    assert np.allclose(_boosted(inputs, target, 0).predict(inputs), expected)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=5), st.text(max_size=30), st.randoms())
def test_the_order_of_texts_changes_nothing(texts, query, random):
    measured = measures(query, texts)
    assert measured.shape == (len(texts), WIDTH) and np.isfinite(measured).all()
    order = list(range(len(texts)))
    random.shuffle(order)
    turned = measures(query, [texts[at] for at in order])
    assert np.allclose(turned, measured[order])


@pytest.mark.parametrize("known", [False, True])
def test_it_tells_better_texts(tables, known):
    made = fit_ranker(tables[0], knows_authors=known)
    said = ranking_figures(tables[1], ranked(made, tables[1]), 3)
    assert said["pairs_right"].value > 0.9
    assert said["pick_score_mean"].value <= said["oracle_pick_score_mean"].value


def test_it_comes_back_from_disk(tables, ranker, tmp_path):
    ranker.save(tmp_path / "r", {"best_single": "dear"})
    again = FittedRanker.load(tmp_path / "r")
    assert np.array_equal(ranked(again, tables[1]), ranked(ranker, tables[1]))
    texts = ["a text", "another text, longer"]
    assert again.scores("q", texts, ["dear", "nobody"]).shape == (2,)
    state = tmp_path / "r" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="damaged"):
        FittedRanker.load(tmp_path / "r")


def test_experts_are_those_of_the_table(ranker):
    assert ranker.experts == tuple(EXPERTS)
