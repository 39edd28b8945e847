"""Prometheus metrics of one service. Durations are seconds.

Ingress replicas of one machine share `$PROMETHEUS_MULTIPROC_DIR`, so that `/metrics` answers for
all of them whichever one is asked.
"""

from __future__ import annotations

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from motet.composer.calls import Calls
from motet.types import Fleet

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """What an operator watches."""

    def __init__(self) -> None:
        # Sharing between processes works through files; a registry of its own keeps the values of
        # a lone process apart from those of other services in it, such as in tests.
        self._shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "motet_requests", "Requests by outcome.", ["composition", "status"], registry=registry
        )
        self.seconds = Histogram(
            "motet_request_seconds",
            "From arrival to the last byte.",
            ["composition"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.first_chunk_seconds = Histogram(
            "motet_first_chunk_seconds",
            "From arrival to the first piece of the answer.",
            ["composition"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_progress = Gauge(
            "motet_requests_in_progress",
            "Requests being answered now.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.calls = Counter(
            "motet_expert_calls",
            "Expert calls by outcome.",
            ["expert", "outcome"],
            registry=registry,
        )
        self.tokens = Counter(
            "motet_tokens", "Tokens by expert.", ["expert", "direction"], registry=registry
        )
        self.cost = Counter("motet_cost_usd", "USD spent by expert.", ["expert"], registry=registry)
        self.ready = Gauge(
            "motet_expert_ready",
            "1 while the expert can take a request.",
            ["expert"],
            multiprocess_mode="livemax",
            registry=registry,
        )

    def finished(self, composition: str, status: str, calls: Calls | None) -> None:
        """Count one request and its expert calls."""
        self.requests.labels(composition, status).inc()
        if calls is None:
            return
        self.seconds.labels(composition).observe(calls.elapsed_s)
        for call in calls.trace:
            self.calls.labels(call.expert, "error" if call.error else "ok").inc()
            self.tokens.labels(call.expert, "prompt").inc(call.usage.prompt_tokens)
            self.tokens.labels(call.expert, "completion").inc(call.usage.completion_tokens)
            self.cost.labels(call.expert).inc(call.cost_usd)

    def render(self, fleet: Fleet) -> bytes:
        """Return the text that Prometheus scrapes."""
        for name, member in fleet.items():
            self.ready.labels(name).set(1 if member.health.ready else 0)
        registry = self._registry
        if self._shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
