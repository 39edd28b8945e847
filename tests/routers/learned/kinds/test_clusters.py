"""Clusters: means of the nearest, steadied by each expert's own."""

import numpy as np
from tests.routers.learned import world

from motet.routers.learned.kinds.clusters import Clusters, ClustersConfig


def fitted(table, **options):
    clusters = Clusters(ClustersConfig(**options))
    clusters.fit(world.queries(table), table, 0)
    return clusters


def test_one_cluster_is_the_mean_of_all():
    table = world.table(60)
    found = fitted(table, clusters=1).predict(world.queries(table)).quality
    np.testing.assert_allclose(found, np.tile(table.scores.mean(axis=0), (60, 1)), atol=1e-6)


def test_rows_of_a_prior_draw_clusters_together():
    table = world.table(60)
    spread = [
        fitted(table, clusters=6, prior_rows=prior).predict(world.queries(table)).quality.std()
        for prior in (0.0, 10.0, 1e6)
    ]
    assert spread[0] > spread[1] > spread[2]


def test_the_weights_of_the_nearest_fall_with_their_distance():
    clusters = fitted(world.table(60), clusters=6, nearest=3)
    told = clusters.explain(world.queries(world.table(1, seed=4)))["clusters"]
    weights = [one["weight"] for one in told]
    assert len(told) == 3 and weights == sorted(weights, reverse=True)
    assert abs(sum(weights) - 1) < 1e-3
