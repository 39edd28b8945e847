"""The two ways to work through a batch: grouped by engine, and line by line as the control."""

from __future__ import annotations

from collections.abc import Iterable

from motet.batch.scheduler import BatchScheduler, Ordering


class Grouped:
    """Load an engine when all its lines are there, and keep it until they are done.

    An engine is loaded sooner when nothing else would be fed to it later: so panels come before
    their aggregator, and an engine that is both comes last of the panel and stays.
    """

    def start(self, scheduler: BatchScheduler) -> str | None:
        """Return the loaded engine with the longest queue."""
        able = [engine for engine in scheduler.queues if scheduler.startable(engine)]
        return max(able, key=lambda engine: len(scheduler.queues[engine]), default=None)

    def load(self, scheduler: BatchScheduler) -> str | None:
        """Return the best engine that fits; else the best, when making room for it is right."""
        wanted = sorted(
            scheduler.wanted, key=lambda e: (scheduler.fed[e], -len(scheduler.queues[e]))
        )
        for engine in wanted:
            if scheduler.fits(engine):
                return engine
        if not wanted or (scheduler.fed[wanted[0]] and scheduler.busy):
            return None  # what is under way may still feed it, and then it need come only once
        return wanted[0]

    def victims(self, scheduler: BatchScheduler, wanted: str) -> Iterable[str]:
        """Return engines without a queue, those that no later step needs first."""
        done = [engine for engine in scheduler.idle if not scheduler.queues[engine]]
        if scheduler.busy:
            # Another engine may run empty for good; one that is needed again waits for that.
            done = [engine for engine in done if not scheduler.ahead[engine]]
        return sorted(done, key=lambda engine: scheduler.ahead[engine])


class Arrival:
    """Line after line, and the engine unused for longest leaves first: the control.

    Lines start in their order; those behind one another on loaded engines run at once.
    """

    def start(self, scheduler: BatchScheduler) -> str | None:
        """Return the engine of the first line that waits, if it is loaded and has room."""
        engine = self._head(scheduler)
        return engine if engine is not None and scheduler.startable(engine) else None

    def load(self, scheduler: BatchScheduler) -> str | None:
        """Return the engine of the first line that waits, if it is absent."""
        engine = self._head(scheduler)
        absent = engine is not None and scheduler.absent(engine)
        return engine if absent else None

    def victims(self, scheduler: BatchScheduler, wanted: str) -> Iterable[str]:
        """Return idle engines, longest unused first."""
        return scheduler.idle

    def _head(self, scheduler: BatchScheduler) -> str | None:
        waiting = [engine for engine, queue in scheduler.queues.items() if queue]
        return min(waiting, key=lambda engine: scheduler.queues[engine][0], default=None)


ORDERS: dict[str, type[Ordering]] = {"grouped": Grouped, "arrival": Arrival}
