"""What a text says without an encoder: its n-grams of words and characters, and its shape.

N-grams are hashed, so there is no vocabulary to keep; only how rare each is (TF-IDF).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motet.errors import TableError
from motet.routers.learned.base import Queries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Matrix = Any
"""A scipy.sparse.csr_array of float32."""

_BUCKETS = 1 << 17
_READ = 4000
"""Characters of a text that are read."""
_TOLERANCE = 1e-2
_STEPS = 60
_SHAPE = ("log_chars", "lines", "digits", "non_ascii", "symbols", "code")


def counts(queries: Queries) -> Matrix:
    """Return `[queries, 2 * buckets]` counts: n-grams of 1-2 words, then of 2-4 characters.

    Kept in `queries.memo`, since several estimators may read them.

    Raises
    ------
    TableError
        The queries have no texts.
    """
    if queries.texts is None:
        raise TableError("This kind of router reads the texts of queries, and there are none.")
    if "counts" not in queries.memo:
        if queries.origin is not None:
            whole, rows = queries.origin
            queries.memo["counts"] = counts(whole)[rows]
        else:
            queries.memo["counts"] = _counted(queries.texts)
    matrix: Matrix = queries.memo["counts"]
    return matrix


def _counted(texts: tuple[str, ...]) -> Matrix:
    from scipy.sparse import csr_array, hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    common: dict[str, Any] = {
        "n_features": _BUCKETS,
        "norm": None,
        "alternate_sign": False,
        "dtype": "float32",
    }
    words = HashingVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **common)  # noqa: S106  # a regex
    letters = HashingVectorizer(ngram_range=(2, 4), analyzer="char_wb", **common)
    read = [text[:_READ] for text in texts]
    parts = [words.transform(read), letters.transform(read)]
    return csr_array(hstack(parts, format="csr"))


def rarity(counted: Matrix) -> NDArray[np.float32]:
    """Return `[2 * buckets]` inverse document frequencies."""
    import numpy as np

    rows = np.bincount(counted.indices, minlength=counted.shape[1])
    weights: NDArray[np.float32] = (np.log((1 + counted.shape[0]) / (1 + rows)) + 1).astype("f4")
    return weights


def weighted(counted: Matrix, rare: NDArray[np.float32]) -> Matrix:
    """Return TF-IDF of `counts`, the words and the characters of a row each of length one."""
    import numpy as np
    from scipy.sparse import csr_array

    data = (1 + np.log(counted.data)) * rare[counted.indices]
    rows, columns = counted.shape
    row = np.repeat(np.arange(rows), np.diff(counted.indptr))
    half = 2 * row + (counted.indices >= columns // 2)
    length = np.sqrt(np.bincount(half, weights=data**2, minlength=2 * rows)).clip(1e-9)
    scaled = (data / length[half]).astype(np.float32)
    return csr_array((scaled, counted.indices, counted.indptr), shape=counted.shape)


def shape(texts: tuple[str, ...]) -> NDArray[np.float32]:
    """Return `[texts, 6]` plain measures: log length, log lines, shares of characters, code."""
    import numpy as np

    return np.array([_shape(text[:_READ]) for text in texts], np.float32).reshape(-1, len(_SHAPE))


def shape_names() -> tuple[str, ...]:
    """Return the names of the columns of `shape`."""
    return _SHAPE


def _shape(text: str) -> tuple[float, ...]:
    import math

    size = max(len(text), 1)
    return (
        math.log1p(len(text)),
        math.log1p(text.count("\n")),
        sum(map(str.isdigit, text)) / size,
        sum(ord(letter) > 127 for letter in text) / size,
        sum(not (letter.isalnum() or letter.isspace()) for letter in text) / size,
        float("```" in text or "def " in text or "return " in text or "function " in text),
    )


def ridge(rows: Matrix, target: NDArray[Any], alpha: float) -> NDArray[np.float32]:
    """Return `[columns, targets]` weights of a ridge regression on sparse rows, with no constant.

    Conjugate gradients on the dual problem, `(X X' + alpha) a = Y`, all targets side by side:
    there are far fewer rows than columns. Penalties of 1 and up need a few dozen steps.
    """
    import numpy as np

    left = target.astype(np.float32)
    across = rows.T.tocsr()
    solution = np.zeros_like(left)
    step = left.copy()
    square = (left**2).sum(axis=0)
    enough = square * _TOLERANCE**2
    for _ in range(_STEPS):
        product = rows @ (across @ step) + alpha * step
        size = square / (step * product).sum(axis=0).clip(1e-30)
        solution += size * step
        left -= size * product
        before, square = square, (left**2).sum(axis=0)
        if (square <= enough).all():
            break
        step = left + (square / before.clip(1e-30)) * step
    weights: NDArray[np.float32] = across @ solution
    return weights
