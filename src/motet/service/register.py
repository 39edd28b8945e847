"""How a running service takes a new config: from its file, from a text, or from before."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from motet.config import Document, parse
from motet.config.difference import Change
from motet.config.edit import with_enabled, with_expert, without_expert
from motet.config.snapshot import Snapshots, hash_of_text
from motet.errors import ApplyFailed, ConfigError, ConfigRefused, RequestError
from motet.files import read_text, write_text
from motet.service.motet import Motet
from motet.service.patience import PATIENCE_S

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a new config.

    Attributes
    ----------
    snapshot
        The number of the config that is in place now; None where nothing was put in place.
    seconds
        How long it took.
    """

    changes: tuple[Change, ...]
    hash: str
    snapshot: int | None
    seconds: float

    def json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**asdict(self), "changes": [change.json() for change in self.changes]}


class Register:
    """Takes new configs into the service of this process.

    Parameters
    ----------
    place
        Fields of `service` that the command line has given, whatever the config says.
    """

    def __init__(self, motet: Motet, place: Mapping[str, Any] | None = None) -> None:
        self._motet = motet
        self._place = dict(place or {})
        self._changing = asyncio.Lock()

    @property
    def document(self) -> Document:
        """The config that is in place."""
        return self._motet.document

    def begin(self) -> None:
        """Keep the config that the service begins with, where that is a file's."""
        if self.document.path is not None:
            self._keep(self.document.text)

    def snapshots(self) -> Snapshots:
        """Return the configs that were in place."""
        return Snapshots.of(self.document)

    async def apply(
        self, text: str | None = None, *, dry: bool = False, patience_s: float = PATIENCE_S
    ) -> Applied:
        """Put a config in place: `text`, or what the file says now; see `Motet.apply`.

        Raises
        ------
        ConfigRefused
            It is wrong; every problem is told.
        ApplyFailed
            Something in it did not come up; what was in place goes on.
        """
        async with self._changing:
            return await self._apply(text, dry, patience_s)

    async def _apply(self, text: str | None, dry: bool, patience_s: float = PATIENCE_S) -> Applied:
        began = time.monotonic()
        try:
            document = self._read(text)
            changes = await self._put(document, patience_s, dry)
        except ConfigError as error:
            raise ConfigRefused(str(error)) from None
        snapshot = None if dry else self._keep(document.text)
        took = round(time.monotonic() - began, 3)
        return Applied(tuple(changes), hash_of_text(document.text), snapshot, took)

    async def roll_back(self, number: int | None = None, **how: Any) -> Applied:
        """Put a config of before in place again: snapshot `number`, or the one before this one.

        Raises
        ------
        RequestError
            There is none before this one, or none of that number.
        """
        snapshots = self.snapshots()
        if number is None:
            now = hash_of_text(self.document.text)
            older = [each for each in snapshots.listing() if each.hash != now]
            if not older:
                raise RequestError("No other config was in place before this one.", param="to")
            return await self.apply(older[0].text, **how)
        return await self.apply(snapshots.get(number).text, **how)

    async def edit(self, action: str, expert: str, *, dry: bool = False) -> Applied:
        """Change one expert in the file and in the service.

        The file is written once the service has taken the change.

        Parameters
        ----------
        action
            `add`, `remove`, `enable`, `disable`, or `drain`, which disables it and waits until
            what it has begun is over.
        expert
            Its id; for `add` its entry in YAML.

        Raises
        ------
        ConfigRefused, ApplyFailed
            The file or the expert is wrong, or it did not come up; both stay as they were.
        """
        async with self._changing:  # from reading the file to writing it
            applied = await self._edit(action, expert, dry)
        if action == "drain" and not dry:
            await self._motet.drained()
        return applied

    async def _edit(self, action: str, expert: str, dry: bool) -> Applied:
        try:
            document = self._read(None if self.document.path else self.document.text)
            match action:
                case "add":
                    text = with_expert(document, expert)
                case "remove":
                    text = without_expert(document, expert)
                case "enable" | "disable" | "drain":
                    text = with_enabled(document, expert, action == "enable")
                case _:
                    raise RequestError(f"action: there is no {action!r}.", param="action")
        except ConfigError as error:
            raise ConfigRefused(str(error)) from None
        before = self.document.text
        applied = await self._apply(text, dry)
        if not dry and document.path is not None:
            try:
                write_text(document.path, text)
            except OSError as error:
                await self._apply(before, False)
                raise ApplyFailed(
                    f"{document.path} cannot be written: {error.strerror}. Nothing has changed."
                ) from None
        return applied

    async def _put(self, document: Document, patience_s: float, dry: bool) -> list[Change]:
        return await self._motet.apply(document, patience_s=patience_s, dry=dry)

    def _read(self, text: str | None) -> Document:
        path = self.document.path
        if text is None:
            if path is None:
                raise ConfigError("no file is known of this service's config: send its text.")
            try:
                text = read_text(path)
            except OSError as error:
                raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
        document = parse(text, name=self.document.name, folder=self.document.folder)
        document.path = path
        return document.with_service(**self._place)

    def _keep(self, text: str) -> int | None:
        try:
            return self.snapshots().add(text).number
        except OSError as error:  # what is in place answers all the same
            log.error("the config is not kept among those of before: %s", error)
            return None
