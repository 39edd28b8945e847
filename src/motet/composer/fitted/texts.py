"""What a text's surface says of how good an answer it is, beside the other answers.

Length, structure, words shared with the question and with the others, how it begins and ends,
refusals. Source of the idea that candidates are best told apart side by side: LLM-Blender
(arXiv:2306.02561).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_READ = 20_000
"""Characters of a text that are read."""
_WORD = re.compile(r"\w+")
_OPENING = re.compile(r"(sure|certainly|of course|here|great)")
_REFUSAL = re.compile(
    r"\b(i'm sorry|i apologi[sz]e|as an ai|i cannot|i can't|unable to|i do not have)\b"
)
_OFFER = re.compile(r"\b(i hope|let me know|feel free)\b")
_PATTERNS = (
    re.compile(r"^[^\S\n]*[-*•] ", re.MULTILINE),
    re.compile(r"^[^\S\n]*\d+[.)] ", re.MULTILINE),
    re.compile(r"\*\*"),
    re.compile(r"^#+ ", re.MULTILINE),
    re.compile(r":"),
    re.compile(r"!"),
    re.compile(r"\?"),
    re.compile(r"[.!?](?:\s|$)", re.MULTILINE),
    re.compile(r"\bI\b|\bmy\b"),
)
"""What is counted: bullets, numbered points, bold, headings, marks, sentences, the first person."""
WIDTH = 32
"""Measures of one text."""


def measures(query: str, texts: Sequence[str]) -> Floats:
    """Return `[texts, 32]` measures of the answers to one query."""
    import numpy as np

    read = [text[:_READ] for text in texts]
    words = [_WORD.findall(text.lower()) for text in read]
    shared = _shared(words)
    asked = set(_WORD.findall(query[:_READ].lower()))
    lengths = np.array([math.log1p(len(text)) for text in read])
    measured = [
        (
            *_shape(text, own, asked),
            *shared[at],
            lengths[at] > np.median(lengths),
            lengths[at] == lengths.max(),
            lengths[at] - lengths.mean(),
            math.log1p(len(query)),
        )
        for at, (text, own) in enumerate(zip(read, words, strict=True))
    ]
    return np.array(measured, np.float64).reshape(len(read), WIDTH)


def _shape(text: str, words: list[str], asked: set[str]) -> tuple[float, ...]:
    """Return what a text says alone."""
    size, count, known = max(len(text), 1), max(len(words), 1), set(words)
    lines, low = text.split("\n"), text.lower()
    return (
        math.log1p(len(text)),
        math.log1p(len(words)),
        len(known) / count,
        sum(map(len, words)) / count,
        math.log1p(len(lines)),
        math.log1p(sum(not line.strip() for line in lines)),
        *(math.log1p(len(pattern.findall(text))) for pattern in _PATTERNS),
        "```" in text,
        _OPENING.match(low.strip()) is not None,
        _REFUSAL.search(low) is not None,
        _OFFER.search(low) is not None,
        len(asked & known) / max(len(asked), 1),
        text.strip()[-1:] in tuple('.!?`)":*'),
        sum(ord(letter) > 127 for letter in text) / size,
        sum(map(str.isupper, text)) / size,
        text.count(",") / count,
    )


def _shared(words: list[list[str]]) -> list[tuple[float, ...]]:
    """Return how much each text has in common with the others: words, word pairs, and theirs."""
    single = [set(own) for own in words]
    pairs = [set(pairwise(own)) for own in words]
    overlaps: list[tuple[float, ...]] = []
    for at in range(len(words)):
        others = [other for other in range(len(words)) if other != at] or [at]
        alike = [_overlap(single[at], single[other]) for other in others]
        overlaps.append(
            (
                sum(alike) / len(others),
                max(alike),
                sum(_overlap(pairs[at], pairs[other]) for other in others) / len(others),
                sum(
                    len(single[at] & single[other]) / max(len(single[other]), 1) for other in others
                )
                / len(others),
            )
        )
    return overlaps


def _overlap(one: set[Any], other: set[Any]) -> float:
    return len(one & other) / max(len(one | other), 1)
