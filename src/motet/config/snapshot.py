"""Every config that was in place, as it was written: to see what ran when, and to go back."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from motet import files
from motet.config.load import Document
from motet.config.setting import default_state
from motet.errors import NotFound

_MOST = 100
"""Snapshots that are kept; the oldest go."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A config that was in place.

    Attributes
    ----------
    number
        Counted from 1 for each config file.
    hash
        Of its text: the first sixteen digits of SHA-256.
    at
        When it came in place, as a Unix time in seconds.
    text
        As it was written, `${ENV}` unexpanded.
    """

    number: int
    hash: str
    at: int
    text: str


def hash_of_text(text: str) -> str:
    """Return what a config is known by."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Snapshots:
    """The snapshots of one config file, in a folder that only its user can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, document: Document) -> Snapshots:
        """Return those of a document's file."""
        return cls(default_state() / document.mark / "configs")

    def add(self, text: str) -> Snapshot:
        """Keep a config that is in place now; the one that is there already is not kept twice."""
        newest = next(iter(self.listing()), None)
        kept_hash = hash_of_text(text)
        if newest is not None and newest.hash == kept_hash:
            return newest
        number = 1 if newest is None else newest.number + 1
        snapshot = Snapshot(number, kept_hash, int(time.time()), text)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with files.replacing(self._path(number)) as temporary, files.private(temporary) as file:
            file.write(orjson.dumps(asdict(snapshot)))
        for old in self._numbers()[_MOST:]:
            self._path(old).unlink(missing_ok=True)
        return snapshot

    def listing(self) -> list[Snapshot]:
        """Return all of them, newest first."""
        return [self._read(number) for number in self._numbers()]

    def get(self, number: int) -> Snapshot:
        """Return one.

        Raises
        ------
        NotFound
            There is none with that number.
        """
        numbers = self._numbers()
        if number not in numbers:
            raise NotFound("snapshot", str(number), [str(each) for each in numbers])
        return self._read(number)

    def _numbers(self) -> list[int]:
        names = (path.stem for path in self._folder.glob("*.json"))
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def _read(self, number: int) -> Snapshot:
        return Snapshot(**orjson.loads(self._path(number).read_bytes()))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.json"
