"""Serve's applications as one process of ours sees them: how each stands, and calls to them.

The one seam to Ray Serve while a service runs. What starts and stops applications is `cluster` and
`graph`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentStatus,
    DeploymentStatusOverview,
    DeploymentStatusTrigger,
    ReplicaState,
    ServeStatus,
)

from motet.deploy import room
from motet.deploy.names import DOOR
from motet.errors import DeployError, MotetError

_FRESH_S = 0.5
_TAKING = (
    ReplicaState.RUNNING,
    ReplicaState.RECOVERING,  # the controller restarted and finds it again; it never stopped
)


@dataclass(frozen=True, slots=True)
class AppStatus:
    """What the Serve controller says of one application.

    Attributes
    ----------
    running
        Replicas that take requests. The application's own status stays RUNNING while a replica
        that died is replaced, and a request would wait for that.
    starting
        Replicas on their way.
    shortage
        Why no node has room for a replica that waits; empty where none waits for that.
    """

    status: ApplicationStatus
    running: int
    starting: int
    message: str
    shortage: str = ""


class _Serve:
    """Ray's Serve, asked for no more than is read.

    `serve.status()` checks, and pickles anew, the whole config of every deployment before it counts
    replicas: asked twice a second, that was most of what an idle ingress did.
    """

    get_deployment_handle = staticmethod(serve.get_deployment_handle)

    @staticmethod
    def status() -> ServeStatus:
        client = serve.context._get_global_client(raise_if_no_controller_running=False)
        if client is None:
            return ServeStatus()
        said = client.get_serve_details()["applications"]
        return ServeStatus(applications={name: overview(app) for name, app in said.items()})


def overview(app: Mapping[str, Any]) -> ApplicationStatusOverview:
    """Return how an application stands, from the controller's plain words."""
    deployments = {
        name: DeploymentStatusOverview(
            DeploymentStatus(said["status"]),
            DeploymentStatusTrigger(said["status_trigger"]),
            dict(Counter(ReplicaState(replica["state"]) for replica in said["replicas"])),
            said["message"],
        )
        for name, said in app["deployments"].items()
    }
    return ApplicationStatusOverview(
        ApplicationStatus(app["status"]), app["message"], app["last_deployed_time_s"], deployments
    )


class Applications:
    """What a process knows of the applications beside its own, asked for once for all of them.

    Parameters
    ----------
    controller
        Serve, or what answers `status` and `get_deployment_handle` in its place.
    fresh_s
        Seconds for which what the controller said is taken as true.
    shortages
        What tells why replicas wait for a node, by application.
    """

    def __init__(
        self,
        controller: Any = None,
        fresh_s: float = _FRESH_S,
        shortages: Callable[[], Mapping[str, str]] = room.shortages,
    ) -> None:
        self._controller = controller or _Serve()
        self._fresh_s = fresh_s
        self._shortages = shortages
        self._read_at = 0.0
        self._known: dict[str, AppStatus] = {}
        self._lock = asyncio.Lock()
        self._handles: dict[str, DeploymentHandle] = {}

    async def read(self) -> dict[str, AppStatus]:
        """Return how every application stands, by name."""
        async with self._lock:
            if time.monotonic() - self._read_at > self._fresh_s:
                try:
                    status = await asyncio.to_thread(self._controller.status)
                except (RayError, RayServeException):
                    return self._known  # the controller is restarting; pools live on without it
                self._known = {
                    name: _status_of(app, self._known.get(name))
                    for name, app in status.applications.items()
                }
                if any(app.starting and not app.running for app in self._known.values()):
                    for name, shortage in (await asyncio.to_thread(self._shortages)).items():
                        if name in self._known:
                            self._known[name] = replace(self._known[name], shortage=shortage)
                self._read_at = time.monotonic()
        return self._known

    async def running(self) -> set[str]:
        """Return the applications that have a running replica."""
        return {name for name, app in (await self.read()).items() if app.running}

    def handle(self, name: str) -> DeploymentHandle:
        """Return what calls the application `name`; it need not be there yet."""
        if name not in self._handles:
            self._handles[name] = self._controller.get_deployment_handle(name, app_name=name)
        return self._handles[name]

    async def call(self, name: str, method: str, *arguments: Any) -> Any:
        """Return what a method of an application's replica returns; a returned error is raised.

        Waits while the application has no replica, so give it a bound.

        Raises
        ------
        DeployError
            There is no such application, or its replica died.
        """
        try:
            answer = getattr(self.handle(name), method).remote(*arguments)
            try:
                said = await answer
            except asyncio.CancelledError:
                answer.cancel()
                raise
        except KeyError:  # what Serve says of an application that is not there
            raise DeployError(f"{name} is not deployed yet.") from None
        except (RayError, RayServeException) as error:
            cause = str(error).strip().splitlines()[-1]
            raise DeployError(f"{name} does not answer: {cause}") from error
        if isinstance(said, MotetError):
            raise said
        return said


def _status_of(app: ApplicationStatusOverview, before: AppStatus | None) -> AppStatus:
    if before and app.status is ApplicationStatus.DEPLOYING and not app.deployments:
        # A changed config is being built: the controller lists nothing, and the replicas go on.
        return before
    deployments = [d for name, d in app.deployments.items() if not name.endswith(DOOR)]

    def count(*states: ReplicaState) -> int:
        return sum(d.replica_states.get(state, 0) for d in deployments for state in states)

    words = [app.message, *(deployment.message for deployment in deployments)]
    text = next((word for word in words if word), "")
    message = text.strip().splitlines()[-1][:300] if text else ""
    return AppStatus(app.status, count(*_TAKING), count(ReplicaState.STARTING), message)
