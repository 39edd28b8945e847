"""An expert says whether the answer is right."""

from __future__ import annotations

import re
from typing import ClassVar

from motet.grading.base import Grader

_QUESTION = """\
Judge whether an answer is right. Reply with one word, "right" or "wrong".

Question: {prompt}

A right answer: {reference}

The answer to judge: {answer}

Verdict:"""


class JudgeGrader(Grader):
    """Asks the expert that the build was given as its judge.

    Judges favour long and early answers (Zheng et al. 2023, "Judging LLM-as-a-Judge"), so here
    each answer is judged alone, against a reference.
    """

    Reference: ClassVar[object] = str

    asks = True

    async def grade(self, prompt: str, answer: str, reference: str) -> float:
        """Return 1 when the first verdict in the judge's reply is `right`."""
        assert self.ask is not None, "a build without a judge refuses prompts that want one"
        reply = await self.ask(_QUESTION.format(prompt=prompt, reference=reference, answer=answer))
        verdict = re.search(r"\b(right|wrong)\b", reply, re.IGNORECASE)
        return float(verdict is not None and verdict.group().casefold() == "right")
