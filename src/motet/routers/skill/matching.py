"""A question's keywords as those of a profile: equal ones first, then the nearest by embedding."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motet.routers.skill.profile import Profile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Embed = Callable[[str], Awaitable[Any]]
"""Gives the `[width]` vector of a text, of length one."""


@dataclass(frozen=True, slots=True)
class Match:
    """A keyword of a question, and the profile's that it is read as.

    Attributes
    ----------
    likeness
        Cosine of the two; 1 where they are equal or were merged.
    """

    word: str
    keyword: str
    likeness: float = 1.0

    def __str__(self) -> str:
        if self.word == self.keyword:
            return self.keyword
        return f"{self.keyword} (for {self.word!r}, {self.likeness:.2f})"


class Matcher:
    """Finds the profile's keywords.

    Parameters
    ----------
    embed
        None matches equal keywords alone.
    floor
        Least cosine of a match; the paper has none, and takes a far one for a skill.
    sparing
        Look for the nearest only where no keyword is equal to one of the profile's. Words of a
        text are many, and those that a profile does not hold mostly say nothing of skills.
    """

    def __init__(
        self,
        profile: Profile,
        embed: Embed | None = None,
        floor: float = 0.0,
        *,
        sparing: bool = False,
    ) -> None:
        self._profile = profile
        self._embed = embed
        self._floor = floor
        self._sparing = sparing
        self._words: Sequence[str] = ()
        self._vectors: Floats | None = None

    async def start(self) -> None:
        """Embed the profile's keywords, where there is an encoder."""
        if self._embed is None or self._vectors is not None:
            return
        import numpy as np

        self._words = sorted(self._profile.counts)
        self._vectors = np.stack(await asyncio.gather(*map(self._embed, self._words)))

    async def match(self, words: Sequence[str]) -> list[Match]:
        """Return a match for each keyword that has one, each profile keyword once.

        Nothing is encoded where all of them are equal to the profile's, or, `sparing`, one is.
        """
        matches: dict[str, Match] = {}
        unknown = []
        for word in words:
            keyword = self._profile.keyword(word)
            if keyword is None:
                unknown.append(word)
            else:
                matches[keyword] = Match(word, keyword)
        if unknown and self._embed is not None and not (matches and self._sparing):
            for match in await self._nearest(unknown):
                matches.setdefault(match.keyword, match)
        return list(matches.values())

    async def _nearest(self, words: Sequence[str]) -> list[Match]:
        import numpy as np

        await self.start()
        assert self._embed is not None and self._vectors is not None
        alike = np.stack(await asyncio.gather(*map(self._embed, words))) @ self._vectors.T
        places = alike.argmax(axis=1)
        return [
            Match(word, self._words[place], round(float(alike[row, place]), 4))
            for row, (word, place) in enumerate(zip(words, places, strict=True))
            if alike[row, place] >= self._floor
        ]
