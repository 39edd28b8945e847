"""When two answers say the same."""

from __future__ import annotations

import json
import re
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
        announced = list(_CONCLUSION.finditer(text))
        if announced:
            rest = text[announced[-1].end() :]
            return _number(rest) or _choice(rest) or _plain(rest)
    if form == "number":
        return _number(text) or _plain(text)
    if form == "choice":
        return _choice(text) or _plain(text)
    return _plain(text)


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
