"""Files of a service: rows in the store, content in a folder of its own.

A file's id is made here and looked up in the store, so no path ever comes from a client.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO

from motet.errors import BatchError, QuotaExceeded, RequestError
from motet.files import private, replacing
from motet.ids import new_id
from motet.store.database import Transactions
from motet.store.files import FileRow, FileRows


class Files:
    """The files of one database.

    Parameters
    ----------
    owner
        Whose files there are, for whoever asks here; None for those of everybody.
    most_bytes
        What the files of one owner may hold together.
    """

    def __init__(
        self, database: Transactions, owner: str | None = None, most_bytes: int = 2**63
    ) -> None:
        self._rows = FileRows(database, owner)
        self._owner = owner
        self._most_bytes = most_bytes
        self._folder = database.place.folder

    async def add(self, name: str, source: BinaryIO) -> dict[str, Any]:
        """Keep what is uploaded, and return its file object.

        Raises
        ------
        QuotaExceeded
            It would be more than its owner may keep.
        """
        id = new_id("file")
        kept, size = await self._rows.bytes(), source.seek(0, os.SEEK_END)
        source.seek(0)
        if kept + size > self._most_bytes:
            raise QuotaExceeded(
                f"Files may hold {self._most_bytes} bytes together; {kept} are kept, and this one "
                f"has {size}.",
                hint="Delete files that are no longer needed.",
                param="file",
            )

        def copy() -> None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(self._folder / id) as temporary, private(temporary) as target:
                shutil.copyfileobj(source, target)

        try:
            await asyncio.to_thread(copy)
        except OSError as error:
            raise BatchError(
                f"The file cannot be kept: {error.strerror or error}.",
                hint="Is the disk of the service full?",
            ) from error
        return await self.register(id, name, "batch")

    async def register(
        self, id: str, name: str, purpose: str, owner: str | None = None
    ) -> dict[str, Any]:
        """Make a file known whose content stands at `path(id)`; again changes nothing.

        Parameters
        ----------
        owner
            Whose it is, where that is not the owner of all files here.
        """
        path = self.path(id)
        path.chmod(0o600)  # results too are nobody else's to read
        size = path.stat().st_size
        whose = owner or self._owner or ""
        await self._rows.add(FileRow(id, name, purpose, size, int(time.time()), whose))
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
