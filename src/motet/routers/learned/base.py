"""What every learned kind of router is: an estimator of how well each expert will answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from motet.config import Options
from motet.errors import ArtifactError, TableError
from motet.tables.routing import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Need = Literal["embeddings", "texts", "tasks"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Queries:
    """Queries as an estimator sees them; what it does not need may be absent.

    Attributes
    ----------
    embeddings
        `[queries, width]` float32, L2-normalised.
    texts
        The text form of each query.
    tasks
        The task of each query where a table names it. Only what stands for a classifier reads
        them: a live request has none.
    memo
        What was computed of each query alone and is worth keeping, as arrays by row.
    origin
        The queries that these are rows of, and which: what those keep need not be made again.
    """

    embeddings: Floats | None = None
    texts: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    memo: dict[str, Any] = field(default_factory=dict, repr=False)
    origin: tuple[Queries, NDArray[Any]] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        for part in (self.embeddings, self.texts, self.tasks):
            if part is not None:
                return len(part)
        return 0

    def take(self, rows: NDArray[Any]) -> Queries:
        """Return these rows, in this order."""
        return replace(
            self,
            embeddings=None if self.embeddings is None else self.embeddings[rows],
            texts=None if self.texts is None else tuple(self.texts[row] for row in rows),
            tasks=None if self.tasks is None else tuple(self.tasks[row] for row in rows),
            memo={},
            origin=(self, rows),
        )

    def vectors(self) -> Floats:
        """Return the embeddings.

        Raises
        ------
        TableError
            There are none.
        """
        if self.embeddings is None:
            raise TableError(
                "This kind of router reads embeddings of the queries, and there are none.",
                hint="The table needs a 'query' column; 'categories' works on tasks alone.",
            )
        return self.embeddings


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """What an estimator expects of each expert on each query.

    Attributes
    ----------
    quality
        `[queries, experts]` float32, the expected score in [0, 1]; NaN where nothing can be said
        of an expert, which is then never chosen.
    error
        `[queries, experts]` float32, the standard error of `quality`.
    cost
        `[queries, experts]` float32, expected USD an answer; None when the table had no costs.
    """

    quality: Floats
    error: Floats
    cost: Floats | None = None


class Estimator(ABC):
    """Learns from a table how well each expert answers which queries.

    A kind is a subclass with a `Config` of its hyperparameters, named in
    `motet.routers.learned.ESTIMATORS`. Importing its module is cheap: libraries are imported in
    its methods.

    Attributes
    ----------
    needs
        The parts of `Queries` it cannot do without.
    uses
        Parts it can do without, and does better with.
    version
        Raised when what is learned changes its meaning: older artifacts are then stale.
    learned
        Everything learned, as arrays by name; filled by `fit`.
    names_experts
        Whether its options name experts, so that two with equal answers are still two.
    """

    Config: ClassVar[type[Options]] = Options
    needs: frozenset[Need] = frozenset({"embeddings"})
    uses: ClassVar[frozenset[Need]] = frozenset()
    version: ClassVar[int] = 1
    names_experts: bool = False

    def __init__(self, options: Any) -> None:
        self.options = options
        self.learned: dict[str, NDArray[Any]] = {}

    @abstractmethod
    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Learn from `table`, whose rows are `queries`. The same seed gives the same estimator."""

    @abstractmethod
    def predict(self, queries: Queries) -> Estimate:
        """Return what to expect of every expert of the table that was learned from."""

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return everything learned, as arrays by name: `learned`, unless a kind holds more.

        An array of bytes whose name ends with `.faiss` is a serialised index, and is kept in a
        file of that name.
        """
        return self.learned

    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over what another estimator of the same options had learned, bit by bit."""
        self.learned = dict(state)

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Return what led to the estimate of one query, as plain JSON values.

        The value of `reason` is a sentence of it for people; `by_column` holds lists of one
        number a column of the estimates, which the artifact shows by expert.
        """
        return {}

    def drop(self, column: int, *names: str) -> None:
        """Delete `column` of the last axis of these learned arrays."""
        import numpy as np

        for name in names:
            self.learned[name] = np.delete(self.learned[name], column, axis=-1)

    def append(self, **columns: NDArray[Any]) -> None:
        """Append columns to the last axis of these learned arrays."""
        import numpy as np

        for name, column in columns.items():
            self.learned[name] = np.concatenate([self.learned[name], column], axis=-1)

    def add(self, queries: Queries, table: Table, seed: int) -> None:
        """Learn the one expert of `table` beside the known ones, which stay as they are.

        Raises
        ------
        ArtifactError
            This kind cannot; fit again on a table of all experts.
        """
        raise ArtifactError(
            "This kind of router cannot learn an expert beside the others.",
            hint="Kinds that can: categories, clusters, irt, knn, ridge, stack, tree, words. Or "
            "train again with every expert.",
        )

    def remove(self, column: int) -> None:
        """Forget the expert of this column of the estimates.

        Raises
        ------
        ArtifactError
            This kind cannot; fit again on a table without it.
        """
        raise ArtifactError(
            "This kind of router cannot forget an expert.",
            hint="An expert that is not in experts.yaml is never chosen; or train again without.",
        )
