"""The observers that a config asks for."""

from __future__ import annotations

from collections.abc import Iterator

from motet.config import Telemetry
from motet.operations.base import Observer
from motet.operations.logs import RequestLog
from motet.operations.tracing import Tracing


def tracing_of(settings: Telemetry) -> Tracing | None:
    """Return which span each request is; None where no traces are kept."""
    return None if settings.otlp is None else Tracing(settings.sample)


def watchers(settings: Telemetry, tracing: Tracing | None) -> Iterator[Observer]:
    """Yield what hears of every request because `telemetry` says so."""
    if settings.requests:
        yield RequestLog()
    if tracing is not None:
        from motet.operations.spans import Tracer  # protobuf, for those who trace

        yield Tracer.of(settings, tracing)
