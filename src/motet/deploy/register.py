"""How a service on Ray takes a new config: pools first, then this ingress, then the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from motet.config import Document
from motet.config.difference import Change
from motet.deploy import cluster, graph
from motet.deploy.arguments import GraphArgs, pool_arguments, pools_of
from motet.deploy.names import pool_of
from motet.deploy.shelf import Shelf
from motet.errors import ApplyFailed, MotetError
from motet.service.motet import Motet
from motet.service.register import Register

log = logging.getLogger(__name__)

_LOOK_S = 0.5
_RETRY_S = 10.0
_OTHERS_S = 10.0
"""Seconds after which no replica asks a pool any more that the config no longer has."""


class ClusterRegister(Register):
    """Takes new configs into every ingress replica of a service on Ray.

    Pools of new experts come up beside the others; one whose entry has changed is replaced by
    Serve, replica by replica. Pools that the new config leaves as they are are not touched.

    Parameters
    ----------
    number
        Of what this replica has taken from the shelf already.
    """

    def __init__(
        self, motet: Motet, shelf: Shelf, place: Mapping[str, Any], number: int = 0
    ) -> None:
        super().__init__(motet, place)
        self._shelf = shelf
        self._number = number
        self._following = asyncio.Lock()
        self._endings: set[asyncio.Task[None]] = set()

    async def _put(self, document: Document, patience_s: float, dry: bool) -> list[Change]:
        cluster.check(document)
        old = self.document
        changes = await self._motet.apply(document, dry=True)
        if dry:
            return changes
        made = await self._run_pools(old, document, patience_s)
        async with self._following:  # nothing else comes in place here meanwhile
            try:
                await self._motet.apply(document, patience_s=patience_s)
                shelved = await self._shelf.look()
                if shelved is not None and shelved.number != self._number:
                    raise ApplyFailed("Another config came in place meanwhile.", hint="Try again.")
                await self._shelf.put(self._number + 1, document.text)
                self._number += 1
            except BaseException:
                try:
                    if self.document is not old:
                        await self._motet.apply(old, proved=True)
                finally:
                    await self._take_back(old, made)
                raise
        gone = _pools(old).keys() - _pools(document).keys()
        self._later(self._end_pools(gone))
        return changes

    async def follow(self) -> None:
        """Take what other replicas have put on the shelf, for as long as this one runs."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                async with self._following:
                    shelved = await self._shelf.look()
                    if shelved is None or shelved.number <= self._number:
                        continue
                    # It was proved where it came in; here its experts have to come up, no more.
                    await self._motet.apply(self._read(shelved.text), proved=True)
                    self._number = shelved.number
            except (MotetError, RayError, RayServeException) as error:
                log.error("the config that was applied last is not in place here: %s", error)
                await asyncio.sleep(_RETRY_S)

    async def _run_pools(self, old: Document, new: Document, patience_s: float) -> dict[str, bool]:
        """Start the pools that are new or changed; return whether each is new, by expert."""
        before, after = _pools(old), _pools(new)
        changed = {name: each for name, each in after.items() if before.get(name) != each}
        if changed and new.config.residency is not None:
            raise ApplyFailed(
                f"With `residency` the pools of {', '.join(changed)} change at a new deployment.",
                hint="Run: motet deploy",
            )
        made: dict[str, bool] = {}
        for name, arguments in changed.items():
            made[name] = name not in before
            try:
                async with asyncio.timeout(patience_s):
                    failure = await asyncio.to_thread(graph.run_pool, arguments)
            except TimeoutError:
                failure = f"it is not up after {patience_s:g} s"
            if failure:
                await self._take_back(old, made)
                raise ApplyFailed(f"The pool of {name!r} did not come up: {failure}.")
        return made

    async def _take_back(self, old: Document, made: Mapping[str, bool]) -> None:
        """End pools that a failed config has brought, and put changed ones back."""
        await self._end_pools((name for name, is_new in made.items() if is_new), now=True)
        for name, is_new in made.items():
            if not is_new:
                await asyncio.to_thread(graph.run_pool, _pools(old)[name])

    async def _end_pools(self, experts: Iterable[str], *, now: bool = False) -> None:
        if not now:
            await self._motet.drained()
            await asyncio.sleep(_OTHERS_S)
        for name in experts:
            try:
                await asyncio.to_thread(serve.delete, pool_of(name), _blocking=False)
            except (RayError, RayServeException) as error:
                log.error("the pool of %s does not end: %s", name, error)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


def _pools(document: Document) -> dict[str, GraphArgs]:
    """Return what each pool of a config is given, by expert."""
    swapped = document.config.residency is not None
    return {name: pool_arguments(document, name, swapped=swapped) for name, _ in pools_of(document)}
