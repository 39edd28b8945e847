"""Asking one expert outside any request: no budget, no trace, the whole answer."""

from __future__ import annotations

from contextlib import aclosing

from motet.experts.base import Expert
from motet.types import Request
from motet.whole import Whole, collect, without_thoughts


async def whole_answer(expert: Expert, request: Request) -> Whole:
    """Return all that `expert` answers.

    Raises
    ------
    MotetError
        The expert failed or refused.
    """
    async with aclosing(expert.stream(request)) as answer:
        return await collect(answer)


class Lone:
    """The `Asks` of somebody who has one expert and no request of a client's."""

    def __init__(self, expert: Expert) -> None:
        self._expert = expert

    async def ask(self, expert: str, request: Request) -> str:
        """Return the text that the one expert answers, whatever it is called."""
        return without_thoughts((await whole_answer(self._expert, request)).text)
