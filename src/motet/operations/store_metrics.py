"""Prometheus metrics of the store."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class StoreMetrics:
    """Whether the store is up, and what was not kept; what a `Writer` tells."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge(
            "motet_store_up",
            "1 while the store takes what is to be kept.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._dropped = Counter(
            "motet_store_dropped", "Records that were not kept.", registry=registry
        )
        self._unread = Counter(
            "motet_sessions_unread",
            "Turns decided without the memory of conversations, which did not answer.",
            registry=registry,
        )
        self._up.set(1)

    def unread(self) -> None:
        """Count a turn; see `ConversationMemory.heard`."""
        self._unread.inc()

    def heard(self, up: bool, dropped: int) -> None:
        """Show what a writer tells; see `motet.store.writer.Heard`."""
        self._up.set(up)
        self._dropped.inc(dropped)
