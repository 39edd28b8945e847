"""Where a span stands in a trace, as services tell one another (W3C Trace Context)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Self

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_MOST_STATE = 512
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class SpanContext:
    """Names one span, so that others can stand below it.

    Attributes
    ----------
    trace_id, span_id
        32 and 16 hexadecimal digits.
    sampled
        Whether the trace is kept.
    state
        What other systems of the trace want passed on (`tracestate`).
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""

    @classmethod
    def read(cls, traceparent: str, state: str = "") -> Self | None:
        """Return what two headers say; None where the first is no `traceparent`."""
        said = _TRACEPARENT.fullmatch(traceparent.strip())
        if said is None or (said[1] == "00" and said[5]):
            return None  # only later versions have more fields
        if not (len(state) <= _MOST_STATE and state.isascii() and state.isprintable()):
            state = ""
        return cls(said[2], said[3], bool(int(said[4], 16) & _SAMPLED), state)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell another service of it."""
        flags = _SAMPLED if self.sampled else 0
        headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{flags:02x}"}
        if self.state:
            headers["tracestate"] = self.state
        return headers

    def child(self, name: str | int) -> Self:
        """Return the span of that name below this one: the same, whoever works it out."""
        digest = blake2b(f"{self.span_id}/{name}".encode(), digest_size=8)
        return replace(self, span_id=digest.hexdigest())
