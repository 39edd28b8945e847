"""What models wrote is run and read in a process of its own, behind a wall of the kernel.

Python, queries, patterns and JSON are jobs of `inside`. Its processes are started as they are
needed, one for each job at a time, and kept for the next ones; each job runs in a fork. No
environment, no descriptor and no file of this process reaches it, and what comes back is read to a
bound. Where the system has no wall, nothing is run, unless `MOTET_GRADE_WITHOUT_WALL` says so.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from motet.errors import NoWall
from motet.grading import inside

WITHOUT_WALL = "MOTET_GRADE_WITHOUT_WALL"
_ENDED = "the process for it has ended"


def run(task: str, *arguments: Any, seconds: float = 2.0, memory_mib: int = 256) -> Any:
    """Return what a task of `inside.TASKS` makes of its arguments, all of them JSON.

    Blocks: asynchronous code calls it in a thread.

    Returns
    -------
    Any
        None where it fails, takes more than `seconds` of time or `memory_mib` MiB, or returns more
        than a MiB or what JSON cannot hold.

    Raises
    ------
    NoWall
        There is no wall here, and nobody said that none is needed.
    """
    job = json.dumps([task, *arguments]).encode()
    try:
        with _worker() as worker:
            result = worker.ask(inside.HEADER.pack(seconds, memory_mib << 20, len(job)) + job)
        return json.loads(result) if result else None
    except EOFError:  # the system ended it, as it does where memory is short
        return None
    except (ValueError, RecursionError):
        return None


def check_wall() -> None:
    """Raise NoWall where `run` would."""
    with _worker():
        pass


def call(
    code: str, function: str, calls: list[list[Any]], *, seconds: float, memory_mib: int
) -> list[Any] | None:
    """Return what `function` of `code` returns for each list of arguments; None as `run` says."""
    returned = run("python", code, function, calls, seconds=seconds, memory_mib=memory_mib)
    return returned if isinstance(returned, list) else None


class _Worker:
    """A process of `inside`.

    Attributes
    ----------
    lack
        Why there is no wall around its jobs; nothing where there is one.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", inside.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )
        try:
            self.lack = self._read().decode()
        except EOFError as error:
            self.lack = str(error)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, job: bytes) -> bytes:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(job)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EOFError(_ENDED) from None
        return self._read()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        header = self._process.stdout.read(inside.SIZE.size)
        if len(header) < inside.SIZE.size:
            raise EOFError(_ENDED)
        return self._process.stdout.read(inside.SIZE.unpack(header)[0])


_idle: list[_Worker] = []


@contextmanager
def _worker() -> Iterator[_Worker]:
    """Lend a process with a wall around its jobs; one that failed at a job gets no other."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    if not worker.alive and not worker.lack:  # it was ended while nobody used it
        worker.close()
        worker = _Worker()
    try:
        if worker.lack and not os.environ.get(WITHOUT_WALL):
            raise NoWall(
                f"What models write cannot be run safely here: {worker.lack}.",
                hint=f"Grade on Linux, or in a container that holds nothing else, with "
                f"{WITHOUT_WALL}=1.",
            )
        yield worker
    except BaseException:
        worker.close()
        raise
    _idle.append(worker)


@atexit.register
def _close() -> None:
    while _idle:
        _idle.pop().close()


# A fork of this process would speak into the same pipes.
os.register_at_fork(after_in_child=_idle.clear)
