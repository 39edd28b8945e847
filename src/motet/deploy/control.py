"""Calls between applications, beside answers: what the swapper, its pools and the ingress say."""

from __future__ import annotations

import asyncio
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from motet.errors import DeployError, MotetError


class Control:
    """Calls methods of an application's one replica."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._handle: DeploymentHandle | None = None

    async def call(self, method: str, *arguments: Any) -> Any:
        """Return what `method` returns; an error that is returned is raised.

        Waits while the application has no replica, so give it a bound.

        Raises
        ------
        DeployError
            There is no such application, or its replica died.
        """
        name = self._application
        try:
            if self._handle is None:
                self._handle = serve.get_deployment_handle(name, app_name=name)
            answer = getattr(self._handle, method).remote(*arguments)
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
