"""Length alone: a line a piece, over the logarithm of the characters."""

import numpy as np

from motet.config import Options
from motet.routers.learned import Queries
from motet.routers.learned.kinds.length import Length
from motet.tables.routing import Table


def test_a_line_is_found_again():
    texts = tuple("x" * size for size in (1, 5, 20, 100, 900))
    line = 0.1 * np.log1p([len(text) for text in texts])
    scores = np.stack([line, 0.9 - line], axis=1).astype(np.float32)
    table = Table(name="t", experts=("a", "b"), scores=scores, tasks=("t",) * 5, queries=texts)
    length = Length(Options())
    length.fit(Queries(texts=texts), table, 0)
    found = length.predict(Queries(texts=("x" * 50,))).quality[0]
    np.testing.assert_allclose(found, [0.1 * np.log1p(50), 0.9 - 0.1 * np.log1p(50)], atol=1e-5)
