"""A skill profile: how often each expert was right on questions that need each skill.

Symbolic-MoE (arXiv 2503.05641) keeps `P[expert][keyword] += 1` for a right answer and `-= 1` for a
wrong one. A profile keeps the two counts apart, so that a score can also say how much it rests on:

    published   P = right - wrong
    beta        P = 2 (right + s g) / (right + wrong + s) - 1

where `g` is the expert's smoothed rate over all questions and `s` how many answers that prior is
worth. On disk a profile is one JSON file with a digest of itself, written whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from motet import files
from motet.config import Options
from motet.errors import ArtifactError
from motet.routers.learned.store import EncoderRecord, TableRecord
from motet.routers.skill.keywords import MOST_CHARS
from motet.routers.skill.merging import added, representatives, together, total
from motet.wording import did_you_mean

FORMAT = 1
PRIOR = 10.0
"""Answers that an expert's overall rate counts for beside those on one keyword."""
_AGAIN = "Build it again: motet profile build TABLE --out FILE."

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Tally = tuple[Number, Number]
"""Right and wrong answers. A score between 0 and 1 counts for both, in parts."""
Counts = Literal["published", "beta"]


class AnnotatorRecord(Options):
    """What wrote the keywords of a profile."""

    kind: Literal["lexical", "expert"]
    expert: str = ""
    """The expert that was asked; empty for `lexical`."""
    digest: str
    """SHA-256 of all that decides which keywords come out, the expert's weights aside."""


class Profile(BaseModel):
    """What experts did, by skill.

    Only `record` changes one, and only its counts.
    """

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    annotator: AnnotatorRecord
    experts: tuple[str, ...] = Field(min_length=1)
    tables: tuple[TableRecord, ...] = ()
    """Tables whose answers are counted."""
    encoder: EncoderRecord | None = None
    """What merged near-duplicates and matches keywords; None for equal keywords alone."""
    counts: dict[str, dict[str, Tally]] = {}
    """Keyword -> expert -> answers to questions with that keyword."""
    overall: dict[str, Tally] = {}
    """Expert -> answers to all questions."""
    aliases: dict[str, str] = {}
    """Merged keyword -> the keyword that stands for it."""
    picks: dict[str, int] = {}
    """Expert -> how often it was recruited over the table, before anyone was trimmed."""
    synthesis: dict[str, tuple[int, int]] = {}
    """Expert -> right and asked, at making one answer of drafts that are mostly wrong."""

    @model_validator(mode="after")
    def _consistent(self) -> Profile:
        named = [*self.overall, *self.picks, *(e for row in self.counts.values() for e in row)]
        for expert in named:
            if expert not in self.experts:
                raise ValueError(f"it counts answers of {expert!r}, who is none of its experts")
        for keyword in (*self.counts, *self.aliases):
            if not 0 < len(keyword) <= MOST_CHARS:
                raise ValueError(f"keyword {keyword!r} has not 1 to {MOST_CHARS} characters")
        for alias, keyword in self.aliases.items():
            if keyword not in self.counts or alias in self.counts:
                raise ValueError(f"{alias!r} stands for {keyword!r}, which is counted otherwise")
        for expert, (right, asked) in self.synthesis.items():
            if not 0 <= right <= asked:
                raise ValueError(f"synthesis of {expert!r} is {right} right of {asked}")
        return self

    @classmethod
    def load(cls, path: str | Path) -> Profile:
        """Return the profile in a file.

        Raises
        ------
        ArtifactError
            There is none, it is damaged, or another version of Motet wrote it.
        """
        path = Path(path)
        if not path.is_file():
            beside = [other.name for other in path.parent.glob("*.json")]
            raise ArtifactError(
                f"Profile {path}: there is no such file.",
                hint=did_you_mean(path.name, beside) if beside else _AGAIN,
            )
        try:
            values = json.loads(files.read_text(path))
            form, stated = values.pop("format"), values.pop("sha256")
        except (
            OSError,
            ValueError,
            RecursionError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            raise _damaged(path, f"it cannot be read as a profile ({error!r})") from error
        if form != FORMAT:
            raise ArtifactError(
                f"Profile {path} is stale: it has format {form}, this Motet reads {FORMAT}.",
                hint=_AGAIN,
            )
        if stated != _sha256(values):
            raise _damaged(path, "it is not as it was written")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise _damaged(path, f"{where}: {first['msg']}".removeprefix(": ")) from error

    def save(self, path: str | Path) -> None:
        """Write the profile, whole or not at all.

        Raises
        ------
        ArtifactError
            It cannot be written.
        """
        path = Path(path)
        values = self.model_dump(mode="json")
        text = json.dumps(
            {"format": FORMAT, "sha256": _sha256(values), **values}, indent=1, ensure_ascii=False
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(path, text + "\n")
        except OSError as error:
            raise ArtifactError(f"Profile {path} cannot be written: {error}.") from error

    def keyword(self, word: str) -> str | None:
        """Return the profile's own keyword for `word`, merged ones included; None without one."""
        if word in self.counts:
            return word
        return self.aliases.get(word)

    def tally(self, keyword: str, expert: str) -> Tally:
        """Return right and wrong answers of `expert` to questions with `keyword`."""
        return self.counts[keyword].get(expert, (0.0, 0.0))

    def rate(self, expert: str) -> float:
        """Return the expert's share of right answers over all questions, add-one smoothed."""
        right, wrong = self.overall.get(expert, (0.0, 0.0))
        return (right + 1) / (right + wrong + 2)

    def chance(self, keyword: str, expert: str, prior: float = PRIOR) -> float:
        """Return the smoothed chance in (0, 1) that `expert` is right where `keyword` is needed."""
        right, wrong = self.tally(keyword, expert)
        return (right + prior * self.rate(expert)) / (right + wrong + prior)

    def score(self, keyword: str, expert: str, counts: Counts = "beta") -> float:
        """Return `P[expert][keyword]`: in (-1, 1) for `beta`, a number of answers as published."""
        if counts == "beta":
            return 2 * self.chance(keyword, expert) - 1
        right, wrong = self.tally(keyword, expert)
        return right - wrong

    def global_scores(self, counts: Counts = "beta") -> dict[str, float]:
        """Return `G` by expert: the sum of its scores, shifted over 0, squared, summing to 1."""
        sums = {e: math.fsum(self.score(k, e, counts) for k in self.counts) for e in self.experts}
        # The paper does not say by how much it shifts; one count more keeps the worst above 0.
        least = min(sums.values()) - 1
        squares = {expert: (value - least) ** 2 for expert, value in sums.items()}
        whole = math.fsum(squares.values())
        return {expert: square / whole for expert, square in squares.items()}

    def check_table(self, digest: str, name: str) -> None:
        """Raise `ArtifactError` unless the table with this digest is counted here."""
        if digest not in {table.digest for table in self.tables}:
            counted = ", ".join(t.name for t in self.tables) or "none"
            raise ArtifactError(
                f"The profile is stale: it does not count {name} as it is now. Its tables: "
                f"{counted}.",
                hint=_AGAIN,
            )

    def blank(self) -> Profile:
        """Return one with these experts and no answers, to keep feedback apart until a merge."""
        return Profile(annotator=self.annotator, encoder=self.encoder, experts=self.experts)

    def with_synthesis(self, results: Mapping[str, tuple[int, int]]) -> Profile:
        """Return this profile with what experts did at synthesis, in the place of older results."""
        return self.model_copy(update={"synthesis": self.synthesis | dict(results)})

    def pick_shares(self) -> dict[str, float]:
        """Return each expert's share of all picks; empty where none were counted."""
        whole = sum(self.picks.values())
        return {e: self.picks.get(e, 0) / whole for e in self.experts} if whole else {}

    def aggregator(self, among: Collection[str]) -> str | None:
        """Return who of `among` is best at synthesis, add-one smoothed; None when none was asked.

        Of equals, the one that was asked more often, then the first by name.
        """
        measured = [e for e in among if self.synthesis.get(e, (0, 0))[1]]
        return min(measured, key=self._synthesis_rank, default=None)

    def _synthesis_rank(self, expert: str) -> tuple[float, int, str]:
        right, asked = self.synthesis[expert]
        return -(right + 1) / (asked + 2), -asked, expert

    def record(self, keywords: Iterable[str], expert: str, right: bool) -> None:
        """Count one more answer: of `expert`, to a question with `keywords`.

        Raises
        ------
        ArtifactError
            The profile has no such expert, or a keyword is empty or too long.
        """
        if expert not in self.experts:
            raise ArtifactError(f"no expert {expert!r}. {did_you_mean(expert, self.experts)}")
        words = list(dict.fromkeys(keywords))
        for word in words:
            if not 0 < len(word) <= MOST_CHARS:
                raise ArtifactError(f"keyword {word!r} has not 1 to {MOST_CHARS} characters.")
        one = (float(right), float(not right))
        self.overall[expert] = total(self.overall.get(expert), one)
        for word in dict.fromkeys(self.keyword(word) or word for word in words):
            row = self.counts.setdefault(word, {})
            row[expert] = total(row.get(expert), one)

    def merge(self, other: Profile) -> Profile:
        """Return a profile of the answers that either counts; the order of the two is no matter.

        Raises
        ------
        ArtifactError
            Their keywords come from different annotators or encoders, or both count the same
            table.
        """
        self._check_mergeable(other)
        names = representatives([(p.counts, p.aliases) for p in (self, other)])
        return Profile(
            annotator=self.annotator,
            encoder=self.encoder,
            experts=tuple(sorted({*self.experts, *other.experts})),
            tables=tuple(sorted((*self.tables, *other.tables), key=lambda table: table.digest)),
            counts=together((self.counts, other.counts), names),
            overall=added(self.overall, other.overall),
            aliases={name: to for name, to in sorted(names.items()) if name != to},
            picks={
                e: self.picks.get(e, 0) + other.picks.get(e, 0)
                for e in sorted({*self.picks, *other.picks})
            },
            synthesis={
                e: (int(right), int(asked))
                for e, (right, asked) in added(self.synthesis, other.synthesis).items()
            },
        )

    def _check_mergeable(self, other: Profile) -> None:
        if self.annotator != other.annotator:
            raise ArtifactError(
                f"Profiles of different annotators cannot be merged: {_named(self.annotator)} and "
                f"{_named(other.annotator)} name other skills."
            )
        if self.encoder != other.encoder:
            raise ArtifactError("Profiles of different encoders cannot be merged.", hint=_AGAIN)
        shared = {t.digest for t in self.tables} & {t.digest for t in other.tables}
        if shared:
            name = next(table.name for table in self.tables if table.digest in shared)
            raise ArtifactError(f"Both profiles count table {name}: its answers would count twice.")


def _named(annotator: AnnotatorRecord) -> str:
    shown = annotator.expert or annotator.kind
    return f"{shown!r} ({annotator.digest[:8]})"


def _sha256(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(path: Path, what: str) -> ArtifactError:
    return ArtifactError(f"Profile {path} is damaged: {what}.", hint=_AGAIN)
