"""What a config is made of, once it is built and checked: frozen, and replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from motet.composer.screen import ContentScreen
from motet.composer.strategies.base import Strategy
from motet.config import Document, Limits
from motet.encoders.live import Encoders
from motet.experts import Expert
from motet.moderation.ensembles import Ensembles
from motet.residency.swapper import Swapper
from motet.routers import Router
from motet.types import Task


@dataclass(frozen=True, slots=True)
class Composition:
    """A router, a strategy and limits under one name, which is a model name to clients.

    Attributes
    ----------
    screen
        What judges its prompts and answers; None where nothing does.
    task
        What it is asked, and so the endpoint that it answers at.
    router
        None for the composition that every expert is by itself.
    members
        Compositions that its router or strategy names in the place of experts.
    """

    name: str
    strategy: Strategy
    limits: Limits
    router: Router | None = None
    description: str = ""
    task: Task = Task.ANSWER
    screen: ContentScreen | None = None
    members: tuple[str, ...] = ()

    @property
    def remembers(self) -> bool:
        """Whether it goes by what is remembered of a conversation."""
        return self.strategy.remembers or (self.router is not None and self.router.remembers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that answers: nothing of it changes while requests run on it.

    Attributes
    ----------
    experts
        By id, in the order of the config, encoders behind them; built, and not started.
    compositions
        By name: each expert by itself, then those of the config.
    encoders
        What `routers` share.
    ensembles
        What ensembles of moderation have learned.
    expert_fields
        Fields of a body that mean something to one engine alone; see `Expert.own_fields`.
    swapper
        What loads experts on demand; None where all are loaded at start.
    """

    document: Document
    experts: Mapping[str, Expert]
    routers: Mapping[str, Router]
    compositions: Mapping[str, Composition]
    encoders: Encoders
    ensembles: Ensembles
    expert_fields: frozenset[str] = frozenset()
    swapper: Swapper | None = None
