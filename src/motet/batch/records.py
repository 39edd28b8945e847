"""Batches of a service as OpenAI shows them, kept in the store as JSON."""

from __future__ import annotations

import time
from typing import Any

from motet import codec
from motet.errors import RequestError
from motet.ids import new_id
from motet.protocol.batches import BatchBody
from motet.store.batches import BatchRows
from motet.store.database import Transactions
from motet.types import ANYBODY, Caller

OPEN = ("validating", "in_progress", "finalizing", "cancelling")
"""States of batches that somebody has to run on."""
_CALLER = "motet_caller"
"""Field of a kept batch that says whose it is; no client sees it."""
_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


class Records:
    """The batch objects of one database.

    Parameters
    ----------
    owner
        Whose batches there are, for whoever asks here; None for those of everybody.
    """

    def __init__(self, database: Transactions, owner: str | None = None) -> None:
        self._rows = BatchRows(database, owner)

    async def add(self, body: BatchBody, caller: Caller) -> dict[str, Any]:
        """Keep a new batch of `caller`."""
        now = int(time.time())
        batch: dict[str, Any] = {
            "id": new_id("batch").replace("-", "_"),
            "object": "batch",
            "endpoint": body.endpoint,
            "errors": None,
            "input_file_id": body.input_file_id,
            "completion_window": body.completion_window,
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + body.window_s,
            **{f"{state}_at": None for state in _TIMES},
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": body.metadata,
            _CALLER: codec.dump(caller).decode(),
        }
        await self._rows.add(batch, body.input_file_id, caller.tenant)
        return _shown(batch)

    async def caller(self, id: str) -> Caller:
        """Return who has made a batch."""
        kept = (await self._rows.get(id)).get(_CALLER)
        return ANYBODY if kept is None else codec.load(Caller, kept.encode())

    async def get(self, id: str) -> dict[str, Any]:
        """Return a batch.

        Raises
        ------
        NotFound
            There is none with that id.
        """
        return _shown(await self._rows.get(id))

    async def listing(self, after: str | None, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """Return batches, newest first, behind the one called `after`; and whether more follow."""
        batches, more = await self._rows.listing(after, limit)
        return [_shown(batch) for batch in batches], more

    async def open(self) -> list[str]:
        """Return the batches that have not ended, oldest first."""
        return await self._rows.having(OPEN)

    async def user_of(self, file: str) -> str | None:
        """Return a batch that has not ended and reads that input file."""
        return next(iter(await self._rows.having(OPEN, input=file)), None)

    async def move(self, id: str, status: str, **fields: Any) -> dict[str, Any]:
        """Put a batch into another state.

        One that was told to stop goes nowhere but to its end, and one at its end nowhere.
        """

        def change(batch: dict[str, Any]) -> None:
            if batch["status"] not in OPEN:
                return
            stopping = batch["status"] == "cancelling" and status in ("in_progress", "finalizing")
            if not stopping:
                batch["status"] = status
                batch[f"{status}_at"] = batch[f"{status}_at"] or int(time.time())
            batch.update(fields)

        return _shown(await self._rows.change(id, change))

    async def count(self, id: str, total: int, completed: int, failed: int) -> None:
        """Note how far a batch is."""
        counts = {"total": total, "completed": completed, "failed": failed}
        await self._rows.change(id, lambda batch: batch.update(request_counts=counts))

    async def cancel(self, id: str) -> dict[str, Any]:
        """Tell a batch to stop; one that stops already is left alone.

        Raises
        ------
        NotFound
            There is none with that id.
        RequestError
            It has ended.
        """

        def change(batch: dict[str, Any]) -> None:
            if batch["status"] not in OPEN:
                raise RequestError(
                    f"Batch {id!r} is {batch['status']} and cannot be cancelled.",
                    hint="Only a batch that has not ended can be.",
                )
            batch["status"] = "cancelling"
            batch["cancelling_at"] = batch["cancelling_at"] or int(time.time())

        return _shown(await self._rows.change(id, change))


def _shown(batch: dict[str, Any]) -> dict[str, Any]:
    """Return a batch as its client sees it."""
    return {name: value for name, value in batch.items() if name != _CALLER}
