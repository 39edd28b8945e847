"""Which span a request is, and whether it is kept."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

from motet.types import Request, SpanContext

_BITS = 56
"""Bits of a trace id that are random by its definition, and by which services sample alike."""


class Tracing:
    """Gives every request its span.

    Ids follow from the request's own, which nobody can guess. So what passes them on and what
    writes them down work them out apart, and need tell each other nothing.

    Parameters
    ----------
    sample
        Share of the traces that begin here and are kept. What comes with a trace is kept where its
        sender keeps it.
    """

    def __init__(self, sample: float = 1.0) -> None:
        self._below = int(sample * 2**_BITS)

    def span_of(self, request: Request) -> SpanContext:
        """Return the span of a request: below the client's, or the first of a trace of its own."""
        digits = blake2b(request.id.encode(), digest_size=24).hexdigest()
        span_id, trace_id = digits[:16], digits[16:]
        if request.trace is not None:
            return replace(request.trace, span_id=span_id)
        sampled = int(trace_id[-_BITS // 4 :], 16) < self._below
        return SpanContext(trace_id, span_id, sampled)
