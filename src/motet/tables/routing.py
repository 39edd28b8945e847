"""Routing tables: how well, at what cost and how fast every expert answered every query.

A table is one Parquet, CSV or JSON-lines file, one row a query:

| column             | type    | meaning                                               |
|--------------------|---------|-------------------------------------------------------|
| `query`            | string  | the prompt in its text form; may be absent            |
| `task`             | string  | the data set or subject it comes from; may be absent  |
| `score:<expert>`   | [0, 1]  | how good that expert's answer was, 1 for right        |
| `cost:<expert>`    | USD     | what the answer cost; for all experts or for none     |
| `latency:<expert>` | seconds | how long it took; for all experts or for none         |

Other columns are left alone. Routers are trained on tables and judged on them.

Rows where some expert's score is missing are left out, as long as they are few: answers get lost.
`Table.left_out` counts them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.errors import TableError
from motet.tables.columns import read_columns
from motet.wording import did_you_mean, nearest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_TEXTS = ("query", "task")
_NUMBERS = ("score:", "cost:", "latency:")
MOST_GAPS = 0.02
"""Share of rows that may lack some score; more is no accident, and leaving them out a bias."""
MOST_SHARED = 0.01
"""Share of queries that may stand in both the table learned from and the one judged on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """What every expert did on every query; complete, so that no method needs to guess.

    Attributes
    ----------
    name
        What messages and reports call it.
    scores
        `[rows, experts]` float32 in [0, 1], columns in the order of `experts`.
    tasks
        One a row; the empty string where the file has no such column.
    queries
        One a row; None where the file holds scores alone.
    costs
        `[rows, experts]` float32, USD an answer; None where they are not known.
    latencies
        `[rows, experts]` float32, seconds an answer; None where they are not known.
    left_out
        Rows of the file that are not here, because a score was missing.
    """

    name: str
    experts: tuple[str, ...]
    scores: Floats
    tasks: tuple[str, ...]
    queries: tuple[str, ...] | None = None
    costs: Floats | None = None
    latencies: Floats | None = None
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.tasks)

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Table:
        """Return a table of these rows, in this order."""
        return replace(
            self,
            scores=self.scores[rows],
            tasks=tuple(self.tasks[row] for row in rows),
            queries=None if self.queries is None else tuple(self.queries[row] for row in rows),
            costs=None if self.costs is None else self.costs[rows],
            latencies=None if self.latencies is None else self.latencies[rows],
        )

    def of(self, experts: Sequence[str]) -> Table:
        """Return a table of these experts, in this order.

        Raises
        ------
        TableError
            The table has no column for one of them.
        """
        for expert in experts:
            if expert not in self.experts:
                raise TableError(
                    f"{self.name}: no column 'score:{expert}', so nothing is known of that "
                    f"expert. {did_you_mean(expert, self.experts)}",
                    hint="Add its answers: motet table build.",
                )
        columns = [self.experts.index(expert) for expert in experts]
        return replace(
            self,
            experts=tuple(experts),
            scores=self.scores[:, columns],
            costs=None if self.costs is None else self.costs[:, columns],
            latencies=None if self.latencies is None else self.latencies[:, columns],
        )

    @property
    def digest(self) -> str:
        """SHA-256 of everything the table says (64 hexadecimal digits); its name is no part."""
        state = hashlib.sha256()
        for text in (*self.experts, "", *self.tasks, "", *(self.queries or ())):
            state.update(text.encode("utf-8", "surrogatepass") + b"\0")
        for numbers in (self.scores, self.costs, self.latencies):
            state.update(b"-" if numbers is None else numbers.tobytes("C"))
        return state.hexdigest()


def read(path: str | Path) -> Table:
    """Return the table in a file, checked whole.

    Raises
    ------
    TableError
        The file cannot be read, has no rows or no `score:` column, a column is missing for some
        experts, or a value is missing, not finite or out of range; the row is named.
    """
    path = Path(path)
    columns = read_columns(path, "routing table", texts=_TEXTS, numbers=_NUMBERS)
    experts = [name.removeprefix("score:") for name in columns if name.startswith("score:")]
    if not experts:
        close = [name for name in columns if nearest(name, ["score"])]
        raise TableError(
            f"{path}: no 'score:<expert>' column; its columns are {', '.join(columns) or 'none'}.",
            hint=f"Did you mean 'score:<expert>' by {close[0]!r}?" if close else "",
        )
    columns, left_out = _without_gaps(path, columns, experts)
    rows = len(next(iter(columns.values())))
    if rows == 0:
        raise TableError(f"{path}: the table is empty.")
    return Table(
        name=path.stem if path.parent.name in ("", ".") else f"{path.parent.name}/{path.stem}",
        experts=tuple(experts),
        scores=_numbers(path, columns, "score", experts, most=1.0),
        tasks=_texts(path, columns, "task") or ("",) * rows,
        queries=_texts(path, columns, "query"),
        costs=_optional(path, columns, "cost", experts),
        latencies=_optional(path, columns, "latency", experts),
        left_out=left_out,
    )


def unseen(test: Table, seen: NDArray[np.uint64] | None, source: str) -> NDArray[np.intp]:
    """Return the rows of `test` whose queries were not learned from.

    Data sets ask a few questions twice; where more than that is shared, the tables are not what
    their names say, and the result would be no proof.

    Parameters
    ----------
    seen
        `fingerprints` of the queries learned from; None where there were none.
    source
        What they are called in messages.

    Raises
    ------
    TableError
        More than `MOST_SHARED` of the queries were seen.
    """
    import numpy as np

    asked = fingerprints(test)
    if asked is None or seen is None or test.queries is None:
        return np.arange(len(test))
    known = np.isin(asked, seen)
    if known.sum() > MOST_SHARED * len(test):
        row = int(np.flatnonzero(known)[0])
        raise TableError(
            f"{known.sum()} of {len(test)} queries of {test.name} are also in {source}, which was "
            f"learned from; the first is row {row}: {test.queries[row][:80]!r}.",
            hint="Judge on queries that were not learned from.",
        )
    return np.flatnonzero(~known)


def fingerprints(table: Table) -> NDArray[np.uint64] | None:
    """Return `[rows]` 64-bit hashes of what the queries ask; None where there are no queries."""
    import numpy as np

    if table.queries is None:
        return None
    hashes = (
        hashlib.blake2b(plain(query).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for query in table.queries
    )
    return np.frombuffer(b"".join(hashes), dtype="<u8")


def plain(query: str) -> str:
    """Return what a query asks: two that differ in case or spacing alone are the same."""
    return " ".join(query.split()).casefold()


def _without_gaps(
    path: Path, columns: dict[str, pa.ChunkedArray], experts: list[str]
) -> tuple[dict[str, pa.ChunkedArray], int]:
    """Return the columns without rows that lack a score, and how many those were."""
    import numpy as np

    gaps = np.stack([columns[f"score:{e}"].is_null().to_numpy() for e in experts], axis=1)
    lacking = np.flatnonzero(gaps.any(axis=1))
    if len(lacking) > MOST_GAPS * len(gaps):
        row, expert = int(lacking[0]), experts[int(gaps[lacking[0]].argmax())]
        raise TableError(
            f"{path}: row {row} has no 'score:{expert}', and {len(lacking)} of {len(gaps)} rows "
            f"lack some expert's score.",
            hint=f"Up to {MOST_GAPS:.0%} of the rows would be left out for it.",
        )
    if not lacking.size:
        return columns, 0
    whole = ~gaps.any(axis=1)
    return {name: column.filter(whole) for name, column in columns.items()}, len(lacking)


def _texts(path: Path, columns: dict[str, pa.ChunkedArray], name: str) -> tuple[str, ...] | None:
    if name not in columns:
        return None
    values = columns[name].to_pylist()
    for row, value in enumerate(values):
        if value is None:
            raise TableError(f"{path}: row {row} has no {name!r}.")
        if isinstance(value, bytes):
            raise TableError(f"{path}: row {row} of {name!r} holds bytes, where a text belongs.")
    return tuple(value if isinstance(value, str) else str(value) for value in values)


def _optional(
    path: Path, columns: dict[str, pa.ChunkedArray], what: str, experts: list[str]
) -> Floats | None:
    """Return the numbers called `what`, None when no expert has them."""
    if not any(name.startswith(f"{what}:") for name in columns):
        return None
    return _numbers(path, columns, what, experts, most=float("inf"))


def _numbers(
    path: Path,
    columns: dict[str, pa.ChunkedArray],
    what: str,
    experts: Iterable[str],
    most: float,
) -> Floats:
    """Return `[rows, experts]` of the columns `what:<expert>`, each value in [0, `most`]."""
    import numpy as np
    import pyarrow as pa

    arrays = []
    for expert in experts:
        name = f"{what}:{expert}"
        if name not in columns:
            raise TableError(
                f"{path}: no column {name!r}.",
                hint=f"Every expert needs one, or none has a {what!r}. "
                f"{did_you_mean(name, columns)}",
            )
        try:
            column = columns[name].cast(pa.float64())
        except pa.ArrowException as error:
            raise TableError(f"{path}: column {name!r} holds no numbers: {error}.") from error
        values = column.to_numpy()
        wrong = np.flatnonzero(~((values >= 0) & (values <= most)))
        if wrong.size:
            row = int(wrong[0])
            raise TableError(
                f"{path}: row {row} of column {name!r} is {column[row].as_py()}, and {wrong.size} "
                f"of {len(values)} rows of it are not a number from 0"
                + (" to 1." if most == 1 else " up."),
                hint="" if most > 1 else "Scale scores so that 1 is a right answer.",
            )
        with np.errstate(over="ignore"):
            arrays.append(values.astype(np.float32))
        if np.isinf(arrays[-1]).any():
            row = int(np.flatnonzero(np.isinf(arrays[-1]))[0])
            raise TableError(
                f"{path}: row {row} of column {name!r} is infinite in 32 bits: {values[row]:g}."
            )
    return np.ascontiguousarray(np.stack(arrays, axis=1))
