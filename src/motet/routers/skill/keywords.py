"""What a skill keyword is, whoever writes it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

MOST_CHARS = 20
"""Characters of the longest keyword; longer ones describe a question and not a skill."""
FEWEST, MOST = 2, 5
"""Keywords of one question."""


def normal(word: str) -> str:
    """Return a keyword in the one form that profiles hold: lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", word).replace("_", " ").casefold().split())


def usable(words: Iterable[str]) -> tuple[str, ...]:
    """Return the keywords in normal form, without empty, too long and double ones, `MOST` of them.

    The order stays.
    """
    keywords = dict.fromkeys(normal(word).strip(" .,;:!?\"'`*-") for word in words)
    return tuple(word for word in keywords if 0 < len(word) <= MOST_CHARS)[:MOST]
