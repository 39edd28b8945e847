"""Experts as routers see them: cards, health, and all of them at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from motet.types.answer import Price
from motet.types.request import Capability


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
    """The experts of a deployment at one moment, in the order of the config file."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._members = {member.card.id: member for member in members}

    def __getitem__(self, expert: str) -> Member:
        return self._members[expert]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"Fleet({', '.join(f'{e}={m.health.state}' for e, m in self._members.items())})"

    def only(self, weights: Mapping[str, float]) -> Fleet:
        """Return the members named in `weights`, in that order, with those prior weights."""
        return Fleet(
            Member(self[expert].card, self[expert].health, weight)
            for expert, weight in weights.items()
            if expert in self._members
        )
