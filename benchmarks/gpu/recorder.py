"""Results of one part, on disk as soon as they are there, and the time that is left for more."""

from __future__ import annotations

import json
import math
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROWS = "rows.jsonl"
"""Every result of every part, a line each: `part`, `case` and what was measured."""


class Recorder:
    """Takes the results of a part.

    Parameters
    ----------
    folder
        Of the whole run.
    seconds
        That the part may take.
    """

    def __init__(self, part: str, folder: Path, seconds: float) -> None:
        self.part = part
        self.folder = folder
        self._file = folder / ROWS
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until the part shall be done."""
        return self._end - time.monotonic()

    def add(self, case: str, **values: Any) -> None:
        """Write one result."""
        named = {name: _as_json(value) for name, value in values.items()}
        line = json.dumps({"part": self.part, "case": case, **named})
        print(line, flush=True)
        with self._file.open("a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def attempt(
        self, case: str, work: Callable[[], Mapping[str, Any]], needs: float = 0.0
    ) -> Mapping[str, Any]:
        """Write what `work` returns, or why there is nothing; the part goes on either way.

        Parameters
        ----------
        needs
            Seconds below which it is not begun.

        Returns
        -------
        Mapping
            What was measured; empty where nothing was.
        """
        if self.left < needs:
            self.add(case, skipped=f"{self.left:.0f} s were left, and it needs {needs:.0f}")
            return {}
        try:
            values = work()
        except Exception as error:  # whatever a case raises is its result; the next ones go on
            traceback.print_exc()
            self.add(case, failed=f"{type(error).__name__}: {first_line(error)}")
            if "CUDA error" in str(error):  # the context is lost, and nothing after it means much
                raise
            return {}
        self.add(case, **values)
        return values

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield what is written so far, of all parts."""
        yield from read_rows(self.folder)


def _as_json(value: Any) -> Any:
    """Return what JSON has a word for: nan and infinities are results, and it has none."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Return every result in a run's folder."""
    file = folder / ROWS
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def first_line(error: BaseException) -> str:
    """Return what an error says, in a line."""
    return (str(error).splitlines() or [""])[0][:200]
