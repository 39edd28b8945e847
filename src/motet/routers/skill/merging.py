"""Two profiles as one: counts add up, and keywords merged in either are merged in both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Tally = tuple[float, float]

Counts = Mapping[str, Mapping[str, Tally]]
"""Keyword -> expert -> answers."""

_PLACES = 4
"""Decimals of a count that are kept, so that the order of additions is no matter."""


def total(one: Tally | None, other: Tally) -> Tally:
    """Return the sum of two tallies, the first of which may be missing."""
    right, wrong = one or (0.0, 0.0)
    return round(right + other[0], _PLACES), round(wrong + other[1], _PLACES)


def added(one: Mapping[str, Tally], other: Mapping[str, Tally]) -> dict[str, Tally]:
    """Return the sums of tallies by name, in the order of names."""
    sums = dict(one)
    for name, tally in other.items():
        sums[name] = total(sums.get(name), tally)
    return dict(sorted(sums.items()))


def representatives(profiles: Sequence[tuple[Counts, Mapping[str, str]]]) -> dict[str, str]:
    """Return who stands for every keyword: those merged in either profile are merged in both.

    A profile is its counts, and the aliases of keywords that it has merged. Of a group's
    representatives the first by name stays, so that the order of merges is no matter.
    """
    names: dict[str, str] = {}

    def root(name: str) -> str:
        while names.setdefault(name, name) != name:
            name = names[name]
        return name

    for counts, aliases in profiles:
        for name, keyword in ({keyword: keyword for keyword in counts} | dict(aliases)).items():
            first, second = sorted((root(name), root(keyword)))
            names[second] = first
    leaders = {keyword for counts, _ in profiles for keyword in counts}
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(root(name), []).append(name)
    return {name: min(leaders & set(group)) for group in groups.values() for name in group}


def together(profiles: Iterable[Counts], names: Mapping[str, str]) -> dict[str, dict[str, Tally]]:
    """Return the counts of all profiles, each keyword under the one that stands for it."""
    merged: dict[str, dict[str, Tally]] = {}
    for counts in profiles:
        for keyword, row in counts.items():
            merged[names[keyword]] = added(merged.get(names[keyword], {}), row)
    return dict(sorted(merged.items()))
