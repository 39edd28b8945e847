"""A profile from a routing table whose questions have keywords."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from motet.errors import TableError
from motet.progress import Progress, silent
from motet.routers.learned.store import EncoderRecord, TableRecord
from motet.routers.skill import taxonomy
from motet.routers.skill.profile import AnnotatorRecord, Counts, Profile
from motet.routers.skill.recruit import recruit, standings
from motet.tables.routing import Table

if TYPE_CHECKING:
    from motet.encoders.encoder import Encoder

EXPERTS = 3
"""Recruited for a question where nothing else is said."""
Tallies = dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How a profile is made of annotated questions.

    Attributes
    ----------
    merge
        Least cosine of keywords that are merged; None merges none.
    least
        Questions that a keyword needs; `taxonomy.least` of the rows when None.
    experts, counts
        How the router will recruit, for the picks that trimming reads.
    """

    merge: float | None = None
    least: int | None = None
    experts: int = EXPERTS
    counts: Counts = "beta"


def build(
    table: Table,
    keywords: Sequence[Sequence[str]],
    annotator: AnnotatorRecord,
    *,
    encoder: Encoder | None = None,
    options: BuildOptions | None = None,
    report: Progress = silent,
) -> Profile:
    """Return the profile of a table.

    Parameters
    ----------
    keywords
        Of each row, in the table's order.
    encoder
        What merges and will match keywords; None for equal ones alone.

    Raises
    ------
    TableError
        No keyword is frequent enough.
    """
    options = options or BuildOptions()
    frequency = taxonomy.frequencies(keywords)
    aliases: dict[str, str] = {}
    if encoder is not None and options.merge is not None:
        words = taxonomy.common(frequency)
        aliases = taxonomy.near_duplicates(words, encoder.encode(words, report), options.merge)
    rows = [tuple(dict.fromkeys(aliases.get(word, word) for word in row)) for row in keywords]
    needed = taxonomy.least(len(table)) if options.least is None else options.least
    kept = {word for word, times in taxonomy.frequencies(rows).items() if times >= needed}
    if not kept:
        raise TableError(
            f"{table.name}: no skill keyword stands in {needed} of {len(table)} questions.",
            hint="Lower --least, or profile a larger table.",
        )
    rows = [tuple(word for word in row if word in kept) for row in rows]
    made = Profile(
        annotator=annotator,
        encoder=None if encoder is None else _record(encoder),
        experts=table.experts,
        tables=(TableRecord(name=table.name, digest=table.digest, rows=len(table)),),
        counts=_counts(table, rows),
        overall=_tallies(table, range(len(table))),
        aliases={word: to for word, to in sorted(aliases.items()) if to in kept},
    )
    return made.model_copy(update={"picks": picks(made, rows, options.experts, options.counts)})


def joined(
    profile: Profile, answers: Table, table: Table, keywords: Sequence[Sequence[str]]
) -> Profile:
    """Return a profile that counts one more expert's answers too.

    Skills stay those of the profile; who is picked how often is counted anew.

    Parameters
    ----------
    answers
        A table of that expert alone, with rows of `table`.
    table
        What the profile was built from.
    keywords
        Of each row of `table`, by the profile's own annotator.
    """
    known = [
        tuple(dict.fromkeys(word for each in row if (word := profile.keyword(each)) is not None))
        for row in keywords
    ]
    of = dict(zip(table.queries or (), known, strict=False))
    rows = [of[query] for query in answers.queries or ()]
    alone = Profile(
        annotator=profile.annotator,
        encoder=profile.encoder,
        experts=answers.experts,
        tables=(TableRecord(name=answers.name, digest=answers.digest, rows=len(answers)),),
        counts=_counts(answers, rows),
        overall=_tallies(answers, range(len(answers))),
    )
    both = profile.merge(alone)
    return both.model_copy(update={"picks": picks(both, known, EXPERTS, "beta")})


def picks(
    profile: Profile, rows: Sequence[Sequence[str]], experts: int, counts: Counts
) -> dict[str, int]:
    """Return how often each expert is among the best for the questions of a table."""
    overall = profile.global_scores(counts) if counts == "published" else None
    times_picked: Counter[str] = Counter(dict.fromkeys(profile.experts, 0))
    for row, times in Counter(tuple(sorted(row)) for row in rows if row).items():
        ranked = standings(profile, row, profile.experts, counts, overall)
        for expert in recruit(ranked, experts):
            times_picked[expert] += times
    return dict(times_picked)


def _counts(table: Table, rows: Sequence[Sequence[str]]) -> dict[str, Tallies]:
    where: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        for word in row:
            where.setdefault(word, []).append(number)
    return {word: _tallies(table, where[word]) for word in sorted(where)}


def _tallies(table: Table, rows: Sequence[int]) -> Tallies:
    """Return right and wrong answers of every expert; a score of 0.3 is 0.3 right, 0.7 wrong."""
    import numpy as np

    right = table.scores[np.asarray(rows, dtype=int)].sum(axis=0, dtype=np.float64)
    return {
        expert: (round(float(value), 4), round(len(rows) - float(value), 4))
        for expert, value in zip(table.experts, right, strict=True)
    }


def _record(encoder: Encoder) -> EncoderRecord:
    return EncoderRecord(name=encoder.name, digest=encoder.digest, width=encoder.width)
