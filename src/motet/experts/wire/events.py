"""Server-sent events as hosts send them, however their bytes are cut."""

from __future__ import annotations

from collections.abc import Iterator

from motet.protocol.frames import DONE

_BOM = b"\xef\xbb\xbf"


class Events:
    """Takes the data of events out of the bytes of a stream.

    Lines end in LF, CR LF or CR. Standard events end with an empty line and may have several lines
    of data; some hosts send one line an event and no empty line, so a line of data that looks like
    a whole JSON value goes out at once. (https://html.spec.whatwg.org/multipage/server-sent-events.html)

    Attributes
    ----------
    pending
        Bytes that are held because their line has not ended.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._data: list[bytes] = []
        self._begun = False

    @property
    def pending(self) -> int:
        """Bytes that are held until more come."""
        return len(self._buffer) + sum(map(len, self._data))

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of every event that `piece` completes."""
        if self._begun and not self.pending and piece.endswith(b"\n\n") and b"\r" not in piece:
            # What nearly every piece is: whole events.
            for line in piece.split(b"\n")[:-1]:
                if line or self._data:
                    yield from self._line(line)
            return
        self._buffer += piece
        if not self._begun and len(self._buffer) >= len(_BOM):
            self._begun = True
            if self._buffer.startswith(_BOM):
                del self._buffer[: len(_BOM)]
        if b"\n" not in piece and b"\r" not in piece:
            return
        # A CR at the very end may be the first half of CR LF: its line waits for the next byte.
        end = max(self._buffer.rfind(b"\n"), self._buffer.rfind(b"\r", 0, len(self._buffer) - 1))
        if end < 0:
            return
        block = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        for line in _lines(block):
            yield from self._line(line)

    def end(self) -> Iterator[bytes]:
        """Yield what a stream without a last line break leaves."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        for line in _lines(rest):
            yield from self._line(line)
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[bytes]:
        if not line:
            if self._data:
                yield b"\n".join(self._data)
                self._data.clear()
            return
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if not self._data and (data == DONE or _is_whole(data)):
            yield data
        elif data or self._data:
            self._data.append(data)


def _lines(block: bytes) -> list[bytes]:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = block.split(b"\n")
    return lines[:-1] if block.endswith(b"\n") else lines


def _is_whole(data: bytes) -> bool:
    """Return whether a line of data looks as if it needs no other to be read."""
    return data.startswith((b"{", b"[{")) and data.endswith((b"}", b"}]"))
