"""What a text says without an encoder: counts, their weights, and a regression on them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import TableError
from motet.routers.learned import Queries, features

TEXTS = ("sum the list", "sum of a list", "the court ruled", "")


def test_counts_of_some_rows_are_rows_of_the_counts():
    whole = Queries(texts=TEXTS)
    part = whole.take(np.array([2, 0]))
    wanted = features.counts(Queries(texts=(TEXTS[2], TEXTS[0])))
    assert (features.counts(part) != wanted).nnz == 0
    with pytest.raises(TableError, match="reads the texts"):
        features.counts(Queries())


def test_weights_are_of_length_one_and_like_texts_alike():
    counted = features.counts(Queries(texts=TEXTS))
    rows = features.weighted(counted, features.rarity(counted))
    alike = (rows @ rows.T).toarray()
    # Words and characters are each of length one; a text without any has neither.
    np.testing.assert_allclose(alike.diagonal(), [2, 2, 2, 0], atol=1e-5)
    assert alike[0, 1] > 2 * alike[0, 2]


@given(st.text(max_size=200))
def test_every_text_has_a_shape(text):
    (shape,) = features.shape((text,))
    assert len(shape) == len(features.shape_names()) and np.isfinite(shape).all()
    assert (shape[2:] >= 0).all() and (shape[2:] <= 1).all()


def test_the_regression_solves_its_equation():
    counted = features.counts(Queries(texts=tuple(f"word{n % 7} other{n % 3}" for n in range(30))))
    rows = features.weighted(counted, features.rarity(counted))
    target = np.random.default_rng(0).normal(size=(30, 2))
    found = rows @ features.ridge(rows, target, 3.0)
    dense = rows.toarray().astype(np.float64)
    kernel = dense @ dense.T
    wanted = kernel @ np.linalg.solve(kernel + 3.0 * np.eye(30), target)
    np.testing.assert_allclose(found, wanted, atol=0.02)
