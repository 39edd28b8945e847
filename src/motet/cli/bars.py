"""Progress bars for long work, on standard error so that standard output stays clean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from motet.progress import Progress


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar while the block runs; it is told stage, how much is done, and the total."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    # Where nobody watches, even a bar that has gone would leave an empty line.
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("starting", total=None)

        def report(stage: str, done: float, total: float) -> None:
            bars.update(task, description=stage, completed=done, total=total or None)

        yield report


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Show a bar for each stage it is told of, as `progress_bar` does for one at a time."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    stages: dict[str, TaskID] = {}
    progress = Bars(*columns, console=Console(stderr=True))

    def report(stage: str, done: float, total: float) -> None:
        if not stages:
            progress.start()  # not before: of several processes, only one has something to show
        if stage not in stages:
            stages[stage] = progress.add_task(stage, total=None)
        progress.update(stages[stage], completed=done, total=total or None)

    try:
        yield report
    finally:
        if stages:
            progress.stop()
