"""Who writes the right answer from drafts of which most are wrong.

Source: Symbolic-MoE (arXiv:2503.05641), which chooses its aggregator by this test: one right and
two wrong drafts, in random order.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from motet.composer.strategies.synthesis import synthesis
from motet.config import Document
from motet.errors import TableError
from motet.experts import Expert
from motet.lab.tabulation.answers import AnswerLog
from motet.lab.tabulation.build import Tabulation, started
from motet.lab.tabulation.prompts import Prompt
from motet.lab.tabulation.state import states_of
from motet.progress import Progress, silent
from motet.types import Request

WRONG = 2
"""Wrong drafts beside the right one."""


def synthesis_prompts(
    prompts: Sequence[Prompt], table: Path, *, count: int | None = None, seed: int = 0
) -> list[Prompt]:
    """Return the prompts again, each with drafts out of a table that `motet table build` wrote.

    Prompts that nobody answered rightly, or fewer than two wrongly in different words, are left
    out. Graders and references stay, so that the answers are graded like any others.

    Parameters
    ----------
    count
        How many to draw of those that qualify; all when absent.

    Raises
    ------
    TableError
        The table holds no answers, or none that qualify for these prompts.
    """
    answers = _answers(table)
    rng = random.Random(seed)
    qualified: list[Prompt] = []
    for prompt in prompts:
        right = sorted({text for text, score in answers.get(prompt.id, ()) if score >= 1})
        wrong = sorted({text for text, score in answers.get(prompt.id, ()) if score < 0.5})
        wrong = [text for text in wrong if text and text not in right]
        if right and len(wrong) >= WRONG:
            drafts = [rng.choice(right), *rng.sample(wrong, WRONG)]
            rng.shuffle(drafts)
            asked = synthesis(Request(model="", messages=prompt.messages), drafts)
            qualified.append(replace(prompt, messages=asked.messages))
    if not qualified:
        raise TableError(
            f"{table}: no prompt has one right and {WRONG} different wrong answers in it.",
            hint="Give the prompts that this table was built from.",
        )
    return qualified if count is None else rng.sample(qualified, min(count, len(qualified)))


async def synthesis_results(
    document: Document,
    prompts: Sequence[Prompt],
    experts: Mapping[str, Expert],
    kept: Path,
    progress: Progress = silent,
) -> dict[str, tuple[int, int]]:
    """Return expert -> how many of `prompts` it answered rightly, of how many.

    Parameters
    ----------
    prompts
        As `synthesis_prompts` returns them.
    experts
        Who is asked, by the config's ids; started here, and closed at the end.
    kept
        JSON lines of their answers: after an interruption only what is missing is asked.

    Raises
    ------
    MotetError
        An expert cannot be reached.
    """
    async with started(experts.values()):
        with AnswerLog(kept) as log:
            tabulation = Tabulation(prompts, experts, states_of(document, experts), log)
            await tabulation.run(progress)
            scores = await tabulation.grade(progress)
    return {name: (sum(s >= 1 for s in own), len(own)) for name, own in scores.items()}


def _answers(table: Path) -> dict[str, list[tuple[str, float]]]:
    """Return prompt id -> what the experts answered, each with its score."""
    import pyarrow as pa
    from pyarrow.parquet import read_table

    try:
        whole = read_table(table)
    except (OSError, pa.ArrowInvalid) as error:
        raise TableError(f"{table}: {error}.") from None
    experts = [c.removeprefix("answer:") for c in whole.column_names if c.startswith("answer:")]
    if not experts or "id" not in whole.column_names:
        raise TableError(
            f"{table}: it holds no answers.", hint="`motet table build` writes tables with them."
        )
    return {
        row["id"]: [(row[f"answer:{e}"].strip(), row[f"score:{e}"]) for e in experts]
        for row in whole.to_pylist()
    }
