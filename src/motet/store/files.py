"""Files of a service: what is known of them; their content stands elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from sqlalchemy import BigInteger, Column, Connection, Table, Text, delete, func, select, true

from motet.errors import NotFound
from motet.store.database import Transactions
from motet.store.paging import page
from motet.store.tables import METADATA, RowNumber, insert, own

FILES = Table(
    "files",
    METADATA,
    Column("row", RowNumber, primary_key=True),
    Column("id", Text, unique=True, nullable=False),
    Column("name", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("owner", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file; `created` is Unix time in seconds.

    `owner` is whose key it came with, empty where none is asked for.
    """

    id: str
    name: str
    purpose: str
    bytes: int
    created: int
    owner: str = ""


_COLUMNS = [FILES.c[field.name] for field in fields(FileRow)]


class FileRows:
    """The files of one database.

    Parameters
    ----------
    owner
        Whose files there are, for whoever asks here; None for those of everybody.
    """

    def __init__(self, database: Transactions, owner: str | None = None) -> None:
        self._database = database
        self._own = own(FILES, owner)

    async def add(self, file: FileRow) -> None:
        """Make a file known; again changes nothing."""
        await self._database.write(
            lambda c: c.execute(insert(c, FILES).on_conflict_do_nothing(), asdict(file))
        )

    async def get(self, id: str) -> FileRow:
        """Return a file.

        Raises
        ------
        NotFound
            There is none with that id.
        """

        def find(connection: Connection) -> FileRow:
            one = select(*_COLUMNS).where(FILES.c.id == id, self._own)
            row = connection.execute(one).one_or_none()
            if row is None:
                known = connection.scalars(select(FILES.c.id).where(self._own)).all()
                raise NotFound("file", id, known)
            return FileRow(*row)

        return await self._database.do(find)

    async def listing(
        self, after: str | None, limit: int, purpose: str | None
    ) -> tuple[list[FileRow], bool]:
        """Return files, newest first, behind the one called `after`; and whether more follow."""
        wanted = true() if purpose is None else FILES.c.purpose == purpose
        query = select(*_COLUMNS).where(wanted, self._own)
        rows, more = await page(self._database, FILES, query, after, limit)
        return [FileRow(*row) for row in rows], more

    async def bytes(self) -> int:
        """Return how many bytes the files hold together."""
        query = select(func.coalesce(func.sum(FILES.c.bytes), 0)).where(self._own)
        return int(await self._database.do(lambda c: c.scalar(query)) or 0)

    async def remove(self, id: str) -> None:
        """Forget a file."""
        await self._database.write(lambda c: c.execute(delete(FILES).where(FILES.c.id == id)))
