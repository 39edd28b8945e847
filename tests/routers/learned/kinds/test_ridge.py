"""Ridge: the closed form, with the penalty that held-out rows choose."""

import numpy as np
from tests.routers.learned import world

from motet.routers.learned.folds import advantage
from motet.routers.learned.kinds.ridge import Ridge, RidgeConfig


def test_one_penalty_is_the_textbooks_regression():
    table = world.table(80)
    queries = world.queries(table)
    ridge = Ridge(RidgeConfig(alphas=(3.0,)))
    ridge.fit(queries, table, 0)
    vectors = queries.embeddings.astype(np.float64)
    centred = vectors - vectors.mean(axis=0)
    scatter = centred.T @ centred + 3.0 * np.eye(world.WIDTH)
    weights = np.linalg.solve(scatter, centred.T @ (table.scores - table.scores.mean(axis=0)))
    wanted = centred @ weights + table.scores.mean(axis=0)
    np.testing.assert_allclose(ridge.predict(queries).quality, wanted, atol=1e-5)


def test_the_penalty_is_that_of_the_least_error_when_each_row_is_left_out():
    table = world.table(60)
    queries = world.queries(table)
    alphas = (0.01, 3.0, 1000.0)
    ridge = Ridge(RidgeConfig(alphas=alphas))
    ridge.fit(queries, table, 0)
    vectors, target = queries.embeddings.astype(np.float64), advantage(table.scores)

    def error(alpha):
        apart = []
        for row in range(len(table)):
            known = np.arange(len(table)) != row
            centre, mean = vectors.mean(axis=0), target[known].mean(axis=0)
            rows = vectors[known] - centre
            scatter = rows.T @ rows + alpha * np.eye(world.WIDTH)
            weights = np.linalg.solve(scatter, rows.T @ (target[known] - mean))
            apart.append(target[row] - (vectors[row] - centre) @ weights - mean)
        return np.square(apart).mean()

    assert ridge.explain(queries)["alphas"][-1] == min(alphas, key=error)
