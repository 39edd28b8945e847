"""Prometheus metrics of `residency`. Durations are seconds."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from motet.operations.metrics import SECONDS


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
            buckets=SECONDS,
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
            buckets=SECONDS,
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
