"""A router trained, and calibrated to what an answer may cost."""

import numpy as np
import pytest
from tests.lab.routers.synthetic import data

from motet.errors import TableError
from motet.lab.routers.training import Target, train
from motet.routers.learned.base import Queries


def spent(router, on):
    queries = Queries(embeddings=on.embeddings, texts=on.table.queries, tasks=on.table.tasks)
    chosen = router.decide(router.estimate(queries)).chosen
    return on.table.costs[np.arange(len(chosen)), chosen].mean(), (chosen == 2).mean()


def test_a_target_is_kept_on_queries_to_come():
    learned, later = data(), data(seed=1)
    dear, _ = spent(train(learned, "ridge")[0], later)
    cheap, _ = spent(train(learned, "ridge", target=Target(cost=0.002))[0], later)
    assert cheap < 0.7 * dear and cheap == pytest.approx(0.002, rel=0.25)
    shared, _ = train(learned, "ridge", target=Target(share=("both", 0.25)))
    assert spent(shared, later)[1] == pytest.approx(0.25, abs=0.12)
    with pytest.raises(TableError, match="Did you mean 'both'"):
        train(learned, "ridge", target=Target(share=("bot", 0.25)))


def test_papers_names_are_known_and_the_fit_is_timed_alone():
    router, seconds = train(data(), "constant")
    assert router.kind == "best-single" and router.terms.lam == 0 and seconds > 0
