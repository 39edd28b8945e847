"""K-means finds clusters that are there, the same ones for the same seed."""

import numpy as np
import pytest

from motet.routers.learned.kmeans import kmeans


@pytest.mark.parametrize("seed", [0, 1])
def test_clusters_that_are_there_are_found_again(seed):
    random = np.random.default_rng(5)
    middles = np.eye(4, dtype=np.float32) * 10
    true = np.arange(80) % 4
    vectors = (middles[true] + random.normal(size=(80, 4)) * 0.1).astype(np.float32)
    centres, labels = kmeans(vectors, 4, seed)
    assert len(set(zip(true.tolist(), labels.tolist(), strict=True))) == 4
    np.testing.assert_allclose(centres[labels], middles[true], atol=0.2)
    again, same = kmeans(vectors, 4, seed)
    assert again.tobytes() == centres.tobytes() and (same == labels).all()
