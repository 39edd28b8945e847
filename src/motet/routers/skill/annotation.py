"""Skill keywords that an expert names, as far as it agrees with itself.

Symbolic-MoE asks a language model five times at temperature 0.7 and keeps what it says more than
once (self-consistency). The answer is bound to a JSON schema where the expert can be. What cannot
be used is replaced by the lexical annotator's words, and says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from motet.routers.skill import lexical
from motet.routers.skill.keywords import FEWEST, MOST, MOST_CHARS, usable
from motet.types import Asks, Request
from motet.whole import object_in

SAMPLES = 5
TEMPERATURE = 0.7
_AGREE = 2
"""Samples that must name a keyword."""
_MOST_TOKENS = 96
_MOST_TEXT = 2000
"""Characters of a question that are shown to the expert."""
_PROMPT = (
    "Which skills does one need to answer the question below? Name {fewest} to {most}, each in one "
    "to three words of at most {chars} characters, such as algebra, tort law or sql. Do not answer "
    'the question. Reply with JSON: {{"skills": ["...", "..."]}}.\n\nQuestion: {text}'
)
_SCHEMA = {
    "type": "object",
    "properties": {
        "skills": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": MOST_CHARS},
            "minItems": FEWEST,
            "maxItems": MOST,
        }
    },
    "required": ["skills"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Annotation:
    """The skills of one question.

    Attributes
    ----------
    keywords
        The surest first; none where a text says nothing.
    note
        Why it is not the expert's own word, where one was asked; else empty.
    """

    keywords: tuple[str, ...]
    note: str = ""


def by_lexicon(text: str, note: str = "") -> Annotation:
    """Return what the text alone says."""
    return Annotation(lexical.keywords(text), note)


class ExpertAnnotator:
    """Asks one expert for the skills of questions, and remembers what it said.

    Parameters
    ----------
    expert
        Its id.
    able
        Whether it can be bound to a JSON schema.
    kept
        Annotations that are remembered; the least recently used leave first.
    """

    def __init__(self, expert: str, *, able: bool = True, kept: int = 4096) -> None:
        self.expert = expert
        self._able = able
        self._kept = kept
        self._memory: OrderedDict[str, Annotation] = OrderedDict()

    @property
    def digest(self) -> str:
        """SHA-256 of what the expert is asked, and how (64 hexadecimal digits)."""
        asked = (self.expert, _PROMPT, _SCHEMA, SAMPLES, TEMPERATURE, _AGREE, _MOST_TEXT)
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    async def annotate(self, text: str, calls: Asks, *, able: bool | None = None) -> Annotation:
        """Return the keywords that more than one sample names.

        Parameters
        ----------
        able
            Whether the expert can be bound to a JSON schema now; as when it was made if None.

        Raises
        ------
        MotetError
            The expert cannot be asked.
        """
        if (known := self._memory.get(text)) is not None:
            self._memory.move_to_end(text)
            return known
        able = self._able if able is None else able
        async with asyncio.TaskGroup() as group:
            samples = [
                group.create_task(calls.ask(self.expert, self._question(text, number, able)))
                for number in range(SAMPLES)
            ]
        said = [keywords_of(sample.result()) for sample in samples]
        annotation = self._memory[text] = self._agreed(text, said)
        while len(self._memory) > self._kept:
            self._memory.popitem(last=False)
        return annotation

    def _agreed(self, text: str, samples: Iterable[tuple[str, ...]]) -> Annotation:
        named = Counter(keyword for sample in samples for keyword in sample)
        agreed = [keyword for keyword, times in named.most_common() if times >= _AGREE]
        if agreed:
            return Annotation(tuple(agreed[:MOST]))
        why = "agreed with itself on no skill" if named else "named no skill"
        return by_lexicon(text, f"{self.expert!r} {why}, so these are words of the text")

    def _question(self, text: str, number: int, able: bool) -> Request:
        prompt = _PROMPT.format(fewest=FEWEST, most=MOST, chars=MOST_CHARS, text=text[:_MOST_TEXT])
        form = {"type": "json_schema", "json_schema": {"name": "skills", "schema": _SCHEMA}}
        return Request(
            model=self.expert,
            messages=({"role": "user", "content": prompt},),
            max_tokens=_MOST_TOKENS,
            temperature=TEMPERATURE,
            seed=number,
            response_format=form if able else None,
        )


def keywords_of(answer: str) -> tuple[str, ...]:
    """Return the usable keywords in an expert's answer; none when it holds no such JSON."""
    skills = object_in(answer).get("skills")
    if not isinstance(skills, list):
        return ()
    return usable(skill for skill in skills if isinstance(skill, str))
