"""Recorded tables: what every expert answered to every query, beside how good it was.

A routing table (`motet.tables.routing`) with three kinds of columns more:

| column            | type   | meaning                                                      |
|-------------------|--------|--------------------------------------------------------------|
| `answer:<expert>` | string | the short answer it came to; empty where there was none      |
| `tokens:<expert>` | count  | how long its output was; for all experts or for none         |
| `text:<expert>`   | string | its whole output; experts without this column have no texts  |

With them votes, cascades and rankers are fitted and judged without asking anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.errors import TableError
from motet.tables.columns import read_columns
from motet.tables.routing import Table, read
from motet.wording import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_WORDS = ("answer", "text")
_NEEDED = {"answer": "votes and cascades compare", "text": "rankers read"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Recorded:
    """A routing table and what stood in the answers.

    Attributes
    ----------
    routing
        Scores, costs, tasks and queries; of the same experts and rows.
    answers
        `[rows]` tuples with one short answer an expert; None where the file has no such column.
    texts
        `[rows]` tuples with one whole output an expert; None where some expert has none.
    tokens
        `[rows, experts]` float32, lengths of the outputs; None where they are not known.
    """

    routing: Table
    answers: tuple[tuple[str, ...], ...] | None = None
    texts: tuple[tuple[str, ...], ...] | None = None
    tokens: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.routing)

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the experts, in the order of all columns."""
        return self.routing.experts

    @property
    def queries(self) -> tuple[str, ...]:
        """What was asked; a recorded table always says."""
        assert self.routing.queries is not None
        return self.routing.queries

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Recorded:
        """Return a table of these rows, in this order."""
        return replace(
            self,
            routing=self.routing.take(rows),
            answers=None if self.answers is None else tuple(self.answers[row] for row in rows),
            texts=None if self.texts is None else tuple(self.texts[row] for row in rows),
            tokens=None if self.tokens is None else self.tokens[rows],
        )


def read_recorded(
    path: str | Path, experts: Sequence[str] | None = None, *, needs: Sequence[str] = ()
) -> Recorded:
    """Return the recorded table in a file, checked whole.

    Parameters
    ----------
    experts
        The pool, in order; all experts of the file when None.
    needs
        Kinds of columns that each of them must have: `answer`, `text`.

    Raises
    ------
    TableError
        What `motet.tables.routing.read` refuses; there are no queries, an expert of the pool has no
        column of a needed kind, rows were left out for missing scores, or a count is none.
    """
    path = Path(path)
    routing = read(path)
    if routing.left_out:
        raise TableError(
            f"{path}: {routing.left_out} rows lack some expert's score, and a recorded table "
            "leaves none out.",
            hint="Remove these rows, or give them their scores.",
        )
    if routing.queries is None:
        raise TableError(f"{path}: no column 'query', which a recorded table needs.")
    if experts is not None:
        routing = routing.of(experts)
    columns = read_columns(
        path,
        "recorded table",
        texts=("query", "task", *(f"{kind}:{e}" for kind in _WORDS for e in routing.experts)),
        numbers=("tokens:",),
    )
    words = {kind: _words(path, columns, kind, routing.experts, needs) for kind in _WORDS}
    return Recorded(
        routing=routing,
        answers=words["answer"],
        texts=words["text"],
        tokens=_tokens(path, columns, routing.experts),
    )


def _words(
    path: Path,
    columns: dict[str, pa.ChunkedArray],
    kind: str,
    experts: tuple[str, ...],
    needs: Sequence[str],
) -> tuple[tuple[str, ...], ...] | None:
    """Return `[rows]` tuples of the columns `kind:<expert>`; None where one is not there."""
    lacking = [f"{kind}:{expert}" for expert in experts if f"{kind}:{expert}" not in columns]
    if lacking and kind in needs:
        raise TableError(
            f"{path}: no column {lacking[0]!r}, which {_NEEDED[kind]}.",
            hint=did_you_mean(lacking[0], [name for name in columns if name.startswith(kind)]),
        )
    if lacking:
        return None
    read = [columns[f"{kind}:{expert}"].to_pylist() for expert in experts]
    for expert, values in zip(experts, read, strict=True):
        for row, value in enumerate(values):
            if not isinstance(value, str | None):
                raise TableError(
                    f"{path}: row {row} of column '{kind}:{expert}' is {value!r}; a text belongs "
                    "there."
                )
    return tuple(tuple(value or "" for value in row) for row in zip(*read, strict=True))


def _tokens(
    path: Path, columns: dict[str, pa.ChunkedArray], experts: tuple[str, ...]
) -> NDArray[np.float32] | None:
    import numpy as np

    present = [expert for expert in experts if f"tokens:{expert}" in columns]
    if not present:
        return None
    arrays = []
    for expert in experts:
        name = f"tokens:{expert}"
        if name not in columns:
            raise TableError(
                f"{path}: no column {name!r}.",
                hint="Every expert needs one, or none has 'tokens'.",
            )
        values = columns[name].to_pylist()
        for row, value in enumerate(values):
            if not isinstance(value, int | float) or not 0 <= value < 1e9:
                raise TableError(
                    f"{path}: row {row} of column {name!r} is {value!r}; expected a count from 0."
                )
        arrays.append(np.array(values, np.float32))
    return np.stack(arrays, axis=1)
