"""The memory of conversations: in this process at once, and in the store for the other replicas.

The store hears of a turn a moment after its end, and the next turn may come sooner, to another
replica. What is read may thus be a turn behind, which the request tells: it holds all messages, and
a row how many there were. So a reader that finds less looks again, for as long as it may.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from motet.config.sessions import Sessions
from motet.conversation.identity import answered_at, identity
from motet.errors import StoreError
from motet.store.sessions import SessionRow, SessionRows, keep
from motet.store.writer import Writer
from motet.types import NEW, Past, Request

log = logging.getLogger(__name__)

_AGAIN_S = 0.05
"""Seconds between two looks."""
_AWAY_S = 5.0
"""Seconds that the store is not asked after it did not answer."""
_ROW_BYTES = 250
_DAY_S = 86_400.0


class ConversationMemory:
    """Remembers who answered the last turn of each conversation.

    Parameters
    ----------
    settings
        Bounds.

    Attributes
    ----------
    unread
        Turns that were decided without the store, which did not answer.
    heard
        Told of each of them.
    """

    def __init__(self, settings: Sessions) -> None:
        self.unread = 0
        self.heard: Callable[[], None] = lambda: None
        self._settings = settings
        self._here: OrderedDict[str, Past] = OrderedDict()
        self._rows: SessionRows | None = None
        self._writer: Writer | None = None
        self._away_until = 0.0

    def keep_in(self, rows: SessionRows, writer: Writer) -> None:
        """Share with others from now on, through the store."""
        self._rows, self._writer = rows, writer

    async def recall(self, request: Request) -> Past:
        """Return what is known of the conversation before this turn, in bounded time."""
        due = answered_at(request)
        if not due and not request.session:
            return NEW  # that others opened alike says nothing of this one
        id = identity(request)
        here = self._here.get(id, NEW)
        if here.messages == due > 0:
            return here
        # A client may have cut its history short, or send its last message alone: then the count
        # tells nothing, and the later is right.
        return max(here, await self._read(id, due), key=lambda past: past.ended)

    def note(self, request: Request, past: Past) -> None:
        """Remember a conversation as it is after `request` was answered; waits for nothing."""
        id = identity(request)
        self._here[id] = past
        self._here.move_to_end(id)
        while len(self._here) > self._settings.most_here:
            self._here.popitem(last=False)
        if self._writer is not None:
            is_first = not (request.session or answered_at(request))
            self._writer.put(keep, SessionRow(id=id, past=past, is_first=is_first), _ROW_BYTES)

    async def _read(self, id: str, due: int) -> Past:
        """Return what the store knows, waiting a little for what it is about to."""
        if self._rows is None or self._settings.read_s == 0.0:
            return NEW
        if time.monotonic() < self._away_until:
            self._count()
            return NEW
        past = NEW
        since = time.time() - self._settings.days * _DAY_S
        is_heard = False
        try:
            async with asyncio.timeout(self._settings.read_s):
                while not is_heard or past.messages < due:
                    if is_heard:
                        await asyncio.sleep(_AGAIN_S)
                    past = await self._rows.get(id, since) or NEW
                    is_heard = True
        except TimeoutError:
            if not is_heard:
                self._missed("it did not answer in time")
        except StoreError as error:
            self._missed(str(error))
        return past

    def _count(self) -> None:
        self.unread += 1
        self.heard()

    def _missed(self, why: str) -> None:
        """Note that the store did not answer, and leave it alone for a while."""
        self._count()
        self._away_until = time.monotonic() + _AWAY_S
        log.warning("turns are decided without the memory of conversations: %s", why)
