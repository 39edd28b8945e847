"""The ingress's side of a pool: an expert whose engine runs in other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    ReplicaUnavailableError,
)
from ray.serve.schema import ApplicationStatus

from motet.deploy.applications import Applications
from motet.deploy.names import Parcel, pool_of
from motet.errors import ExpertError, ExpertOverloaded, ExpertUnavailable, MotetError
from motet.experts.base import Expert
from motet.types import READY, Chunk, Health, Request, State

_LOOK_S = 0.5
"""Seconds without a first word after which it is asked whether the pool is there at all."""
_TRIES = 3
_STARTING = (
    ApplicationStatus.NOT_STARTED,
    ApplicationStatus.DEPLOYING,
    ApplicationStatus.RUNNING,  # no replica runs just now: the pool is replacing them
)


class PoolExpert(Expert):
    """Calls the pool of an expert, or of its base, through a Serve handle.

    Parameters
    ----------
    built
        The expert that the pool's replicas hold.
    sleeps
        Whether the pool may have no replica, until a request makes Serve start one.
    """

    def __init__(self, built: Expert, applications: Applications, *, sleeps: bool = False) -> None:
        super().__init__(built.entry, built.options, built.setting)
        self.card = built.card
        self._built = built
        self._applications = applications
        self._sleeps = sleeps
        self._pool = pool_of(built.entry.host)
        self._adapter: str | None = getattr(built.options, "adapter", None)

    @property
    def slots(self) -> int:
        """Requests that a replica works on at once; see `Expert.slots`."""
        return self._built.slots

    async def health(self) -> Health:
        """Return whether the pool has a running replica, as the controller sees it."""
        pools = await self._applications.read()
        pool = pools.get(self._pool)
        if pool is None:
            return Health(State.STARTING, "its pool is not deployed yet")
        if pool.running:
            return READY
        if pool.shortage:
            return Health(State.STARTING, pool.shortage)
        if self._sleeps and pool.status in _STARTING:
            reason = "a replica is being started" if pool.starting else "a request starts a replica"
            return Health(State.ASLEEP, reason)
        if pool.status in _STARTING:
            return Health(State.STARTING, pool.message or "its pool is starting")
        return Health(State.DOWN, pool.message or f"its pool is {pool.status.lower()}")

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` from a replica of the pool; see `Expert.stream`."""
        name = self.card.id
        answer: Any = None
        try:
            answer, parcel = await self._begin(request)
            while parcel is not None:
                if isinstance(parcel, MotetError):
                    raise parcel
                for chunk in parcel:
                    yield chunk
                parcel = await anext(answer, None)
            answer = None
        except BackPressureError as error:
            raise ExpertOverloaded(name, "its queue is full.", retry_after=1.0) from error
        except (DeploymentUnavailableError, ReplicaUnavailableError) as error:
            raise ExpertUnavailable(name, "its pool has no replica.", retry_after=5.0) from error
        except (RayError, RayServeException) as error:
            cause = str(error).strip().splitlines()[-1]
            raise ExpertError(name, f"its replica failed: {cause}") from error
        finally:
            # Reached with an answer under way when the client left: the engine must stop too.
            if answer is not None:
                answer.cancel()

    async def _begin(self, request: Request) -> tuple[Any, Parcel | None]:
        """Return an answer under way and its first parcel.

        A replica that dies before that has said nothing, so another one is asked.
        """
        handle = self._applications.handle(self._pool)
        for left in reversed(range(_TRIES)):
            stream = handle.options(stream=True).stream
            answer = stream.remote(self.card.id, request, self._adapter)
            try:
                return answer, await self._first(answer)
            except RayActorError:
                if not left:
                    raise
            except BaseException:
                answer.cancel()
                raise
        raise AssertionError("the last try returns or raises")

    async def _first(self, answer: Any) -> Parcel | None:
        """Return the first parcel, or give up when the pool has lost its last replica.

        Serve would hold the request until a replica is back, which takes as long as loading a
        model; another expert can answer long before.
        """

        async def take() -> Parcel | None:
            return await anext(answer, None)

        first = asyncio.create_task(take())
        try:
            while not (await asyncio.wait([first], timeout=_LOOK_S))[0]:
                health = await self.health()
                if not health.ready:
                    raise ExpertUnavailable(self.card.id, health.reason, retry_after=5.0)
            return first.result()
        finally:
            first.cancel()
