"""From a checked document to routers, strategies and experts: the second phase of validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from motet.composer import STRATEGIES, Strategy
from motet.composer.pipeline import Plan
from motet.composer.strategies.base import Around
from motet.config import Component, Document, ExpertEntry, Options
from motet.config.load import Field
from motet.encoders.live import Encoders
from motet.errors import ConfigError, did_you_mean
from motet.experts import ENGINES, Expert
from motet.registry import Registry
from motet.routers import ROUTERS, Router
from motet.routers.base import Surroundings
from motet.types import Request
from motet.weights import Setting, default_cache

Build = Callable[[ExpertEntry, Options, Setting], Expert]
"""Makes an expert of a config entry and its engine's options."""


class Assembly:
    """Builds each part of a document once, and collects every problem on the way.

    Parameters
    ----------
    document
        A document whose structure is valid.
    build
        How an expert is made; by default as an object of its engine's class, in this process.
    """

    def __init__(self, document: Document, build: Build | None = None) -> None:
        self.document = document
        self.setting = Setting(folder=document.folder, cache=default_cache())
        self._build = build
        self._problems: list[str] = []
        self.encoders = Encoders(self.setting)
        self.routers: dict[str, Router] = {}
        entries = {entry.id: entry for entry in document.config.experts}
        self._around = Around(tuple(entries), document.folder, entries)
        self._under_way: list[str] = []
        self.experts = self._make_experts()
        self.plans = self._make_plans()
        if self._problems:
            raise ConfigError(self._problems)

    def _make_experts(self) -> dict[str, Expert]:
        experts: dict[str, Expert] = {}
        entries = {entry.id: entry for entry in self.document.config.experts}
        for number, entry in enumerate(self.document.config.experts):
            at: Field = ("experts", number)
            with self._collect(at):
                engine = self._load(ENGINES, entry.engine, (*at, "engine"))
                options = self._options(engine.Config, entry.options, at, ExpertEntry)
                engine.check(options, entries)
                experts[entry.id] = (self._build or engine)(entry, options, self.setting)
                if self._build is None:  # in a cluster's ingress the files are elsewhere
                    experts[entry.id].verify(entries)
        return experts

    def _make_plans(self) -> dict[str, Plan]:
        config = self.document.config
        for name in config.routers:
            with self._collect(("routers", name)):
                self._router(name)
        direct = self._strategy(Component(kind="single"), ("experts",))
        plans = {e.id: Plan(e.id, direct, config.service.limits) for e in config.experts}
        for name, entry in config.compositions.items():
            at: Field = ("compositions", name)
            with self._collect(at):
                plans[name] = Plan(
                    name,
                    self._strategy(entry.strategy, (*at, "strategy")),
                    entry.limits or config.service.limits,
                    # A router that failed to build is reported under its own name already.
                    self.routers.get(entry.router),
                    entry.description,
                )
        return plans

    def _router(self, name: str) -> Router:
        """Return the router called `name`, built on first use so that chains find their parts."""
        if name in self.routers:
            return self.routers[name]
        known = self.document.config.routers
        if name not in known:
            raise ConfigError(f"no router {name!r}. {did_you_mean(name, known)}")
        if name in self._under_way:
            circle = " -> ".join([*self._under_way[self._under_way.index(name) :], name])
            raise ConfigError(f"routers need each other in a circle: {circle}.")
        at: Field = ("routers", name)
        self._under_way.append(name)
        try:
            kind = self._load(ROUTERS, known[name].kind, (*at, "kind"))
            options = self._options(kind.Config, known[name].options, at, Component)
            around = Surroundings(
                self._around.experts,
                self._router,
                self.document.folder,
                self.encoders,
                self._ask,
                known[name].kind,
            )
            self.routers[name] = kind(name, options, around)
        finally:
            self._under_way.pop()
        return self.routers[name]

    async def _ask(self, expert: str, request: Request) -> str:
        """Return the text that an expert answers, for routers that ask one."""
        async with aclosing(self.experts[expert].stream(request)) as answer:
            return "".join([chunk.text async for chunk in answer if chunk.index == 0])

    def _strategy(self, entry: Component, at: Field) -> Strategy:
        kind: type[Strategy] = self._load(STRATEGIES, entry.kind, (*at, "kind"))
        options = self._options(kind.Config, entry.options, at, Component)
        try:
            return kind(options, self._around)
        except ConfigError as error:
            problems = [self.document.problem((*at, *error.at), p) for p in error.problems]
            raise ConfigError(problems) from None

    def _load(self, registry: Registry[Any], name: str, at: Field) -> type[Any]:
        try:
            return registry.load(name)
        except ConfigError as error:
            raise ConfigError([self.document.problem(at, str(error))]) from error

    def _options(
        self, model: type[Options], values: dict[str, Any], at: Field, owner: type[Options]
    ) -> Options:
        """Return a component's own options, its unknown fields judged beside its owner's."""
        own = [field.alias or name for name, field in model.model_fields.items()]
        known = [*owner.model_fields, *own]
        unknown = [name for name in values if name not in own]
        if unknown:
            raise ConfigError(
                [
                    self.document.problem(
                        (*at, name), f"unknown field {name!r}. {did_you_mean(name, known)}"
                    )
                    for name in unknown
                ]
            )
        return self.document.validate(model, values, at)

    @contextmanager
    def _collect(self, at: Field) -> Iterator[None]:
        """Keep a component's problems, with file and line, and go on with the next one."""
        try:
            yield
        except ConfigError as error:
            for problem in error.problems:
                located = problem.startswith(f"{self.document.name}:")
                text = problem if located else self.document.problem((*at, *error.at), problem)
                if text not in self._problems:
                    self._problems.append(f"{text} {error.hint}".rstrip())
