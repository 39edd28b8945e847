"""The ingress's side of a pool: an expert whose engine runs in other processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ReplicaState

from motet.deploy.names import DOOR, Parcel, pool_of
from motet.errors import ExpertError, ExpertOverloaded, ExpertUnavailable, MotetError
from motet.experts.base import Expert
from motet.types import READY, Chunk, Health, Request, State

_FRESH_S = 0.5
_TRIES = 3
_TAKING = (
    ReplicaState.RUNNING,
    ReplicaState.RECOVERING,  # the controller restarted and finds it again; it never stopped
)
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

    def __init__(self, built: Expert, *, sleeps: bool = False) -> None:
        super().__init__(built.entry, built.options, built.setting)
        self.card = built.card
        self._built = built
        self._sleeps = sleeps
        self._pool = pool_of(built.entry.host)
        self._adapter: str | None = getattr(built.options, "adapter", None)
        self._handle: DeploymentHandle | None = None

    @property
    def slots(self) -> int:
        """Requests that a replica works on at once; see `Expert.slots`."""
        return self._built.slots

    async def health(self) -> Health:
        """Return whether the pool has a running replica, as the controller sees it."""
        pools = await _POOLS.read()
        pool = pools.get(self._pool)
        if pool is None:
            return Health(State.STARTING, "its pool is not deployed yet")
        if pool.running:
            return READY
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
        if self._handle is None:
            self._handle = serve.get_deployment_handle(self._pool, app_name=self._pool)
        for left in reversed(range(_TRIES)):
            stream = self._handle.options(stream=True).stream
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
            while not (await asyncio.wait([first], timeout=_FRESH_S))[0]:
                health = await self.health()
                if not health.ready:
                    raise ExpertUnavailable(self.card.id, health.reason, retry_after=5.0)
            return first.result()
        finally:
            first.cancel()


@dataclass(frozen=True, slots=True)
class _Pool:
    """What the Serve controller says of one application.

    Attributes
    ----------
    running
        Replicas that take requests. The application's own status stays RUNNING while a replica
        that died is replaced, and a request would wait for that.
    starting
        Replicas on their way.
    """

    status: ApplicationStatus
    running: int
    starting: int
    message: str


class _Pools:
    """The controller's view of all applications, asked for once for all pools."""

    def __init__(self) -> None:
        self._read_at = 0.0
        self._known: dict[str, _Pool] = {}
        self._lock = asyncio.Lock()

    async def read(self) -> dict[str, _Pool]:
        """Return application name -> state, at most half a second old."""
        async with self._lock:
            if time.monotonic() - self._read_at > _FRESH_S:
                try:
                    status = await asyncio.to_thread(serve.status)
                except (RayError, RayServeException):
                    return self._known  # the controller is restarting; pools live on without it
                self._known = {
                    name: _pool(app, self._known.get(name))
                    for name, app in status.applications.items()
                }
                self._read_at = time.monotonic()
        return self._known


def _pool(app: ApplicationStatusOverview, before: _Pool | None) -> _Pool:
    if before and app.status is ApplicationStatus.DEPLOYING and not app.deployments:
        # A changed config is being built: the controller lists nothing, and the replicas go on.
        return before
    deployments = [d for name, d in app.deployments.items() if not name.endswith(DOOR)]

    def count(*states: ReplicaState) -> int:
        return sum(d.replica_states.get(state, 0) for d in deployments for state in states)

    words = [app.message, *(deployment.message for deployment in deployments)]
    text = next((word for word in words if word), "")
    running, starting = count(*_TAKING), count(ReplicaState.STARTING)
    return _Pool(app.status, running, starting, text.strip().splitlines()[-1][:300] if text else "")


_POOLS = _Pools()


async def running_pools() -> set[str]:
    """Return the applications that have a running replica, as known half a second ago."""
    return {name for name, pool in (await _POOLS.read()).items() if pool.running}
