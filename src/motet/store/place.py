"""Where the store of a config stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from motet.config import Document, default_cache, default_state
from motet.config.load import mark_of


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A database, and a folder for content that is too large for its tables.

    Attributes
    ----------
    path
        The file of SQLite; None for PostgreSQL.
    url
        Of PostgreSQL, with its password; `str(place)` is what may be shown.
    """

    folder: Path
    path: Path | None = None
    url: str = field(default="", repr=False)

    @classmethod
    def file(cls, path: Path, folder: Path | None = None) -> StorePlace:
        """Return the place of a SQLite file; its folder is beside it unless said."""
        beside = folder or path.with_name(f"{path.name}.files")
        return cls(beside, path.absolute())

    @classmethod
    def of(cls, document: Document) -> StorePlace:
        """Return where a config keeps things; nothing is made there yet."""
        settings, base = document.config.store, document.folder
        folder = None if settings.files is None else base / settings.files.expanduser()
        if settings.url is not None:
            state = default_state() / f"{document.mark}.files"
            return cls(folder or state, url=settings.url.get_secret_value())
        if settings.path is not None:
            return cls.file(base / settings.path.expanduser(), folder)
        return cls.file(_default(document), folder)

    @property
    def hint(self) -> str:
        """What to look at when it cannot be used."""
        what = "Is the disk full?" if self.path else "Is the database up, and store.url right?"
        return f"{what} What was kept before is whole; try again to go on."

    def __str__(self) -> str:
        if self.path is not None:
            return str(self.path)
        parts = urlsplit(self.url)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _default(document: Document) -> Path:
    path = default_state() / f"{document.mark}.db"
    before = default_cache() / "batches" / f"{mark_of(document.folder / document.name)}.db"
    # Where batches were kept before there was a folder for state: it may hold some.
    return before if before.exists() and not path.exists() else path
