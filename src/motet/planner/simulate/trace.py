"""Traces: when which expert is asked, and how much work that is; made up or read from a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from motet.errors import TableError
from motet.tables import read_columns
from motet.wording import did_you_mean

_GAP_S = 0.5
"""Mean seconds between the requests of one burst."""
_SPREAD = 0.5
"""Standard deviation of the logarithm of a request's seconds."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in the order of their arrival.

    Attributes
    ----------
    names
        Expert ids.
    at
        Seconds of arrival, shape (requests,), ascending.
    expert
        Which of `names` each asks for, shape (requests,).
    seconds
        How long each takes on an engine that has nothing else to do, shape (requests,).
    """

    names: tuple[str, ...]
    at: npt.NDArray[np.float64]
    expert: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.at)

    def of(self, names: Collection[str]) -> tuple[Trace, npt.NDArray[np.int64]]:
        """Return the requests for some experts, and their numbers in this trace."""
        wanted = np.array([name in names for name in self.names])
        rows = np.flatnonzero(wanted[self.expert])
        return Trace(self.names, self.at[rows], self.expert[rows], self.seconds[rows]), rows


def make_trace(
    names: Sequence[str],
    requests: int,
    *,
    rate: float,
    skew: float = 1.0,
    burst: float = 4.0,
    seconds: float = 1.0,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Trace:
    """Return a trace of bursts: runs of requests for one expert, as a conversation or a job makes.

    Bursts begin at random (Poisson); their lengths are geometric, the experts that they ask for
    drawn by Zipf's law in the order of `names`, and work is log-normal.

    Parameters
    ----------
    rate
        Requests a second on average.
    skew
        Zipf's exponent: the n-th expert's traffic is as 1 / n^skew; 0 for all alike.
    burst
        Mean requests of a burst; 1 for none.
    seconds
        Mean seconds of a request.
    weights
        Traffic of each expert, in place of Zipf's law; 0 for experts it leaves out.
    """
    rng = np.random.default_rng(seed)
    if weights is None:
        shares = np.arange(1, len(names) + 1, dtype=np.float64) ** -skew
    else:
        shares = np.array([weights.get(name, 0.0) for name in names])
    lengths = rng.geometric(1 / burst, size=requests)  # enough: each has one request at least
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), requests)) + 1]
    starts = np.cumsum(rng.exponential(burst / rate, size=len(lengths)))
    owner = np.repeat(np.arange(len(lengths)), lengths)[:requests]
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    gaps = np.cumsum(rng.exponential(_GAP_S, size=len(owner)))
    at = starts[owner] + gaps - gaps[first[owner]]
    chosen = rng.choice(len(names), size=len(lengths), p=shares / shares.sum())
    work = rng.lognormal(np.log(seconds) - _SPREAD**2 / 2, _SPREAD, size=len(owner))
    order = np.argsort(at, kind="stable")
    return Trace(tuple(names), at[order], chosen[owner][order], work[order])


def read_trace(path: Path, names: Sequence[str], seconds: float) -> Trace:
    """Return the trace in a `.csv`, `.jsonl` or `.parquet` file.

    Columns are `at` (seconds), `expert` (an id) and, unless all take `seconds`, `seconds`.

    Raises
    ------
    TableError
        The file cannot be read, lacks a column, or names an expert that there is none of.
    """
    table = read_columns(path, "trace", texts=("expert",), numbers=("at", "seconds"))
    for column in ("at", "expert"):
        if column not in table:
            hint = did_you_mean(column, table)
            raise TableError(f"{path}: no column {column!r}. {hint}")
    if not len(table["at"]):
        raise TableError(f"{path} holds no request.")
    known = {name: number for number, name in enumerate(names)}
    experts = [str(name) for name in table["expert"].to_pylist()]
    for row, name in enumerate(experts):
        if name not in known:
            hint = did_you_mean(name, names)
            raise TableError(f"{path}, row {row + 1}: no expert {name!r} holds a model. {hint}")
    at = _numbers(path, table, "at")
    work = np.full(len(at), seconds)
    if "seconds" in table:
        work = _numbers(path, table, "seconds")
    order = np.argsort(at, kind="stable")
    numbers = np.array([known[name] for name in experts], dtype=np.int64)
    return Trace(tuple(names), at[order] - at.min(initial=np.inf), numbers[order], work[order])


def _numbers(path: Path, table: Mapping[str, Any], column: str) -> npt.NDArray[np.float64]:
    try:
        values: npt.NDArray[np.float64] = np.array(table[column].to_pylist(), dtype=np.float64)
    except (TypeError, ValueError):
        raise TableError(f"{path}: column {column!r} holds something other than numbers.") from None
    bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(bad):
        row = int(bad[0])
        raise TableError(
            f"{path}, row {row + 1}: {column} is {values[row]}, and must be a number of at least 0."
        )
    return values
