"""Words for what is wrong: the nearest match, the allowed values, a value cut to length.

Names and values may be a client's, of any length.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from itertools import islice

_LONGEST_NAME = 128
_MOST_NAMES = 1000
_MOST_CHARACTERS = 200
_MOST_LISTED = 50


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, or None when none is close.

    Either may be a client's, so long names, and those after many, are not looked at: comparing
    takes the product of both lengths.
    """
    if isinstance(name, str) and len(name) > _LONGEST_NAME:
        return None
    names = [other for other in islice(known, _MOST_NAMES) if len(other) <= _LONGEST_NAME]
    matches = difflib.get_close_matches(str(name)[:_LONGEST_NAME], names, n=1, cutoff=0.6)
    return matches[0] if matches else None


def shown(value: object) -> str:
    """Return what a message says of a wrong value: itself where it is short, else what it is."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str) and len(value) > _MOST_CHARACTERS:
        return f"{value[:_MOST_CHARACTERS]!r}..., {len(value)} characters"
    return repr(value)


def listed(names: Collection[str]) -> str:
    """Return names for a message: the first of many, and how many more there are."""
    more = len(names) - _MOST_LISTED
    first = ", ".join(islice(names, _MOST_LISTED))
    return f"{first} and {more:,} more" if more > 0 else first


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a hint that lists known names and, where one is close, the nearest."""
    known = sorted(known)
    match = nearest(name, known)
    hint = f"Known: {listed(known)}." if known else "None is configured."
    return f"Did you mean {match!r}? {hint}" if match else hint
