"""Prometheus metrics of one service. Durations are seconds.

Ingress replicas of one machine share `$PROMETHEUS_MULTIPROC_DIR`, so that `/metrics` answers for
all of them whichever one is asked.
"""

from __future__ import annotations

import os
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from motet.operations.base import Observer, Outcome
from motet.types import Call, Fleet, Request

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics(Observer):
    """What an operator watches of every request."""

    def __init__(self) -> None:
        # Sharing between processes works through files; a registry of its own keeps the values of
        # a lone process apart from those of other services in it, such as in tests.
        self._shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        # The library checks labels each time anew, which takes longer than to count.
        self._label = cache(lambda metric, *labels: metric.labels(*labels))
        self.registry = registry = CollectorRegistry()
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

    def began(self, request: Request, composition: str) -> None:
        """Count a request under way."""
        self.in_progress.inc()

    def called(self, request: Request, composition: str, call: Call) -> None:
        """Count one expert call."""
        self._label(self.calls, call.expert, "error" if call.error else "ok").inc()
        self._label(self.tokens, call.expert, "prompt").inc(call.usage.prompt_tokens)
        self._label(self.tokens, call.expert, "completion").inc(call.usage.completion_tokens)
        self._label(self.cost, call.expert).inc(call.cost_usd)

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Count one request."""
        # Counted before it leaves, so that whoever reads in between does not miss it.
        self._label(self.requests, composition, outcome.status).inc()
        self.in_progress.dec()
        self._label(self.seconds, composition).observe(outcome.seconds)
        if outcome.first_chunk_s is not None:
            self._label(self.first_chunk_seconds, composition).observe(outcome.first_chunk_s)

    def render(self, fleet: Fleet) -> bytes:
        """Return the text that Prometheus scrapes."""
        for name, member in fleet.items():
            self.ready.labels(name).set(1 if member.health.ready else 0)
        registry = self.registry
        if self._shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class SwapMetrics:
    """What `residency` does; a `Watcher` of the swapper."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._leases = Counter(
            "motet_residency_leases",
            "Requests for experts that come and go: hit, waited, refused, or left while waiting.",
            ["expert", "outcome"],
            registry=registry,
        )
        self._wait_seconds = Histogram(
            "motet_residency_wait_seconds",
            "From asking to a place on a loaded engine.",
            ["expert"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._loads = Counter(
            "motet_residency_loads",
            "Loads by outcome.",
            ["engine", "outcome"],
            registry=registry,
        )
        self._load_seconds = Histogram(
            "motet_residency_load_seconds",
            "How long loading takes.",
            ["engine"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._evictions = Counter(
            "motet_residency_evictions", "Engines that left.", ["engine"], registry=registry
        )
        self._bytes = Gauge(
            "motet_residency_bytes",
            "Memory that engines take, of the budget.",
            ["of"],
            multiprocess_mode="livemax",
            registry=registry,
        )

    def leased(self, expert: str, outcome: str, seconds: float) -> None:
        """Count the end of waiting; see `Watcher`."""
        self._leases.labels(expert, outcome).inc()
        if outcome in ("hit", "waited"):
            self._wait_seconds.labels(expert).observe(seconds)

    def loaded(self, engine: str, outcome: str, seconds: float) -> None:
        """Count a load."""
        self._loads.labels(engine, outcome).inc()
        if outcome == "ok":
            self._load_seconds.labels(engine).observe(seconds)

    def unloaded(self, engine: str) -> None:
        """Count an engine that has left."""
        self._evictions.labels(engine).inc()

    def holds(self, used: int, budget: int) -> None:
        """Show what is taken, and what may be."""
        self._bytes.labels("used").set(used)
        self._bytes.labels("budget").set(budget)
