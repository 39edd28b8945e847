"""Result files: both whole and in the input's order, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from motet.errors import BatchError
from motet.files import replacing, to_disk
from motet.store.jobs import Jobs


async def write_results(jobs: Jobs, job: str, out: Path, errors: Path) -> tuple[int, int]:
    """Write the results of a job that there are; return how many lines went to `out`, `errors`.

    Without a failed line there is no file at `errors` afterwards.

    Raises
    ------
    BatchError
        A file cannot be written; both places are as they were.
    """
    lines = [0, 0]
    with ExitStack() as places:
        # The last to be entered is the first to be renamed: where `out` stands, all is done.
        written, failed = (places.enter_context(_made(path)) for path in (out, errors))

        def write(result: bytes, is_failed: bool) -> None:
            with _told(errors if is_failed else out):
                (failed if is_failed else written).write(result)
            lines[is_failed] += 1

        await jobs.copy_results(job, write)
        for path, file in ((out, written), (errors, failed)):
            _finish(path, file)  # both are on the disk before either takes its place

        def settle() -> None:
            if not lines[True]:
                _remove(errors, failed)
            places.pop_all().close()

        # A process that has lost the job must not put its files in the place of the winner's.
        await jobs.alone(settle)
    return lines[False], lines[True]


@contextmanager
def _made(path: Path) -> Iterator[BinaryIO]:
    with _told(path), replacing(path) as temporary, temporary.open("wb") as file:
        yield file


def _finish(path: Path, file: BinaryIO) -> None:
    with _told(path):
        file.flush()
        to_disk(Path(file.name))


def _remove(path: Path, file: BinaryIO) -> None:
    Path(file.name).unlink()
    path.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of which file a failure of the disk is."""
    try:
        yield
    except OSError as error:
        raise BatchError(
            f"{path}: cannot be written: {error.strerror or error}.",
            hint="Every answer is kept: make room, and run it again to write the file.",
        ) from None
