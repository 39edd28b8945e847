"""Deciding again on what was decided: with what routers had learned then, or with another config.

A decision is made from the text that the store kept, with every expert of the config taken as
ready. It differs from the one that was logged where something else than the artifact did: an expert
was down, a text was redacted or cut, or a rule reads what is not kept (tools, metadata, bounds).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from motet.composer.assembly import assemble
from motet.composer.parts import Parts
from motet.composer.pipeline import Pipeline
from motet.config import Document, parse
from motet.config.edit import with_option
from motet.errors import ArtifactError, ConfigError, MotetError
from motet.experts.disabled import DisabledExpert
from motet.experts.fleet import ReadyFleet
from motet.lab.coldstart.versions import versions
from motet.routers.learned.router import LearnedRouter
from motet.routers.learned.store import read_manifest
from motet.store.decisions import DecisionRow
from motet.types import Caller, Request, Task, Texts
from motet.wording import did_you_mean

_AT_ONCE = 32
"""Decisions under way together: encoders take their texts in one batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One decision, then and now.

    Attributes
    ----------
    then, now
        Experts, best first.
    quality, cost_usd
        What is expected of the first of `now`; None where its router does not estimate it.
    quality_then, cost_usd_then
        What the same router expects of the first of `then`.
    reason
        Of the decision now.
    """

    id: str
    composition: str
    then: tuple[str, ...]
    now: tuple[str, ...]
    quality: float | None = None
    cost_usd: float | None = None
    quality_then: float | None = None
    cost_usd_then: float | None = None
    reason: str = ""

    @property
    def is_same(self) -> bool:
        """Whether the same experts would be asked in the same order."""
        return self.then == self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Means of what routers expect now.

    Attributes
    ----------
    now, then
        Of the choices now, and of those made then.
    decisions
        Over how many: those whose router estimates both.
    """

    now: float
    then: float
    decisions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What would differ.

    Attributes
    ----------
    rows
        Decisions that were made again, in the order they were given.
    skipped
        How many were not, by the reason.
    """

    rows: tuple[Replayed, ...]
    skipped: Mapping[str, int]

    @property
    def changed(self) -> tuple[Replayed, ...]:
        """Those that ask other experts."""
        return tuple(row for row in self.rows if not row.is_same)

    def expected(self) -> dict[str, Expected]:
        """Return what is expected of `quality` and of `cost_usd`, where anything is."""
        said = {}
        for name in ("quality", "cost_usd"):
            pairs = [
                (now, then)
                for row in self.rows
                if (now := getattr(row, name)) is not None
                and (then := getattr(row, f"{name}_then")) is not None
            ]
            if pairs:
                now, then = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
                said[name] = Expected(now=now, then=then, decisions=len(pairs))
        return said

    def json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "decisions": len(self.rows),
            "changed": len(self.changed),
            "skipped": dict(self.skipped),
            "expected": {name: asdict(means) for name, means in self.expected().items()},
            "rows": [asdict(row) | {"same": row.is_same} for row in self.rows],
        }


async def replay(
    rows: Sequence[DecisionRow],
    document: Document,
    *,
    artifacts: Mapping[str, Path] | None = None,
    pinned: bool = True,
) -> Replay:
    """Decide again on logged decisions.

    Parameters
    ----------
    rows
        As the store has them, with their texts.
    document
        The config that decides: the one that was served, or another.
    artifacts
        Folders that routers read in place of what the config says, by the router's name.
    pinned
        Whether a router decides with what it had learned when the decision was logged: the version
        of its artifact with that digest. A decision whose version is gone is skipped.

    Raises
    ------
    ConfigError
        The config is wrong, or has no such learned router.
    ArtifactError
        An artifact is absent or damaged.
    """
    again = _Again(document, artifacts or {}, pinned and not artifacts)
    try:
        decided = await again.all(rows)
    finally:
        again.close()
    return Replay(rows=tuple(decided), skipped=dict(sorted(again.skipped.items())))


class _Again:
    """Decides again, with one set of parts for each version of an artifact."""

    def __init__(self, document: Document, artifacts: Mapping[str, Path], pinned: bool) -> None:
        self.skipped: Counter[str] = Counter()
        self._pinned = pinned
        for router, folder in artifacts.items():
            document = _with_artifact(document, router, folder)
        self._document = document
        self._parts = assemble(document)
        self._pipelines: dict[tuple[str, str] | None, Pipeline | None] = {
            None: _pipeline(self._parts)
        }
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def all(self, rows: Sequence[DecisionRow]) -> list[Replayed]:
        """Return the decisions that can be made again, in the order of their rows."""
        decided = await asyncio.gather(*(self._one(row) for row in rows))
        return [one for one in decided if one is not None]

    def close(self) -> None:
        """End what encodes."""
        self._parts.encoders.close()

    async def _one(self, row: DecisionRow) -> Replayed | None:
        async with self._gate:
            why = self._obstacle(row)
            pipeline = None if why else self._deciding(row)
            if pipeline is None:
                self.skipped[why or "the version of its artifact is gone"] += 1
                return None
            then = tuple(orjson.loads(row.experts or "[]"))
            try:
                decision = await pipeline.decide(_request(row))
            except MotetError as error:
                self.skipped[f"nobody would answer now: {error.status_name}"] += 1
                return None
        of = {choice.expert: choice for choice in decision.choices}
        first, before = decision.choices[0], of.get(then[0])
        return Replayed(
            id=row.decision or row.id,
            composition=row.composition or "",
            then=then,
            now=decision.experts,
            quality=first.quality,
            cost_usd=first.cost,
            quality_then=before.quality if before else None,
            cost_usd_then=before.cost if before else None,
            reason=decision.reason,
        )

    def _obstacle(self, row: DecisionRow) -> str:
        """Return why a row cannot be decided again, whatever version; empty where it can."""
        composition = self._parts.compositions.get(row.composition or "")
        if row.experts is None:
            return "it came to no decision"
        if row.router == "direct":
            return "the client named its expert"
        if row.prompt is None:
            return "its text was not kept: that takes store.text: true"
        if composition is None or composition.router is None:
            return f"the config has no composition {row.composition!r}"
        if composition.task is Task.MODERATE:
            return "an ensemble asks every member"
        if composition.router.asks:
            return "its router asks an expert"
        return ""

    def _deciding(self, row: DecisionRow) -> Pipeline | None:
        """Return what decides on a row; None where the version that did is gone."""
        router = self._parts.routers.get(row.router or "")
        if not self._pinned or row.artifact is None or not isinstance(router, LearnedRouter):
            return self._pipelines[None]
        if row.artifact == router.artifact:
            return self._pipelines[None]
        key = router.name, row.artifact
        if key not in self._pipelines:
            folder = _version(router.folder, row.artifact)
            self._pipelines[key] = None
            if folder is not None:
                document = _with_artifact(self._document, router.name, folder)
                self._pipelines[key] = _pipeline(assemble(document, before=self._parts))
        return self._pipelines[key]


def _pipeline(parts: Parts) -> Pipeline:
    experts = (each for each in parts.experts.values() if not isinstance(each, DisabledExpert))
    return Pipeline(parts, ReadyFleet(experts))


def _with_artifact(document: Document, router: str, folder: Path) -> Document:
    known = document.config.routers
    if router not in known:
        raise ConfigError(f"no router {router!r} in {document.name}. {did_you_mean(router, known)}")
    text = with_option(document, router, "artifact", str(folder.resolve()))
    return parse(text, name=document.name, folder=document.folder)


def _version(folder: Path, digest: str) -> Path | None:
    """Return the version of an artifact with that digest; None where it is gone."""
    return next((path for path, known in _digests(folder) if known == digest), None)


def _digests(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in versions(folder):
        try:
            yield path, read_manifest(path).digest
        except ArtifactError:
            continue  # something else of that name


def _request(row: DecisionRow) -> Request:
    said = orjson.loads(row.prompt or "")
    caller = Caller(key=row.key or "", tenant=row.tenant or "")
    model = row.composition or ""
    if isinstance(said, str):
        return Request(model=model, prompt=said, caller=caller)
    if isinstance(said, dict):
        texts = Texts(task=Task(said["task"]), inputs=tuple(said["inputs"]), role=said["role"])
        return Request(model=model, texts=texts, caller=caller)
    return Request(model=model, messages=tuple(said), caller=caller)
