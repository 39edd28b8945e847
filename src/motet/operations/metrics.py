"""Prometheus metrics of one service. Durations are seconds.

Ingress replicas of one machine share `$PROMETHEUS_MULTIPROC_DIR`, so that `/metrics` answers for
all of them whichever one is asked.
"""

from __future__ import annotations

import os
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from motet.operations.base import Observer, Outcome
from motet.types import Call, Decision, Fleet, Purpose, Request

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_QUICK = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10)
_TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_MOST_KEYS = 200
_OTHERS = "others"
"""Keys beyond so many count as one: each has series of its own, for as long as the service runs."""
_CANCELLED = "cancelled"


class Metrics(Observer):
    """What an operator watches of every request.

    Parameters
    ----------
    waiting
        Returns how many requests wait for a place at an expert, by its name.
    """

    def __init__(self, waiting: Callable[[str], int] = lambda expert: 0) -> None:
        # Sharing between processes works through files; a registry of its own keeps the values of
        # a lone process apart from those of other services in it, such as in tests.
        self._shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        # The library checks labels each time anew, which takes longer than to count.
        self._label = cache(lambda metric, *labels: metric.labels(*labels))
        self._waiting_at = waiting
        self._keys: set[str] = set()
        self._lost = Counts[str]()
        self.registry = CollectorRegistry()
        self._of_requests()
        self._of_decisions()
        self._of_experts()

    def _of_requests(self) -> None:
        self.requests = self._count(
            "motet_requests", "Requests by outcome.", "composition", "status"
        )
        self.seconds = self._spread(
            "motet_request_seconds", "From arrival to the last byte.", "composition"
        )
        self.first_chunk_seconds = self._spread(
            "motet_first_chunk_seconds",
            "From arrival to the first piece of the answer.",
            "composition",
        )
        self.in_progress = Gauge(
            "motet_requests_in_progress",
            "Requests being answered now.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.key_requests = self._count(
            "motet_key_requests", "Requests by key.", "key", "tenant", "status"
        )
        self.key_tokens = self._count("motet_key_tokens", "Tokens by key.", "key", "tenant")
        self.key_cost = self._count("motet_key_cost_usd", "USD spent by key.", "key", "tenant")
        self.observer_dropped = self._count(
            "motet_observer_dropped",
            "What observers were too slow to hear, or could not pass on.",
            "observer",
        )

    def _of_decisions(self) -> None:
        self.decisions = self._count(
            "motet_decisions",
            "Decisions by the expert chosen first.",
            "composition",
            "router",
            "expert",
        )
        self.decision_seconds = self._spread(
            "motet_decision_seconds", "From arrival to the decision.", "composition", buckets=_QUICK
        )
        self.confidence = self._spread(
            "motet_decision_confidence",
            "How sure routers were, from 0 to 1.",
            "router",
            buckets=_TENTHS,
        )
        self.fallbacks = self._count(
            "motet_fallbacks",
            "Failures of experts that others made good.",
            "composition",
            "expert",
        )

    def _of_experts(self) -> None:
        self.calls = self._count(
            "motet_expert_calls", "Expert calls by outcome.", "expert", "outcome"
        )
        self.call_seconds = self._spread(
            "motet_expert_call_seconds", "How long expert calls take.", "expert"
        )
        self.call_first_chunk_seconds = self._spread(
            "motet_expert_first_chunk_seconds",
            "From an expert call's beginning to its first piece.",
            "expert",
        )
        self.tokens = self._count("motet_tokens", "Tokens by expert.", "expert", "direction")
        self.cost = self._count("motet_cost_usd", "USD spent by expert.", "expert")
        self.waiting = Gauge(
            "motet_expert_waiting",
            "Requests that wait for a place at the expert.",
            ["expert"],
            multiprocess_mode="livesum",
            registry=self.registry,
        )

    def _count(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _spread(
        self, name: str, about: str, *labels: str, buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        return Histogram(name, about, labels, buckets=buckets, registry=self.registry)

    def began(self, request: Request, composition: str) -> None:
        """Count a request under way."""
        self.in_progress.inc()

    def decided(self, request: Request, composition: str, decision: Decision) -> None:
        """Count one decision."""
        self._label(self.decisions, composition, decision.router, decision.primary).inc()
        self._label(self.confidence, decision.router).observe(decision.confidence)

    def called(self, request: Request, composition: str, call: Call) -> None:
        """Count one expert call."""
        expert = call.expert
        self._label(self.calls, expert, _outcome(call)).inc()
        self._label(self.tokens, expert, "prompt").inc(call.usage.prompt_tokens)
        self._label(self.tokens, expert, "completion").inc(call.usage.completion_tokens)
        self._label(self.cost, expert).inc(call.cost_usd)
        if call.finished is not None and call.error is None:
            self._label(self.call_seconds, expert).observe(call.finished - call.started)
        if call.first_chunk is not None:
            wait_s = call.first_chunk - call.started
            self._label(self.call_first_chunk_seconds, expert).observe(wait_s)
        # Whoever waits moves up when a call ends, and has the number put right.
        self._label(self.waiting, expert).set(self._waiting_at(expert))

    def finished(self, request: Request, composition: str, outcome: Outcome) -> None:
        """Count one request."""
        # Counted before it leaves, so that whoever reads in between does not miss it.
        self._label(self.requests, composition, outcome.status).inc()
        self.in_progress.dec()
        self._label(self.seconds, composition).observe(outcome.seconds)
        if outcome.decided_s is not None:
            self._label(self.decision_seconds, composition).observe(outcome.decided_s)
        if outcome.first_chunk_s is not None:
            self._label(self.first_chunk_seconds, composition).observe(outcome.first_chunk_s)
        if outcome.status == "ok":
            for call in outcome.calls:
                if call.error and call.code != _CANCELLED and call.purpose is Purpose.ANSWER:
                    self._label(self.fallbacks, composition, call.expert).inc()
        if request.caller.key:
            self._count_key(request, outcome)

    def _count_key(self, request: Request, outcome: Outcome) -> None:
        key, tenant = request.caller.key, request.caller.tenant
        if key not in self._keys:
            if len(self._keys) >= _MOST_KEYS:
                key = tenant = _OTHERS
            else:
                self._keys.add(key)
        self._label(self.key_requests, key, tenant, outcome.status).inc()
        self._label(self.key_tokens, key, tenant).inc(outcome.usage.total_tokens)
        self._label(self.key_cost, key, tenant).inc(outcome.cost_usd)

    def render(self, fleet: Fleet, lost: Mapping[str, int] = {}) -> bytes:
        """Return the text that Prometheus scrapes.

        Parameters
        ----------
        fleet
            The experts that there are now: who has left is not shown as ready or not.
        lost
            What observers have missed so far, by kind.
        """
        for name in fleet:
            self._label(self.waiting, name).set(self._waiting_at(name))
        for observer, count in lost.items():
            self._label(self.observer_dropped, observer).inc(count - self._lost[observer])
            self._lost[observer] = count
        registry = self.registry
        if self._shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(_Ready(fleet))


def _outcome(call: Call) -> str:
    """Return how a call ended; one that nobody waited for any more is no fault of its expert."""
    if call.code == _CANCELLED:
        return "stopped"
    return "error" if call.error else "ok"


class _Ready(Collector):
    """Who is ready, as this process sees it: all replicas see the same."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Any]:
        """Yield the one metric."""
        ready = GaugeMetricFamily(
            "motet_expert_ready", "1 while the expert can take a request.", labels=["expert"]
        )
        for name, member in self._fleet.items():
            ready.add_metric([name], 1 if member.health.ready else 0)
        yield ready
