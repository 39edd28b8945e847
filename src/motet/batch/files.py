"""Files of a service: rows in the store, content in a folder beside it.

A file's id is made here and looked up in the store, so no path ever comes from a client.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO

from motet.errors import BatchError, RequestError
from motet.files import replacing
from motet.ids import new_id
from motet.store.database import Transactions
from motet.store.files import FileRow, FileRows


class Files:
    """The files of one database."""

    def __init__(self, database: Transactions) -> None:
        self._rows = FileRows(database)
        self._folder = database.path.with_name(f"{database.path.name}.files")

    async def add(self, name: str, source: BinaryIO) -> dict[str, Any]:
        """Keep what is uploaded, and return its file object."""
        id = new_id("file")

        def copy() -> None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._folder / id) as temporary, temporary.open("wb") as target:
                shutil.copyfileobj(source, target)

        try:
            await asyncio.to_thread(copy)
        except OSError as error:
            raise BatchError(
                f"The file cannot be kept: {error.strerror or error}.",
                hint="Is the disk of the service full?",
            ) from error
        return await self.register(id, name, "batch")

    async def register(self, id: str, name: str, purpose: str) -> dict[str, Any]:
        """Make a file known whose content stands at `path(id)`; again changes nothing."""
        size = self.path(id).stat().st_size
        await self._rows.add(FileRow(id, name, purpose, size, int(time.time())))
        return await self.get(id)

    def path(self, id: str) -> Path:
        """Return where the content of a file stands; `id` must come from the store or from here."""
        return self._folder / id

    async def get(self, id: str) -> dict[str, Any]:
        """Return a file object.

        Raises
        ------
        NotFound
            There is none with that id.
        """
        return _shown(await self._rows.get(id))

    async def listing(
        self, after: str | None, limit: int, purpose: str | None
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return files, newest first, behind the one called `after`; and whether more follow."""
        rows, more = await self._rows.listing(after, limit, purpose)
        return [_shown(row) for row in rows], more

    async def remove(self, id: str, user_of: Callable[[str], Awaitable[str | None]]) -> None:
        """Delete a file.

        Raises
        ------
        NotFound
            There is none with that id.
        RequestError
            `user_of` names a batch that still reads it.
        """
        await self._rows.get(id)
        user = await user_of(id)
        if user is not None:
            raise RequestError(
                f"File {id!r} is the input of batch {user!r}, which has not ended.",
                hint="Cancel the batch, or wait for it.",
            )
        await self._rows.remove(id)
        await asyncio.to_thread(self.path(id).unlink, True)


def _shown(file: FileRow) -> dict[str, Any]:
    """Return a file as OpenAI shows it."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
    }
