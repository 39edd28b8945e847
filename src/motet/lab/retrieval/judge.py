"""How well vectors find: nDCG@10 where one document answers a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CUT = 10


def ndcg(queries: Floats, documents: Floats, answers: NDArray[Any]) -> NDArray[np.float64]:
    """Return `[queries]` nDCG@10: 1 / log2(1 + rank) of the one right document, 0 below 10.

    Equal documents count as one rank lower each, so that a tie is never a gain
    (Järvelin & Kekäläinen, 2002).

    Parameters
    ----------
    queries, documents
        `[queries, width]` and `[documents, width]`, of length one.
    answers
        `[queries]` rows of `documents`.
    """
    import numpy as np

    scores = queries @ documents.T
    right = scores[np.arange(len(queries)), answers][:, None]
    rank = (scores >= right).sum(axis=1)  # itself included, so the first has rank 1
    gain: NDArray[np.float64] = np.where(rank <= CUT, 1 / np.log2(1 + rank), 0.0)
    return gain
