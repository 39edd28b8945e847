"""From a few labelled queries to many: the label of the neighbours, where they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROUNDS = 10


def propagate(
    vectors: NDArray[np.float32],
    labels: NDArray[np.intp],
    unlabelled: NDArray[np.bool_],
    neighbours: int,
    max_entropy: float,
) -> NDArray[np.intp]:
    """Return labels with those of `unlabelled` rows filled in where it is clear which.

    In rounds: the nearest labelled rows vote by their similarity, and a vote whose entropy is
    within the bound labels its row, which votes in the next round.

    Parameters
    ----------
    vectors
        `[rows, width]` of length one.
    labels
        `[rows]` category numbers, -1 for none.
    unlabelled
        `[rows]`: which of those without one may get one.
    neighbours
        How many vote.
    max_entropy
        Bound, as a share of the entropy of an even vote over all categories.
    """
    import faiss
    import numpy as np

    labels = labels.copy()
    categories = int(labels.max()) + 1
    for _ in range(_ROUNDS):
        known = np.flatnonzero(labels >= 0)
        open_ = np.flatnonzero(unlabelled & (labels < 0))
        if not len(open_) or not len(known):
            break
        index: Any = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors[known]))
        count = min(neighbours, len(known))
        similar, near = index.search(np.ascontiguousarray(vectors[open_]), count)
        votes = np.zeros((len(open_), categories))
        rows = np.repeat(np.arange(len(open_)), count)
        np.add.at(votes, (rows, labels[known][near].ravel()), similar.clip(1e-6).ravel())
        votes /= votes.sum(axis=1, keepdims=True)
        entropy = -(votes * np.log(votes.clip(1e-12))).sum(axis=1) / np.log(max(categories, 2))
        clear = entropy <= max_entropy
        if not clear.any():
            break
        labels[open_[clear]] = votes[clear].argmax(axis=1)
    return labels
