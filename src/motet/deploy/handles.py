"""The ingress's side of a pool: an expert whose engine runs in other processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus

from motet.config import ExpertEntry
from motet.deploy.names import pool_of
from motet.errors import ExpertError, ExpertOverloaded, ExpertUnavailable, MotetError
from motet.experts.base import Expert, Setting
from motet.types import READY, Chunk, ExpertCard, Health, Request, State

_FRESH_S = 0.5


class PoolExpert(Expert):
    """Calls the pool of an expert, or of its base, through a Serve handle."""

    def __init__(self, entry: ExpertEntry, options: Any, setting: Setting, card: ExpertCard):
        super().__init__(entry, options, setting)
        self.card = card
        self._pool = pool_of(getattr(options, "base", None) or entry.id)
        self._handle: DeploymentHandle | None = None

    async def health(self) -> Health:
        """Return the state of the pool's application, as the controller sees it."""
        statuses = await _STATUSES.read()
        found = statuses.get(self._pool)
        if found is None:
            return Health(State.STARTING, "its pool is not deployed yet")
        status, message = found
        if status == ApplicationStatus.RUNNING:
            return READY
        if status in (ApplicationStatus.DEPLOYING, ApplicationStatus.NOT_STARTED):
            return Health(State.STARTING, message or "its pool is starting")
        return Health(State.DOWN, message or f"its pool is {status.lower()}")

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer `request` from a replica of the pool; see `Expert.stream`."""
        name = self.card.id
        answer: Any = None
        try:
            if self._handle is None:
                self._handle = serve.get_deployment_handle(self._pool, app_name=self._pool)
            answer = self._handle.options(stream=True).stream.remote(name, request)
            async for parcel in answer:
                if isinstance(parcel, MotetError):
                    raise parcel
                for chunk in parcel:
                    yield chunk
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


class _Statuses:
    """Application statuses from the Serve controller, asked for once for all pools."""

    def __init__(self) -> None:
        self._read_at = 0.0
        self._known: dict[str, tuple[ApplicationStatus, str]] = {}
        self._lock: asyncio.Lock | None = None

    async def read(self) -> dict[str, tuple[ApplicationStatus, str]]:
        """Return application name -> status and message, at most half a second old."""
        self._lock = self._lock or asyncio.Lock()
        async with self._lock:
            if time.monotonic() - self._read_at > _FRESH_S:
                try:
                    status = await asyncio.to_thread(serve.status)
                except (RayError, RayServeException):
                    return self._known  # the controller is restarting; pools live on without it
                self._known = {
                    name: (app.status, _message(app)) for name, app in status.applications.items()
                }
                self._read_at = time.monotonic()
        return self._known


def _message(app: Any) -> str:
    """Return why an application is not running: its own message, or its deployments'."""
    words = [app.message, *(d.message for d in app.deployments.values())]
    text = next((word for word in words if word), "")
    return text.strip().splitlines()[-1][:300] if text else ""


_STATUSES = _Statuses()
