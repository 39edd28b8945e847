"""K-means, the same clusters for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROUNDS, _TRIES = 25, 2


def kmeans(
    vectors: NDArray[np.float32], clusters: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return `[clusters, width]` centres and the `[rows]` cluster of each vector.

    The best of a few tries from different rows.
    """
    import faiss
    import numpy as np

    means: Any = faiss.Kmeans(
        vectors.shape[1],
        clusters,
        niter=_ROUNDS,
        nredo=_TRIES,
        seed=seed + 1,  # 0 would be taken from the clock
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),
    )
    means.train(np.ascontiguousarray(vectors, np.float32))
    _, labels = means.index.search(np.ascontiguousarray(vectors, np.float32), 1)
    return means.centroids.copy(), labels[:, 0].astype(np.intp)
