"""Files of columns as they stand: Parquet, CSV and JSON lines, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from motet.errors import TableError
from motet.files import read_lines, read_text
from motet.wording import did_you_mean, shown

if TYPE_CHECKING:
    import pyarrow as pa

_LARGEST_BLOCK = 1 << 30


def read_columns(
    path: Path, what: str, *, texts: tuple[str, ...], numbers: tuple[str, ...]
) -> dict[str, pa.ChunkedArray]:
    """Return the columns of a file by name, in their order.

    Parameters
    ----------
    what
        What the file is called in messages.
    texts
        Names of columns of text, which are read as they stand: a reader that guesses makes 7 of
        "007", and a time of a date.
    numbers
        Beginnings of the names of columns of numbers. What others hold does not matter.

    Raises
    ------
    TableError
        The file cannot be read; where it is text, the line is named.
    """
    if path.suffix not in READERS:
        raise TableError(f"{path}: a {what} is one of {', '.join(READERS)}.")
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*") if p.suffix in READERS]
        raise TableError(
            f"{path}: there is no such file.",
            hint=did_you_mean(path.name, beside) if beside else "",
        )
    import pyarrow as pa

    try:
        table = READERS[path.suffix](path, texts, numbers)
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: {_fault(path, error)}") from error
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise TableError(f"{path}: column {doubled[0]!r} stands there twice.")
    return dict(zip(names, table.columns, strict=True))


def _read_parquet(path: Path, texts: tuple[str, ...], numbers: tuple[str, ...]) -> pa.Table:
    from pyarrow.parquet import read_table

    return read_table(path)


def _read_csv(path: Path, texts: tuple[str, ...], numbers: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    # One block, so that no row is longer than one, and the first rows settle no type.
    block = min(path.stat().st_size + 1, _LARGEST_BLOCK)
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(block_size=block),
        parse_options=csv.ParseOptions(newlines_in_values=True),  # as questions have
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string())),
    )


def _read_json(path: Path, texts: tuple[str, ...], numbers: tuple[str, ...]) -> pa.Table:
    """Return the table of a file of JSON objects, one a line.

    pyarrow's own reader makes times of dates, and ends the process where a line is `null`.
    """
    import pyarrow as pa

    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise TableError(f"{path}:{number}: this line is no JSON: {error}.") from None
        if not isinstance(row, dict):
            raise TableError(f"{path}:{number}: expected a JSON object, got {shown(row)}.")
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [
        _column(path, name, [row.get(name) for row in rows])
        if name in texts or name.startswith(numbers)
        else pa.nulls(len(rows))
        for name in names
    ]
    return pa.table(columns, names=names)


def _column(path: Path, name: str, values: list[Any]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        given = [(row, value) for row, value in enumerate(values) if value is not None]
        kind = type(given[0][1])
        row, value = next((each for each in given if type(each[1]) is not kind), given[0])
        raise TableError(
            f"{path}: row {row} of column {name!r} is {shown(value)}, unlike those before it."
        ) from None


def _fault(path: Path, error: Exception) -> str:
    """Return what is wrong with a file, in words that say where."""
    if path.suffix != ".parquet":
        try:
            read_text(path)
        except OSError as unreadable:
            return f"{unreadable.strerror or unreadable}."
    return f"{str(error).strip().rstrip('.')}."


READERS: dict[str, Callable[..., pa.Table]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_json,
}
"""How a file is read, by the end of its name."""
