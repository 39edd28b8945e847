"""From a checked document to routers, strategies and experts: the second phase of validation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from motet.composer.moderate import Members, Moderator
from motet.composer.naming import Naming, refuse_circles
from motet.composer.parts import Composition, Parts
from motet.composer.screen import ContentScreen
from motet.composer.strategies import STRATEGIES, Strategy
from motet.config import Component, Config, Document, ExpertEntry, Limits, Options, Setting
from motet.config.difference import kept
from motet.config.lines import Field
from motet.config.moderation import ModerationEntry, ScreenEntry
from motet.encoders.live import Encoders
from motet.errors import ConfigError
from motet.experts import ENGINES, Expert
from motet.experts.build import build, engine_of
from motet.experts.disabled import DisabledExpert
from motet.moderation.ensembles import Ensembles
from motet.registry import Registry
from motet.residency.swapper import Swapper
from motet.routers import ROUTERS, Router
from motet.types import Task
from motet.wording import did_you_mean

_DEEPEST = 32
"""Routers that may stand in one another, each built within the one before."""

_SECTION_OF = {
    Task.ANSWER: "experts",
    Task.EMBED: "encoders",
    Task.MODERATE: "classifiers",
}
"""Where members of each task stand in a config."""

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
        self._ensembles = Ensembles(None if before is None else before.ensembles)
        encoding = tuple(entry.id for entry in document.config.encoders)
        at_home = before is not None and before.document.folder == document.folder
        encoders = before.encoders if before is not None and at_home else Encoders(place)
        self._naming = Naming(document.config.compositions)
        self._setting = replace(
            place,
            router=self._router,
            encoders=encoders,
            compositions=tuple(document.config.compositions),
            named=self._naming.note,
            encoding=encoding,
        )

    def parts(self) -> Parts:
        """Return all of them."""
        experts = self._make_experts()
        compositions = self._make_compositions()
        with self._collect(("compositions",)):
            refuse_circles({name: each.members for name, each in compositions.items()})
        if self._problems:
            raise ConfigError(self._problems)
        fields = (ENGINES.load(e.engine).own_fields for e in self._document.config.served)
        return Parts(
            document=self._document,
            experts=experts,
            routers=self._routers,
            compositions=compositions,
            encoders=self._setting.encoders,
            ensembles=self._ensembles,
            expert_fields=frozenset().union(*fields),
            swapper=self._swapper,
        )

    def _make_experts(self) -> dict[str, Expert]:
        experts: dict[str, Expert] = {}
        for section, entries in self._document.config.members.items():
            for number, entry in enumerate(entries):
                at: Field = (section, number)
                with self._collect(at):
                    experts[entry.id] = self._expert(entry, at)
        return experts

    def _expert(self, entry: ExpertEntry, at: Field) -> Expert:
        entries = self._setting.entries
        engine = self._load(ENGINES, entry.engine, (*at, "engine"))
        if (belongs := _SECTION_OF[engine.task]) != at[0]:
            raise ConfigError(
                f"the engine {entry.engine!r} belongs in {belongs!r}.", at=("engine",)
            )
        swaps = self._document.config.residency is not None
        if swaps and engine.home == "pool" and engine.task is not Task.ANSWER:
            raise ConfigError(
                "with `residency`, pools are of experts alone: their engines come and go by turns.",
                hint="Write engine: encoder.",
                at=("engine",),
            )
        options = self._options(engine.Config, entry.options, at, ExpertEntry)
        engine.check(options, entries)
        if entry.id in self._kept:
            return self._kept[entry.id]
        # An expert may be sent to another process, and needs neither routers nor encoders.
        stays = engine.task is not Task.ANSWER
        encoders = self._setting.encoders if stays else None
        setting = replace(self._setting, entries={}, router=None, encoders=encoders)
        if not (entry.enabled and entries.get(entry.host, entry).enabled):
            return DisabledExpert(build(entry, setting, options))
        if self._make is not None:
            return self._make(entry, options, setting)
        made = build(entry, setting, options)
        made.verify(entries)  # in a cluster's ingress the files are elsewhere
        return made

    def _make_compositions(self) -> dict[str, Composition]:
        config = self._document.config
        for name in config.routers:
            with self._collect(("routers", name)):
                self._router(name)
        direct = self._strategy(Component(kind="single"), ("experts",))
        limits = config.service.limits
        made = {e.id: Composition(e.id, direct, limits, task=_task(e)) for e in config.served}
        made |= self._moderations(limits)
        for name, entry in config.compositions.items():
            at: Field = ("compositions", name)
            with self._collect(at), self._naming.by(f"composition {name}") as named:
                self._naming.include(f"router {entry.router}")
                # A router that failed to build is reported under its own name already.
                router = self._routers.get(entry.router)
                made[name] = Composition(
                    name,
                    self._strategy(entry.strategy, (*at, "strategy")),
                    entry.limits or limits,
                    router,
                    entry.description,
                    Task.ANSWER if router is None else router.task,
                    self._screen(entry.screen, made),
                    members=tuple(named),
                )
        return made

    def _moderations(self, limits: Limits) -> dict[str, Composition]:
        config = self._document.config
        classifiers = frozenset(entry.id for entry in config.classifiers)
        return {
            name: Composition(
                name,
                Moderator(name, entry, self._ensembles, classifiers),
                limits,
                Members(name, entry, self._ensembles),
                entry.description,
                Task.MODERATE,
            )
            for name, entry in config.moderations.items()
        }

    def _screen(
        self, entry: ScreenEntry | None, made: Mapping[str, Composition]
    ) -> ContentScreen | None:
        """Return a screen; a classifier by itself judges as an ensemble of one."""
        if entry is None or entry.before is entry.after is None:
            return None

        def judge(name: str | None) -> Moderator | None:
            if name is None:
                return None
            known = made[name].strategy
            if isinstance(known, Moderator):
                return known
            alone = ModerationEntry(members=(name,))
            return Moderator(name, alone, Ensembles(), frozenset(alone.members))

        window = entry.window if entry.hold == "window" else None
        return ContentScreen(judge(entry.before), judge(entry.after), window)

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


def _task(entry: ExpertEntry) -> Task:
    """Return what an entry is asked; of an unknown engine, which is a problem already, anything."""
    return engine_of(entry).task if entry.engine in ENGINES.names() else Task.ANSWER


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
