"""Names to classes, imported only when asked for.

A package lists its own kinds as `name -> "module:Class"`; other distributions add kinds through an
entry-point group (`motet.routers`, `motet.strategies`, `motet.engines`) of the same form.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from motet.errors import ConfigError
from motet.wording import did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes of one role by name.

    Parameters
    ----------
    role
        What the classes are, for messages: "router", "strategy", "engine".
    group
        Entry-point group through which other distributions add kinds.
    table
        The kinds that Motet ships: name -> "module:Class".
    """

    def __init__(self, role: str, group: str, table: Mapping[str, str]) -> None:
        self.role = role
        self.group = group
        self._table = dict(table)
        self._plugins: dict[str, EntryPoint] | None = None
        self._registered: dict[str, type[T]] = {}
        self._loaded: dict[str, type[T]] = {}

    def names(self) -> list[str]:
        """Return every known kind, sorted; nothing is imported."""
        return sorted({*self._table, *self._entry_points(), *self._registered})

    def register(self, name: str, kind: type[T]) -> None:
        """Make a kind known to this process alone, as an entry point does to all.

        Raises
        ------
        ConfigError
            The name is taken by another class.
        """
        if name in self.names() and self._registered.get(name) is not kind:
            raise ConfigError(f"{self.role} {name!r} is known already.")
        self._registered[name] = kind

    def load(self, name: str) -> type[T]:
        """Return the class called `name`, importing it on first use.

        Raises
        ------
        ConfigError
            The name is not known, or a plug-in's module cannot be imported.
        """
        if name in self._registered:
            return self._registered[name]
        if name not in self._loaded:
            self._loaded[name] = self._import(name)
        return self._loaded[name]

    def _import(self, name: str) -> type[T]:
        # Motet's own kinds win: a plug-in may add a kind, never replace one silently.
        if name in self._table:
            module, _, attribute = self._table[name].partition(":")
            return cast("type[T]", getattr(import_module(module), attribute))
        plugin = self._entry_points().get(name)
        if plugin is None:
            raise ConfigError(
                f"unknown {self.role} {name!r}.", hint=did_you_mean(name, self.names())
            )
        try:
            return cast("type[T]", plugin.load())
        except (ImportError, AttributeError) as error:
            source = plugin.dist.name if plugin.dist else plugin.value
            raise ConfigError(
                f"{self.role} {name!r} comes from {source}, which failed to load: {error}."
            ) from error

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._plugins is None:
            self._plugins = {point.name: point for point in entry_points(group=self.group)}
        return self._plugins
