"""What every learned kind of router is: an estimator of how well each expert will answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from motet.config import Options
from motet.routers.tables import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


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
    """

    embeddings: Floats | None = None
    texts: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """What an estimator expects of each expert on each query.

    Attributes
    ----------
    quality
        `[queries, experts]` float32, the expected score in [0, 1].
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
    """

    Config: ClassVar[type[Options]] = Options

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def fit(self, queries: Queries, table: Table, seed: int) -> None:
        """Learn from `table`, whose rows are `queries`. The same seed gives the same estimator."""

    @abstractmethod
    def predict(self, queries: Queries) -> Estimate:
        """Return what to expect of every expert of the table that was learned from."""

    @abstractmethod
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return everything learned, as arrays by name."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]], experts: tuple[str, ...]) -> None:
        """Take over what another estimator of the same options had learned, bit by bit."""

    def explain(self, queries: Queries) -> dict[str, Any]:
        """Return what led to the estimate of one query, as plain JSON values."""
        return {}
