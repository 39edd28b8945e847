"""Which keywords a profile counts: near-duplicates as one, and rare ones not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LEAST = 3
_SHARE = 1000


def least(rows: int) -> int:
    """Return the questions that a keyword needs by default: 3, and one in 1,000 of a table."""
    return max(LEAST, round(rows / _SHARE))


def frequencies(rows: Sequence[Sequence[str]]) -> Counter[str]:
    """Return in how many rows each keyword stands."""
    return Counter(word for row in rows for word in dict.fromkeys(row))


def common(frequency: Mapping[str, int]) -> list[str]:
    """Return keywords, the most frequent first, then by name."""
    return sorted(frequency, key=lambda word: (-frequency[word], word))


def near_duplicates(words: Sequence[str], vectors: Floats, threshold: float) -> dict[str, str]:
    """Return keyword -> the more frequent keyword that it is merged into.

    Parameters
    ----------
    words
        The most frequent first; each joins the nearest of those before it that stand for
        themselves.
    vectors
        `[words, width]`, of length one.
    threshold
        Least cosine of a pair that is merged.
    """
    import numpy as np

    aliases: dict[str, str] = {}
    leaders: list[int] = []
    held = np.empty_like(vectors)
    for place, word in enumerate(words):
        if leaders:
            alike = held[: len(leaders)] @ vectors[place]
            nearest = int(alike.argmax())
            if alike[nearest] >= threshold:
                aliases[word] = words[leaders[nearest]]
                continue
        held[len(leaders)] = vectors[place]
        leaders.append(place)
    return aliases
