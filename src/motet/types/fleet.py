"""Experts as routers see them: cards, health, and all of them at one moment."""

from __future__ import annotations

from collections.abc import (
    Callable,
    Hashable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    ValuesView,
)
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from motet.types.answer import Price
from motet.types.request import Capability

Derived = TypeVar("Derived")


class State(StrEnum):
    """Where an expert's pool is in its life."""

    STARTING = "starting"
    READY = "ready"
    ASLEEP = "asleep"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """An expert's state and, unless it is ready, the reason in words."""

    state: State
    reason: str = ""

    @property
    def ready(self) -> bool:
        """Whether the expert can take a request now; one that sleeps is woken by it."""
        return self.state in (State.READY, State.ASLEEP)


READY = Health(State.READY)


@dataclass(frozen=True, kw_only=True)
class ExpertCard:
    """What is known of an expert before asking it anything."""

    id: str
    engine: str
    model: str = ""
    context: int | None = None
    capabilities: frozenset[Capability] = frozenset({Capability.CHAT})
    skills: tuple[str, ...] = ()
    price: Price = field(default_factory=Price)
    description: str = ""
    license: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One expert as a router sees it: its card, its health and a prior weight."""

    card: ExpertCard
    health: Health = READY
    weight: float = 1.0


class Fleet(Mapping[str, Member]):
    """The experts of a deployment at one moment, in the order of the config file.

    It never changes, so what follows from it alone need not be found again for every request; see
    `derived`.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self._members = {member.card.id: member for member in members}
        self._derived: dict[Hashable, Any] = {}

    def __getitem__(self, expert: str) -> Member:
        return self._members[expert]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    # What `Mapping` makes of the three above takes a call for every expert.

    def __contains__(self, expert: object) -> bool:
        return expert in self._members

    def keys(self) -> KeysView[str]:
        """Return the experts' ids."""
        return self._members.keys()

    def values(self) -> ValuesView[Member]:
        """Return the members."""
        return self._members.values()

    def items(self) -> ItemsView[str, Member]:
        """Return ids and members."""
        return self._members.items()

    def __repr__(self) -> str:
        return f"Fleet({', '.join(f'{e}={m.health.state}' for e, m in self._members.items())})"

    def derived(self, key: Hashable, derive: Callable[[Fleet], Derived]) -> Derived:
        """Return `derive(self)`, kept under `key` for as long as this fleet is.

        For what goes through all members and depends on nothing of a request but its key. Keys are
        kept, so there must be few.
        """
        if key not in self._derived:
            self._derived[key] = derive(self)
        kept: Derived = self._derived[key]
        return kept

    def only(self, weights: Mapping[str, float]) -> Fleet:
        """Return the members named in `weights`, in that order, with those prior weights."""
        members = self._members
        return Fleet(
            member if member.weight == weight else Member(member.card, member.health, weight)
            for expert, weight in weights.items()
            if (member := members.get(expert)) is not None
        )
