"""Compositions as members of others: each answers in the place of an expert."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

from motet.composer.answer import answering
from motet.composer.calls import Calls
from motet.composer.parts import Composition
from motet.types import Capability, Chunk, Decision, ExpertCard, Fleet, Member, Request

Route = Callable[[Request, Composition, Calls], Awaitable[Decision]]
"""Decides on a request for a composition."""
_CAN = frozenset(Capability) - {Capability.COMPLETIONS}


class NestedCompositions:
    """The compositions that one other may ask; see `motet.composer.calls.Nested`.

    Deadline, budget and trace are those of the whole tree. That it is no circle was checked when
    the config was read.
    """

    def __init__(self, compositions: Mapping[str, Composition], route: Route) -> None:
        self._compositions = compositions
        self._route = route

    def __contains__(self, name: object) -> bool:
        return name in self._compositions

    async def answer(
        self, name: str, request: Request, calls: Calls
    ) -> AsyncGenerator[Chunk, None]:
        """Decide for a composition, and run its strategy, within its own screen."""
        composition = self._compositions[name]
        if composition.screen is not None:
            await composition.screen.prompt(request, calls)
        decision = await self._route(request, composition, calls)
        async with aclosing(answering(composition, request, decision, calls)) as chunks:
            async for chunk in chunks:
                yield chunk


def with_members(fleet: Fleet, composition: Composition) -> Fleet:
    """Return a fleet in which the compositions that another names stand beside the experts.

    What they can do is told when they decide; until then they are taken as able and ready.
    """
    if not composition.members:
        return fleet
    return fleet.derived(composition.members, lambda fleet: _joined(fleet, composition.members))


def _joined(fleet: Fleet, names: tuple[str, ...]) -> Fleet:
    cards = (ExpertCard(id=name, engine="composition", capabilities=_CAN) for name in names)
    return Fleet([*fleet.values(), *map(Member, cards)])
