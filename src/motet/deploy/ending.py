"""How an ingress on Ray ends: answers under way have some time, and then are told.

Serve tells a replica nothing before it goes: it waits for the answers, and then cuts them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from ray.serve.schema import ApplicationStatus

from motet.deploy.applications import Applications
from motet.deploy.names import INGRESS

_LOOK_S = 1.0
_GRACE_S = 10.0
SHUTDOWN_S = 20.0
"""Seconds after which Serve ends an ingress, whatever it still says."""


def end_in_words(app: FastAPI, applications: Applications, grace_s: float = _GRACE_S) -> None:
    """Have `app` end its answers in words once the ingress is taken down.

    Parameters
    ----------
    grace_s
        Seconds that the answers under way have from then on.
    """
    inside = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[Any]:
        async with inside(running) as state:
            watching = asyncio.create_task(
                _watch(applications, running.state.open_answers.stop, grace_s)
            )
            try:
                yield state
            finally:
                watching.cancel()

    app.router.lifespan_context = lifespan


async def _watch(applications: Applications, stop: Callable[[], None], grace_s: float) -> None:
    """Call `stop` some time after Serve began to delete the ingress."""
    while True:
        ours = (await applications.read()).get(INGRESS)
        if ours is not None and ours.status is ApplicationStatus.DELETING:
            break
        await asyncio.sleep(_LOOK_S)
    await asyncio.sleep(grace_s)
    stop()
