"""Which compositions a part of a config names in the place of experts; none may need itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from motet.errors import ConfigError

DEEPEST = 8
"""Compositions that may stand in one another."""


class Naming:
    """Notes the compositions that each part names while it is built, and so whom its users need.

    Parameters
    ----------
    compositions
        Their names; other names are those of experts, which need nobody.
    """

    def __init__(self, compositions: Collection[str]) -> None:
        self._compositions = compositions
        self._named: dict[str, dict[str, None]] = {}
        self._building: list[dict[str, None]] = []

    def note(self, name: str) -> None:
        """Note that the part being built names an expert or a composition."""
        if name in self._compositions and self._building:
            self._building[-1][name] = None

    def include(self, part: str) -> None:
        """Note that the part being built uses another, and names what that names."""
        for name in self._named.get(part, ()):
            self.note(name)

    @contextmanager
    def by(self, part: str) -> Iterator[Collection[str]]:
        """Give what a part names, which is built in the block; whoever builds it names it too."""
        named = self._named[part] = {}
        self._building.append(named)
        try:
            yield named
        finally:
            self._building.pop()
            self.include(part)


def refuse_circles(members: Mapping[str, Collection[str]]) -> None:
    """Check that no composition needs itself, and that they do not stand too deep in one another.

    Parameters
    ----------
    members
        The compositions that each names.

    Raises
    ------
    ConfigError
        One does.
    """
    depths: dict[str, int] = {}

    def depth(name: str, way: tuple[str, ...]) -> int:
        if name in way:
            circle = " -> ".join([*way[way.index(name) :], name])
            raise ConfigError(f"compositions need each other in a circle: {circle}.")
        if name not in depths:
            inner = [depth(member, (*way, name)) for member in members.get(name, ())]
            depths[name] = 1 + max(inner, default=0)
        return depths[name]

    for name in members:
        if depth(name, ()) > DEEPEST:
            raise ConfigError(f"compositions stand over {DEEPEST} deep in another, in {name!r}.")
