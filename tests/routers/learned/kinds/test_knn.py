"""Nearest neighbours: means over the k nearest, however they are searched."""

import numpy as np
from tests.routers.learned import world

from motet.routers.learned import Queries
from motet.routers.learned.kinds.knn import Neighbours, NeighboursConfig, build_index


def test_the_estimate_is_the_mean_of_the_k_nearest():
    table = world.table(60)
    queries = world.queries(table)
    knn = Neighbours(NeighboursConfig(k=(7,)))
    knn.fit(queries, table, 0)
    asked = world.queries(world.table(5, seed=9))
    near = np.argsort(-(asked.embeddings @ queries.embeddings.T), axis=1)[:, :7]
    np.testing.assert_allclose(
        knn.predict(asked).quality, table.scores[near].mean(axis=1), atol=1e-6
    )
    assert len(knn.explain(asked)["neighbours"]) == 3


def test_a_table_of_noise_is_averaged_widely():
    table = world.table(200)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, world.WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    noise = Queries(embeddings=vectors, texts=table.queries)
    knn = Neighbours(NeighboursConfig(k=(1, 100)))
    knn.fit(noise, table, 0)
    assert knn.explain(noise)["k"] == 100


def test_a_graph_finds_nearly_whom_a_look_at_every_row_finds():
    vectors = np.random.default_rng(0).normal(size=(8_200, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = vectors[:50]
    _, found = build_index(vectors).search(asked, 10)
    exact = np.argsort(-(asked @ vectors.T), axis=1)[:, :10]
    same = [len(set(a) & set(b)) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    assert np.mean(same) > 9
