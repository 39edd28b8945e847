"""From a checked document to routers, strategies and experts: the second phase of validation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from motet.composer.naming import Naming, refuse_circles
from motet.composer.parts import Composition, Parts
from motet.composer.strategies import STRATEGIES, Strategy
from motet.config import Component, Config, Document, ExpertEntry, Options, Setting
from motet.config.difference import kept
from motet.config.lines import Field
from motet.encoders.live import Encoders
from motet.errors import ConfigError
from motet.experts import ENGINES, Expert
from motet.experts.build import build, engine_of
from motet.experts.disabled import DisabledExpert
from motet.registry import Registry
from motet.residency.swapper import Swapper
from motet.routers import ROUTERS, Router
from motet.wording import did_you_mean

_DEEPEST = 32
"""Routers that may stand in one another, each built within the one before."""

Build = Callable[[ExpertEntry, Options, Setting], Expert]
"""Makes an expert of a config entry and its engine's options."""


def assemble(document: Document, make: Build | None = None, before: Parts | None = None) -> Parts:
    """Return the parts of a document, each built once.

    Parameters
    ----------
    document
        A document whose structure is valid.
    make
        How an expert is made; by default as an object of its engine's class, in this process.
    before
        Parts at work. Experts that the document leaves as they are are taken from them, with all
        that they have loaded, and so is what reads texts for routers.

    Raises
    ------
    ConfigError
        Parts do not fit; every problem is listed, with its line.
    """
    return _Assembly(document, make, before).parts()


class _Assembly:
    """Builds part after part, and collects every problem on the way."""

    def __init__(self, document: Document, make: Build | None, before: Parts | None) -> None:
        self._document = document
        self._make = make
        self._kept = {} if before is None else _kept(before, document)
        self._swapper = None if before is None else _swapper(before, document, self._kept)
        self._problems: list[str] = []
        self._routers: dict[str, Router] = {}
        self._under_way: list[str] = []
        entries = {entry.id: entry for entry in document.config.experts}
        place = Setting(document.folder, entries=entries)
        at_home = before is not None and before.document.folder == document.folder
        encoders = before.encoders if before is not None and at_home else Encoders(place)
        self._naming = Naming(document.config.compositions)
        self._setting = replace(
            place,
            router=self._router,
            encoders=encoders,
            compositions=tuple(document.config.compositions),
            named=self._naming.note,
        )

    def parts(self) -> Parts:
        """Return all of them."""
        experts = self._make_experts()
        compositions = self._make_compositions()
        with self._collect(("compositions",)):
            refuse_circles({name: each.members for name, each in compositions.items()})
        if self._problems:
            raise ConfigError(self._problems)
        fields = (ENGINES.load(e.engine).own_fields for e in self._document.config.experts)
        return Parts(
            document=self._document,
            experts=experts,
            routers=self._routers,
            compositions=compositions,
            encoders=self._setting.encoders,
            expert_fields=frozenset().union(*fields),
            swapper=self._swapper,
        )

    def _make_experts(self) -> dict[str, Expert]:
        experts: dict[str, Expert] = {}
        # An expert may be sent to another process, and needs neither routers nor encoders.
        setting = Setting(self._setting.folder, self._setting.cache)
        entries = self._setting.entries
        for number, entry in enumerate(self._document.config.experts):
            at: Field = ("experts", number)
            with self._collect(at):
                engine = self._load(ENGINES, entry.engine, (*at, "engine"))
                options = self._options(engine.Config, entry.options, at, ExpertEntry)
                engine.check(options, entries)
                if entry.id in self._kept:
                    experts[entry.id] = self._kept[entry.id]
                    continue
                if not (entry.enabled and entries.get(entry.host, entry).enabled):
                    experts[entry.id] = DisabledExpert(build(entry, setting, options))
                    continue
                if self._make is not None:
                    experts[entry.id] = self._make(entry, options, setting)
                    continue
                experts[entry.id] = build(entry, setting, options)
                experts[entry.id].verify(entries)  # in a cluster's ingress the files are elsewhere
        return experts

    def _make_compositions(self) -> dict[str, Composition]:
        config = self._document.config
        for name in config.routers:
            with self._collect(("routers", name)):
                self._router(name)
        direct = self._strategy(Component(kind="single"), ("experts",))
        made = {e.id: Composition(e.id, direct, config.service.limits) for e in config.experts}
        for name, entry in config.compositions.items():
            at: Field = ("compositions", name)
            with self._collect(at), self._naming.by(f"composition {name}") as named:
                self._naming.include(f"router {entry.router}")
                made[name] = Composition(
                    name,
                    self._strategy(entry.strategy, (*at, "strategy")),
                    entry.limits or config.service.limits,
                    # A router that failed to build is reported under its own name already.
                    self._routers.get(entry.router),
                    entry.description,
                    members=tuple(named),
                )
        return made

    def _router(self, name: str) -> Router:
        """Return the router called `name`, built on first use so that chains find their parts."""
        if name in self._routers:
            self._naming.include(f"router {name}")
            return self._routers[name]
        known = self._document.config.routers
        if name not in known:
            raise ConfigError(f"no router {name!r}. {did_you_mean(name, known)}")
        if name in self._under_way:
            circle = " -> ".join([*self._under_way[self._under_way.index(name) :], name])
            raise ConfigError(f"routers need each other in a circle: {circle}.")
        if len(self._under_way) == _DEEPEST:
            raise ConfigError(f"routers stand over {_DEEPEST} deep in one another, at {name!r}.")
        at: Field = ("routers", name)
        self._under_way.append(name)
        try:
            kind = self._load(ROUTERS, known[name].kind, (*at, "kind"))
            options = self._options(kind.Config, known[name].options, at, Component)
            setting = replace(self._setting, kind=known[name].kind)
            with self._naming.by(f"router {name}"):
                self._routers[name] = kind(name, options, setting)
        finally:
            self._under_way.pop()
        return self._routers[name]

    def _strategy(self, entry: Component, at: Field) -> Strategy:
        kind: type[Strategy] = self._load(STRATEGIES, entry.kind, (*at, "kind"))
        options = self._options(kind.Config, entry.options, at, Component)
        try:
            return kind(options, self._setting)
        except ConfigError as error:
            problems = [self._document.problem((*at, *error.at), p) for p in error.problems]
            raise ConfigError(problems) from None

    def _load(self, registry: Registry[Any], name: str, at: Field) -> type[Any]:
        try:
            return registry.load(name)
        except ConfigError as error:
            raise ConfigError([self._document.problem(at, str(error))]) from error

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
                    self._document.problem(
                        (*at, name), f"unknown field {name!r}. {did_you_mean(name, known)}"
                    )
                    for name in unknown
                ]
            )
        return self._document.validate(model, values, at)

    @contextmanager
    def _collect(self, at: Field) -> Iterator[None]:
        """Keep a component's problems, with file and line, and go on with the next one."""
        try:
            yield
        except ConfigError as error:
            for problem in error.problems:
                located = problem.startswith(f"{self._document.name}:")
                text = problem if located else self._document.problem((*at, *error.at), problem)
                if text not in self._problems:
                    self._problems.append(f"{text} {error.hint}".rstrip())


def _kept(before: Parts, document: Document) -> dict[str, Expert]:
    """Return the experts of `before` that a new document leaves as they are."""
    old, new = before.document.config, document.config
    if before.document.folder != document.folder:
        return {}
    names = kept(old, new)
    if not _swaps_alike(old, new):
        # One ledger counts who is loaded: engines of two of them would not know of each other.
        names -= {entry.id for entry in new.experts if engine_of(entry).home == "pool"}
    return {name: before.experts[name] for name in names if name in before.experts}


def _swapper(before: Parts, document: Document, same: Collection[str]) -> Swapper | None:
    held = {e.id for e in document.config.experts if engine_of(e).home == "pool"}
    return before.swapper if held and held <= set(same) else None


def _swaps_alike(old: Config, new: Config) -> bool:
    """Return whether the engines that come and go are the same in both, under the same bounds."""
    if old.residency is None and new.residency is None:
        return True
    held = [
        [entry for entry in config.experts if engine_of(entry).home == "pool"]
        for config in (old, new)
    ]
    return old.residency == new.residency and held[0] == held[1]
