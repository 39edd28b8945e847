"""Tool calls one after another, for protocols whose streams end a call before the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from motet.ids import new_id
from motet.types import Chunk


class InTurn:
    """Puts pieces of calls in order: experts may mix those of several, and split them anywhere.

    A call goes out while it comes in; another that begins meanwhile goes out at once where the
    first is whole, and else waits for the end. What else is said meanwhile waits too.
    """

    def __init__(self) -> None:
        self._calls: dict[int, _Coming] = {}
        self._now: _Coming | None = None
        self._held: list[Chunk] = []

    @property
    def _is_open(self) -> bool:
        """Whether a call has begun to go out, and more of it may come."""
        return self._now is not None and not self._now.is_whole

    def holds(self, chunk: Chunk) -> bool:
        """Return whether what a chunk says beside its calls has to wait; then it is kept here."""
        if self._is_open:
            self._held.append(chunk)
        return self._is_open

    def due(self) -> list[Chunk]:
        """Return the chunks that have waited, once nothing is in their way."""
        if self._is_open:
            return []
        due, self._held = self._held, []
        return due

    def add(
        self, pieces: Iterable[Mapping[str, Any]], *, is_last: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield what goes out now: `arguments`, and `id` and `name` where a call begins.

        Parameters
        ----------
        pieces
            Those of one chunk, as chat says them.
        is_last
            Whether no more come.
        """
        for position, piece in enumerate(pieces):
            at = piece.get("index", position)
            call = self._calls.get(at)
            if call is None:
                call = self._calls[at] = _Coming()
            call.add(piece)
            if self._now is None or (call is not self._now and self._now.is_whole):
                yield from self._next()
            if call is self._now:
                yield from call.out()
        if is_last:
            yield from self.rest()

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield the calls that have waited; no piece of those that went out is awaited any more."""
        self._now = None
        for call in self._calls.values():
            if not call.begun:
                yield from call.out()

    def _next(self) -> Iterator[dict[str, Any]]:
        """Go on to the first call that waits and has its name, if there is one."""
        waiting = (call for call in self._calls.values() if not call.begun and call.name)
        self._now = next(waiting, self._now)
        if self._now is not None:
            yield from self._now.out()


class _Coming:
    """One call: what has come of it, and how much of that has gone out."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.begun = False
        self._arguments = ""
        self._said = 0
        self._is_whole = False

    def add(self, piece: Mapping[str, Any]) -> None:
        """Take a piece."""
        function = piece.get("function") or piece.get("custom") or {}
        self.id = self.id or piece.get("id") or ""
        self.name = self.name or function.get("name") or ""
        self._arguments += function.get("arguments") or function.get("input") or ""

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are an object, after which nothing can follow."""
        if not self._is_whole:  # read once: it may be asked with every piece
            try:
                self._is_whole = isinstance(orjson.loads(self._arguments), dict)
            except orjson.JSONDecodeError:
                return False
        return self._is_whole

    def out(self) -> Iterator[dict[str, Any]]:
        """Yield what has not gone out."""
        piece: dict[str, Any] = {"arguments": self._arguments[self._said :]}
        if not self.begun:
            self.id = self.id or new_id("call", "_")
            piece |= {"id": self.id, "name": self.name}
        elif not piece["arguments"]:
            return
        self.begun, self._said = True, len(self._arguments)
        yield piece
