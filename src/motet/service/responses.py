"""The responses that a service keeps, so that their callers can continue them."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from motet.errors import NotFound, RequestError
from motet.store.database import Database
from motet.store.responses import ResponseRow, ResponseRows, keep
from motet.store.writer import Writer

_ID = re.compile(r"resp_[0-9a-f]{32}")
_LOOK_S = 0.1
_LOOKS = 10
"""How often one is looked for that another replica may be about to keep, `_LOOK_S` apart."""
_NEAR_BYTES = 16 * 2**20
"""What the newest of this process may hold in memory, where they are found at once."""


class Responses:
    """Keeps responses a moment later, and finds them at once.

    Nothing waits for the store but who asks for a response of another replica, or of long ago.
    """

    def __init__(self, writer: Writer, database: Database) -> None:
        self._writer = writer
        self._rows = ResponseRows(database)
        self._near: OrderedDict[str, ResponseRow] = OrderedDict()
        self._bytes = 0

    def keep(
        self, owner: str, response: Mapping[str, Any], items: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keep a response and the items that were read for it, for `owner` alone."""
        said = orjson.dumps(response).decode(), orjson.dumps(items).decode()
        size = sum(map(len, said)) + 200
        row = ResponseRow(
            id=response["id"],
            owner=owner,
            time=time.time(),
            response=said[0],
            input=said[1],
            size=size,
        )
        self._near[row.id] = row
        self._bytes += size
        while self._bytes > _NEAR_BYTES:
            self._bytes -= self._near.popitem(last=False)[1].size
        self._writer.put(keep, row, size)

    async def conversation(
        self, id: str, owner: str, most_bytes: int
    ) -> tuple[Mapping[str, Any], ...]:
        """Return all items until the end of a response; see `find`.

        Raises
        ------
        RequestError
            They are over `most_bytes`: each turn may add a body, and keeps those before it.
        """
        row = await self.find(id, owner)
        if row.size > most_bytes:
            raise RequestError(
                f"The conversation until {id!r} has {row.size} bytes, and {most_bytes} may be "
                "continued.",
                hint="Begin a new one with what matters of it, or raise service.max_body_bytes.",
            )
        output: list[Mapping[str, Any]] = orjson.loads(row.response)["output"]
        return (*orjson.loads(row.input), *output)

    async def find(self, id: str, owner: str) -> ResponseRow:
        """Return a response of `owner`'s.

        Raises
        ------
        NotFound
            He has none of that id: it was never kept, or is too old.
        StoreError
            The store cannot be read.
        """
        near = self._near.get(id)
        if near is not None and near.owner == owner:
            return near
        looks = _LOOKS if _ID.fullmatch(id) else 1
        for look in range(looks):
            try:
                return await self._rows.get(id, owner)
            except NotFound:
                if look + 1 == looks:
                    raise
            await asyncio.sleep(_LOOK_S)
        raise AssertionError("the last look ends it")

    async def remove(self, id: str, owner: str) -> None:
        """Remove a response of `owner`'s.

        Raises
        ------
        NotFound, StoreError
            As in `find`.
        """
        row = await self.find(id, owner)
        for _ in range(_LOOKS):  # it may still wait to be kept, and would come back
            try:
                await self._rows.get(id, owner)
                break
            except NotFound:
                await asyncio.sleep(_LOOK_S)
        await self._rows.remove(id, owner)
        if self._near.pop(id, None) is not None:
            self._bytes -= row.size
