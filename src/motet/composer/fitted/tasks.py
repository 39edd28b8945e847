"""Which task a query belongs to, told from its words alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from motet.routers.learned.base import Queries
from motet.routers.learned.classify import Classifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]

_PREFIX = "task."


class TaskTeller:
    """Tells the tasks of queries, by the classifier that routers by category use.

    Parameters
    ----------
    names
        Of the tasks; where there is one alone, nothing is read.
    """

    def __init__(self, names: Sequence[str], classifier: Classifier | None) -> None:
        self.names = tuple(names)
        self._classifier = classifier

    @classmethod
    def fit(cls, queries: Sequence[str], tasks: Sequence[str], seed: int) -> TaskTeller:
        """Learn from queries whose tasks are known."""
        import numpy as np

        names, labels = np.unique(np.array(tasks, dtype=str), return_inverse=True)
        known = tuple(map(str, names))
        if len(known) == 1:
            return cls(known, None)
        texts = Queries(texts=tuple(queries))
        return cls(known, Classifier.fit(texts, labels.astype(np.intp), len(known), seed))

    @classmethod
    def load(cls, names: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> TaskTeller:
        """Return the one whose arrays `arrays` gave."""
        own = {n.removeprefix(_PREFIX): a for n, a in arrays.items() if n.startswith(_PREFIX)}
        return cls(names, Classifier(own) if own else None)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that was learned."""
        state = {} if self._classifier is None else self._classifier.state
        return {_PREFIX + name: array for name, array in state.items()}

    def tell(self, queries: Sequence[str]) -> Rows:
        """Return `[queries]` numbers of tasks."""
        import numpy as np

        if self._classifier is None:
            return np.zeros(len(queries), np.intp)
        chances = self._classifier.predict(Queries(texts=tuple(queries)))
        return np.asarray(chances.argmax(axis=1), np.intp)
