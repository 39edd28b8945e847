"""When two answers say the same, and which of them most say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["auto", "number", "choice", "json", "text"]

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")
_CHOICE = re.compile(r"(?<!\w)([A-J])(?!\w)")
_FENCE = re.compile(r"^```[\w+-]*\n(.*?)\n?```$", re.DOTALL)
_CONCLUSION = re.compile(
    r"(?:answer|result|total)\s*(?:is|=|:)\s*|####\s*|\\boxed\{", re.IGNORECASE
)


def normal(text: str, form: Form) -> str:
    """Return what `text` answers, in a form in which equal answers are equal texts.

    `number` takes the last number and `choice` the last letter from A to J that stands alone; a
    text that has none is compared whole. `auto` takes a JSON value, else the number or letter after
    words that announce an answer ("the answer is", "####"), else the whole text.
    """
    text = _FENCE.sub(r"\1", text.strip())
    if form in ("json", "auto") and (value := _json(text)) is not None:
        return value
    if form == "auto":
        rest = announced(text)
        if rest is not None:
            return _number(rest) or _choice(rest) or _plain(rest)
    if form == "number":
        return _number(text) or _plain(text)
    if form == "choice":
        return _choice(text) or _plain(text)
    return _plain(text)


def announced(text: str) -> str | None:
    """Return what follows the last words that announce an answer; None where there are none."""
    conclusions = list(_CONCLUSION.finditer(text))
    return text[conclusions[-1].end() :] if conclusions else None


@dataclass(frozen=True, slots=True)
class Lead:
    """The answer that leads a vote.

    Attributes
    ----------
    seat
        The first who gives it.
    weight, behind
        What speaks for it, and for the next.
    """

    seat: int
    weight: float
    behind: float


def leader(texts: Mapping[int, str], weights: Sequence[float], form: Form) -> Lead:
    """Return the answer with the most weight; between equals the first seat's.

    Parameters
    ----------
    texts
        At least one answer, by its seat.
    weights
        What each seat's vote counts.
    """
    first: dict[str, int] = {}
    sums: dict[str, float] = {}
    for seat in sorted(texts):
        answer = normal(texts[seat], form)
        first.setdefault(answer, seat)
        sums[answer] = sums.get(answer, 0.0) + weights[seat]
    ranked = sorted(sums, key=lambda answer: (-sums[answer], first[answer]))
    behind = sums[ranked[1]] if len(ranked) > 1 else 0.0
    return Lead(first[ranked[0]], sums[ranked[0]], behind)


def settled(texts: Mapping[int, str], weights: Sequence[float], form: Form) -> int | None:
    """Return the leader's seat when answers still to come cannot overtake it."""
    if not texts:
        return None
    lead = leader(texts, weights, form)
    still_open = sum(weight for seat, weight in enumerate(weights) if seat not in texts)
    return lead.seat if lead.weight > lead.behind + still_open else None


def _json(text: str) -> str | None:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return None


def _number(text: str) -> str:
    numbers = _NUMBER.findall(text)
    return f"{float(numbers[-1].replace(',', '')):.10g}" if numbers else ""


def _choice(text: str) -> str:
    letters = _CHOICE.findall(text)
    return letters[-1] if letters else ""


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .,;:!?\"'`*").casefold()
