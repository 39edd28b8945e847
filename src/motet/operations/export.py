"""Spans sent to a collector, by OpenTelemetry's protocol over HTTP, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from motet.transport.retry import Retry

log = logging.getLogger(__name__)

_MOST_WAITING = 8192
_AT_ONCE = 512
_GATHER_S = 0.5
"""Seconds that spans gather, so that many go in one request."""
_PATIENCE_S = 5.0
_LAST_S = 1.5
"""Seconds for what is left when the service closes."""
_PASSING = frozenset({429, 502, 503, 504})
"""What the protocol lets a sender try again after."""
_RETRY = Retry(attempts=4, first_s=1.0, longest_s=8.0)


class Exporter:
    """Sends spans a moment later; nobody waits for it.

    While the collector is away, spans wait up to a bound; those beyond it, and those that it still
    does not take after some tries, are dropped, counted and logged.

    Parameters
    ----------
    base
        The collector's URL; `/v1/traces` is added to its path.
    headers
        Of every request to it.
    resource
        What the spans are of.

    Attributes
    ----------
    dropped
        Spans that the collector did not get.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        resource: Resource,
        scope: InstrumentationScope,
        *,
        bound: int = _MOST_WAITING,
        retry: Retry = _RETRY,
    ) -> None:
        url = httpx.URL(base)
        self._url = url.copy_with(path=url.path.rstrip("/") + "/v1/traces")
        self._shown = str(url.copy_with(username=None, password=None, query=None))
        self._headers = {**headers, "content-type": "application/x-protobuf"}
        self._resource = resource
        self._scope = scope
        self._bound = bound
        self._retry = retry
        self.dropped = 0
        self._is_away = False
        self._spans: deque[Span] = deque()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, span: Span) -> None:
        """Have a span sent soon."""
        if len(self._spans) >= self._bound:
            self._lost(1, "it takes them more slowly than they come")
            return
        self._spans.append(span)
        if self._thread is None:
            self._ending = threading.Event()  # of this thread alone: one before may still hang
            # A daemon: a collector that hangs must not keep the process alive.
            self._thread = threading.Thread(
                target=self._run, args=[self._ending], name="spans", daemon=True
            )
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Send what is left, within a moment, and end the thread; `put` would begin a new one."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending.set()
            self._wake.set()
            thread.join(_LAST_S)

    def _run(self, ending: threading.Event) -> None:
        with httpx.Client(timeout=_PATIENCE_S, headers=self._headers) as client:
            is_last = False
            while not is_last:
                self._wake.wait()
                self._wake.clear()
                is_last = ending.wait(_GATHER_S)
                while self._spans:
                    count = min(len(self._spans), _AT_ONCE)
                    self._send(client, [self._spans.popleft() for _ in range(count)], ending)

    def _send(self, client: httpx.Client, spans: list[Span], ending: threading.Event) -> None:
        of_scope = ScopeSpans(scope=self._scope, spans=spans)
        of_resource = ResourceSpans(resource=self._resource, scope_spans=[of_scope])
        content = ExportTraceServiceRequest(resource_spans=[of_resource]).SerializeToString()
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = client.post(self._url, content=content)
            except httpx.HTTPError as error:
                why, passing = type(error).__name__, True
            else:
                if reply.is_success:
                    self._taken(reply)
                    return
                why, passing = f"status {reply.status_code}", reply.status_code in _PASSING
            wait_s = self._retry.wait_s(attempt) if passing else None
            if wait_s is None or ending.wait(wait_s):
                self._lost(len(spans), why)
                return

    def _taken(self, reply: httpx.Response) -> None:
        self._is_away = False
        try:
            said = ExportTraceServiceResponse.FromString(reply.content).partial_success
        except ValueError:  # google.protobuf's DecodeError: it has taken them all the same
            return
        if said.rejected_spans:
            self._lost(said.rejected_spans, "it refused some")

    def _lost(self, count: int, why: str) -> None:
        self.dropped += count
        if not self._is_away:  # said once, until it is back
            self._is_away = True
            log.error("the collector at %s misses spans: %s", self._shown, why)
