"""The ingress's side of the swapper: leases on engines that come and go."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motet.config import Residency
from motet.deploy.applications import Applications
from motet.deploy.names import SWAPPER
from motet.deploy.residency.pulse import USUAL, Pulse
from motet.errors import DeployError, ExpertUnavailable
from motet.types import Health, State

_UNHEARD = "the swapper does not answer; it is being started"


class ClusterLeases:
    """What this process holds of the engines of a cluster, and what it knows of them.

    A `motet.residency.expert.Leases`, as the swapper of a single process is one.

    Leases are renewed while the process lives; those of a dead one are freed by silence.

    Parameters
    ----------
    max_wait_s
        The bound of the swapper's own waiting.
    """

    def __init__(
        self,
        applications: Applications,
        max_wait_s: float = Residency.model_fields["max_wait_s"].default,
        pulse: Pulse = USUAL,
    ) -> None:
        self._applications = applications
        self._max_wait_s = max_wait_s
        self._pulse = pulse
        self._held: set[str] = set()
        self._known: dict[str, Health] = {}
        self._heard_at = time.monotonic()
        self._asked_at = 0.0
        self._lock = asyncio.Lock()
        self._ends: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None

    async def admit(self, engine: str, *, slots: int, pinned: bool) -> None:
        """Do nothing: the swapper hears of engines from their pools."""

    @asynccontextmanager
    async def lease(self, engine: str, expert: str) -> AsyncIterator[None]:
        """Wait until `engine` is loaded and has room, and keep it so for the block.

        Raises
        ------
        ExpertUnavailable, ExpertOverloaded
            It cannot be had within the bound, and why; or the swapper is away for as long.
        """
        lease = uuid.uuid4().hex
        # Renewed from now on: the swapper may give it before its answer is here.
        self._held.add(lease)
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew_while_held(), name="renew leases")
        try:
            await self._take(lease, engine, expert)
            yield
        finally:
            self._held.discard(lease)
            # In a task of its own: a request that was cancelled can wait for nothing any more.
            end = asyncio.create_task(self._give_back(lease), name=f"give back {engine}")
            self._ends.add(end)
            end.add_done_callback(self._ends.discard)

    async def health(self, engine: str) -> Health:
        """Return how an engine is, as the swapper said at most half a second ago."""
        async with self._lock:
            if time.monotonic() - self._asked_at > self._pulse.fresh_s:
                await self._renew()
        if time.monotonic() - self._heard_at > self._pulse.lost_s:
            return Health(State.STARTING, _UNHEARD)
        return self._known.get(engine, Health(State.STARTING, "the swapper is starting"))

    async def _renew_while_held(self) -> None:
        try:
            while self._held:
                await asyncio.sleep(self._pulse.renew_s)
                async with self._lock:
                    await self._renew()
        finally:
            self._renewing = None

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(self._pulse.answer_s):
                self._known = await self._applications.call(SWAPPER, "renew", list(self._held))
            self._heard_at = time.monotonic()
        except (TimeoutError, DeployError):
            pass  # it is being replaced; engines live on without it
        self._asked_at = time.monotonic()

    async def _take(self, lease: str, engine: str, expert: str) -> None:
        try:
            async with asyncio.timeout(self._max_wait_s + self._pulse.lost_s):
                while True:
                    try:
                        await self._applications.call(SWAPPER, "take", lease, engine, expert)
                        self._heard_at = time.monotonic()
                        return
                    except DeployError:
                        await asyncio.sleep(self._pulse.fresh_s)  # it died; its successor is asked
        except TimeoutError:
            raise ExpertUnavailable(expert, f"{_UNHEARD}.", retry_after=5.0) from None

    async def _give_back(self, lease: str) -> None:
        try:
            async with asyncio.timeout(self._pulse.answer_s):
                await self._applications.call(SWAPPER, "give_back", lease)
        except (TimeoutError, DeployError):
            pass  # it is freed all the same, since nobody renews it
