"""What a part of a config may refer to while it is built: one object for every kind of part."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motet.config.schema import ExpertEntry
from motet.errors import ConfigError
from motet.wording import did_you_mean


def default_cache() -> Path:
    """Return where weights are kept: `$MOTET_CACHE`, or `~/.cache/motet`."""
    return Path(os.environ.get("MOTET_CACHE") or "~/.cache/motet").expanduser()


def default_state() -> Path:
    """Return where is kept what no other file can bring back: `$MOTET_STATE`, or its default.

    That is `motet` below `$XDG_STATE_HOME`, which is `~/.local/state` unless set.
    """
    given = os.environ.get("MOTET_STATE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "motet"


def _nobody(name: str) -> None:
    """Tell nobody of a name."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a part of a config stands.

    Attributes
    ----------
    folder
        Where relative paths start.
    cache
        Where weights are kept.
    entries
        The experts of the config, by id.
    router
        Returns another configured router (`motet.routers.Router`) by name; raises `ConfigError`
        when there is none, or when the two need each other.
    encoders
        The encoders that parts share (`motet.encoders.live.Encoders`); None where nothing will be
        encoded.
    kind
        The kind that the config names, for classes that serve several; None when it is not said.
    compositions
        Names of compositions, each of which may stand where an expert is named.
    named
        Told of each expert or composition that the part names.
    """

    folder: Path
    cache: Path = field(default_factory=default_cache)
    entries: Mapping[str, ExpertEntry] = field(default_factory=dict)
    router: Callable[[str], Any] | None = None
    encoders: Any = None
    kind: str | None = None
    compositions: Collection[str] = ()
    named: Callable[[str], None] = _nobody

    @property
    def experts(self) -> tuple[str, ...]:
        """Ids of all configured experts."""
        return tuple(self.entries)

    def check(self, expert: str | None, *at: str | int) -> None:
        """Raise `ConfigError` at the option `at` unless `expert` is None or exists.

        A composition does too: it answers as an expert would.
        """
        if expert is None:
            return
        if expert not in self.entries and expert not in self.compositions:
            known = [*self.entries, *self.compositions]
            raise ConfigError(f"no expert {expert!r}. {did_you_mean(expert, known)}", at=at)
        self.named(expert)
