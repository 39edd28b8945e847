"""Result files: both whole and in the input's order, or neither."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from motet.batch.store import Store
from motet.errors import BatchError


async def write_results(store: Store, job: str, out: Path, errors: Path) -> tuple[int, int]:
    """Write the results of a job that there are; return how many lines went to `out`, `errors`.

    Without a failed line there is no file at `errors` afterwards.

    Raises
    ------
    BatchError
        A file cannot be written; both places are as they were.
    """
    with ExitStack() as stack:
        files = [_Temporary(path) for path in (out, errors)]
        for file in files:
            stack.callback(file.remove)
        await store.copy_results(job, lambda result, failed: files[failed].write(result))
        return _put(*files)


def _put(written: _Temporary, failed: _Temporary) -> tuple[int, int]:
    written.finish()
    failed.finish()
    if failed.lines:
        failed.move()
    else:
        failed.path.unlink(missing_ok=True)
    written.move()  # last: where it stands, all is done
    return written.lines, failed.lines


class _Temporary:
    """A file that comes to its place only when it is whole."""

    def __init__(self, path: Path) -> None:
        self.lines = 0
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self._file: BinaryIO = self._temporary.open("wb")
        except OSError as error:
            raise self._failure(error) from None

    def write(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            raise self._failure(error) from None
        self.lines += 1

    def finish(self) -> None:
        """Write the file through to the disk."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._failure(error) from None

    def move(self) -> None:
        try:
            self._temporary.replace(self.path)
        except OSError as error:
            raise self._failure(error) from None

    def remove(self) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # what could not be flushed is not wanted any more
        self._temporary.unlink(missing_ok=True)

    def _failure(self, error: OSError) -> BatchError:
        return BatchError(
            f"{self.path}: cannot be written: {error.strerror or error}.",
            hint="Every answer is kept: make room, and run it again to write the file.",
        )
