"""What changes between two configs, and what that does to a service that runs on the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from motet.config.schema import Config, ExpertEntry

_AT_START = ("host", "port", "replicas", "ongoing_requests", "queued_requests")
"""Fields of `service` that are read once."""

_SECTIONS = {
    "residency": "engines of this process start anew",
    "store": "at the next start",
    "telemetry": "at the next start",
}
"""What a changed section does, where it is not simply so from now on."""

How = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    Attributes
    ----------
    what
        `expert`, `router`, `composition`, or a section of the config.
    name
        Which of them; the field's name for a section.
    fields
        What differs of a thing that is in both.
    effect
        What applying it does, in words.
    """

    what: str
    name: str
    how: How
    fields: tuple[str, ...] = ()
    effect: str = ""

    def json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**asdict(self), "fields": list(self.fields)}


def difference(old: Config, new: Config) -> list[Change]:
    """Return what differs from `old` to `new`: experts, routers, compositions, then the rest."""
    return [
        *_experts(old, new),
        *_named("router", old.routers, new.routers, "decides from now on"),
        *_named("composition", old.compositions, new.compositions, "answers from now on"),
        *_sections(old, new),
    ]


def kept(old: Config, new: Config) -> frozenset[str]:
    """Return the experts that are the same in both, their bases included: nothing restarts them."""
    before = {entry.id: entry for entry in old.served}
    after = {entry.id: entry for entry in new.served}
    same = {name for name, entry in after.items() if before.get(name) == entry}
    return frozenset(name for name in same if after[name].host in same)


def _experts(old: Config, new: Config) -> Iterator[Change]:
    before = {entry.id: entry for entry in old.served}
    after = {entry.id: entry for entry in new.served}
    unchanged = kept(old, new)
    for name, entry in after.items():
        if name not in before:
            yield Change("expert", name, "added", effect="starts, and is tried before it is asked")
        elif before[name] != entry:
            fields = _differing(before[name], entry)
            yield Change("expert", name, "changed", fields, "starts anew beside the old one")
        elif name not in unchanged:
            effect = f"starts anew, for its base {entry.host!r} does"
            yield Change("expert", name, "changed", ("base",), effect)
    for name in before:
        if name not in after:
            yield Change("expert", name, "removed", effect="ends once its answers have")


def _differing(old: ExpertEntry, new: ExpertEntry) -> tuple[str, ...]:
    ours, theirs = old.model_dump() | old.options, new.model_dump() | new.options
    return tuple(name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))


def _named(
    what: str, old: Mapping[str, Any], new: Mapping[str, Any], effect: str
) -> Iterator[Change]:
    for name, entry in new.items():
        if name not in old:
            yield Change(what, name, "added", effect=effect)
        elif old[name] != entry:
            ours, theirs = old[name].model_dump(), entry.model_dump()
            fields = tuple(f for f in {**ours, **theirs} if ours.get(f) != theirs.get(f))
            yield Change(what, name, "changed", fields, effect)
    for name in old:
        if name not in new:
            yield Change(what, name, "removed", effect="is known no more")


def _sections(old: Config, new: Config) -> Iterator[Change]:
    for field in type(new.service).model_fields:
        if getattr(old.service, field) != getattr(new.service, field):
            effect = "at the next start" if field in _AT_START else "from now on"
            yield Change("service", field, "changed", effect=effect)
    rest = set(Config.model_fields) - {
        "version", "routers", "compositions", "service", *new.members,
    }  # fmt: skip
    for section in sorted(rest):
        if getattr(old, section) != getattr(new, section):
            effect = _SECTIONS.get(section, "from now on")
            yield Change(section, section, "changed", effect=effect)
