"""The router in front of every learned kind: a request in, an artifact's decision out."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat

from motet.config import Options, Setting
from motet.conversation.threads import Newest
from motet.encoders.encoder import Backend
from motet.encoders.text import TextConfig, asked, clip, form
from motet.errors import ArtifactError, ConfigError
from motet.routers.base import Router
from motet.routers.learned.followups import FollowUps, embedded
from motet.routers.learned.store import Manifest, read_manifest
from motet.routers.loading import Loading, fall_back
from motet.types import Asks, Choice, Decision, Fleet, Request
from motet.wording import did_you_mean, listed, shown

if TYPE_CHECKING:
    from motet.encoders.live import Batcher, Encoders
    from motet.routers.learned.artifact import Artifact
    from motet.routers.learned.base import Queries
    from motet.routers.learned.decide import Ranking, Terms

log = logging.getLogger(__name__)

_SHOWN = 80
"""Characters that a reason quotes of an earlier question."""


class LearnedConfig(Options):
    """Options of every learned kind."""

    artifact: str
    """Folder that `motet router train` wrote."""
    table: str | None = None
    """The table it was trained on, from `motet table build`: `motet apply --learn` chooses from it
    what an expert is asked that the artifact does not know."""
    lam: float | None = Field(default=None, alias="lambda")
    """Quality given up to save the mean cost of the dearest expert; the artifact's own when
    absent, 0 unless it was trained with a target."""
    max_cost_usd: PositiveFloat | None = None
    """Expected USD an answer that no choice may exceed."""
    max_latency_s: PositiveFloat | None = None
    """Seconds that the mean answer of no choice may exceed, where the table had latencies."""
    min_confidence: NonNegativeFloat = Field(default=0.0, le=1.0)
    """Below this chance that the choice is the best, the fallback answers instead."""
    fallback: str | None = None
    """The expert that answers when this router does not know; without one, the next router of a
    chain is asked."""
    encoder: str | None = None
    """Where the encoder is, if not under the name it was trained with."""
    backend: Backend = "auto"
    """What computes the encoder; `auto` is OpenVINO where it is installed and there is no GPU."""
    text: TextConfig = TextConfig()
    """How a request becomes a text."""


class LearnedRouter(Router):
    """Asks an artifact how well each expert will answer, and takes the best for its cost.

    What the artifact says of experts that are not in the fleet is ignored; experts it does not
    know are never chosen by it, and are named in the reason.
    """

    Config: ClassVar[type[Options]] = LearnedConfig
    options: LearnedConfig

    def __init__(self, name: str, options: LearnedConfig, setting: Setting) -> None:
        super().__init__(name, options, setting)
        if options.fallback is not None:
            setting.check(options.fallback, "fallback")
        self._setting = setting
        self.folder = Path(setting.folder, options.artifact).expanduser()
        try:
            manifest = read_manifest(self.folder)
        except ArtifactError as error:
            raise ConfigError(str(error), at=("artifact",)) from error
        self._check(manifest, setting.kind)
        self.artifact = manifest.digest
        self._unknown = [repr(e) for e in setting.experts if e not in manifest.names]
        absent = [e for e in manifest.names if e not in setting.experts]
        if absent:
            log.info("router %s: %s are not in the config", name, ", ".join(absent))
        self._loading = Loading(lambda: asyncio.to_thread(self._load))

    def _check(self, manifest: Manifest, kind: str | None) -> None:
        known = self._setting.experts
        if kind is not None and manifest.kind != kind:
            raise ConfigError(
                f"the artifact is of kind {manifest.kind!r}, and the config says {kind!r}.",
                at=("kind",),
            )
        if not set(manifest.names) & set(known):
            raise ConfigError(
                f"the artifact knows none of this config's experts ({listed(known)}), only "
                f"{listed(manifest.names)}. {did_you_mean(manifest.names[0], known)}",
                at=("artifact",),
            )

    async def start(self) -> None:
        """Load the artifact and the encoder, in a thread.

        Raises
        ------
        ArtifactError
            The artifact is damaged, or the encoder is not the one it was trained with.
        SourceError
            The encoder cannot be had.
        """
        await self._loading.get()

    def _load(self) -> tuple[Artifact, Batcher | None, FollowUps]:
        from motet.routers.learned.artifact import Artifact

        artifact = Artifact.load(self.folder)
        record = artifact.manifest.encoder
        if record is None:
            return artifact, None, FollowUps(artifact, None)
        encoders: Encoders | None = self._setting.encoders
        assert encoders is not None
        live = encoders.live(self.options.encoder or record.name, self.options.backend)
        artifact.check_encoder(live.encoder)
        return artifact, live.batcher, FollowUps(artifact, live.batcher)

    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Return the fleet's experts by utility; None when none of them may be chosen."""
        from motet.routers.learned.base import Queries

        artifact, batcher, follow_ups = await self._loading.get()
        turns = asked(request, self.options.text)
        of = Newest()
        if len(turns) > 1 and self.options.text.chat == "thread":
            of = await follow_ups.newest(turns)
        text = form(request, turns, of, self.options.text)
        vectors = None
        if batcher is not None:
            vectors = await embedded(text, None if of.head is None else turns[of.head], batcher)
        queries = Queries(embeddings=vectors, texts=(text,))
        decision = self._decide(artifact, queries, fleet)
        if decision is None or of.head is None:
            return decision
        how = "returns to" if of.returns else "goes on with"
        why = f"{decision.reason}; it {how} {shown(clip(turns[of.head], _SHOWN))}"
        return replace(decision, reason=why)

    def _decide(self, artifact: Artifact, queries: Queries, fleet: Fleet) -> Decision | None:
        import numpy as np

        estimate = artifact.estimate(queries)
        allowed = np.array([expert in fleet for expert in artifact.experts])
        ranking = artifact.decide(estimate, self._terms(artifact), allowed=allowed)
        confidence = float(ranking.confidence[0])
        columns = [c for c in ranking.order[0] if ranking.allowed[0, c]]
        choices = tuple(
            Choice(
                artifact.experts[column],
                quality=round(float(estimate.quality[0, column]), 4),
                cost=None if estimate.cost is None else float(estimate.cost[0, column]),
            )
            for column in columns
        )
        if not choices:
            return self._fall_back(fleet, "no expert is within its limits", ())
        reason = self._reason(artifact, queries, ranking, choices)
        if confidence < self.options.min_confidence:
            why = f"confidence {confidence:.2f} is under {self.options.min_confidence:g}; {reason}"
            return self._fall_back(fleet, why, choices)
        return Decision(
            choices=choices, router=self.name, reason=reason, confidence=round(confidence, 4)
        )

    def _terms(self, artifact: Artifact) -> Terms:
        options = self.options
        terms = replace(
            artifact.terms,
            max_cost_usd=options.max_cost_usd,
            max_latency_s=options.max_latency_s,
        )
        return terms if options.lam is None else replace(terms, lam=options.lam)

    def _reason(
        self,
        artifact: Artifact,
        queries: Queries,
        ranking: Ranking,
        choices: tuple[Choice, ...],
    ) -> str:
        first = choices[0]
        parts = [f"{first.expert!r} expects {_worth(first)}"]
        if len(choices) > 1:
            parts[0] += f", runner-up {choices[1].expert!r} {_worth(choices[1])}"
        if because := artifact.explain(queries).get("reason"):
            parts.append(str(because))
        if self._unknown:
            are = "is" if len(self._unknown) == 1 else "are"
            parts.append(f"{listed(self._unknown)} {are} not known to this router yet")
        return "; ".join(parts)

    def _fall_back(self, fleet: Fleet, why: str, others: tuple[Choice, ...]) -> Decision | None:
        return fall_back(self.name, self.options.fallback, fleet, why, others)


def _worth(choice: Choice) -> str:
    cost = "" if choice.cost is None else f" for {choice.cost:.2g} USD"
    return f"{choice.quality:.2f}{cost}"
