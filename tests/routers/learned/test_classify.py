"""Categories of queries, as probabilities."""

import numpy as np
import pytest
from tests.routers.learned import world

from motet.routers.learned import Queries
from motet.routers.learned.classify import Classifier


@pytest.mark.parametrize("parts", [("texts",), ("embeddings",), ("texts", "embeddings")])
def test_it_knows_the_topic_by_words_by_vectors_or_by_both(parts):
    names = list(world.TOPICS)
    known, new = world.table(120), world.table(60, seed=7)

    def queries(of):
        whole = world.queries(of)
        return Queries(**{part: getattr(whole, part) for part in parts})

    labels = np.array([names.index(task) for task in known.tasks])
    classifier = Classifier.fit(queries(known), labels, 4, 0)
    chances = classifier.predict(queries(new))
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    found = chances.argmax(axis=1)
    assert np.mean([names[n] == task for n, task in zip(found, new.tasks, strict=True)]) > 0.8
    assert chances[:, 3].max() < 1e-6  # a category that never occurred
    same = Classifier(classifier.state).predict(queries(new))
    assert same.tobytes() == chances.tobytes()
