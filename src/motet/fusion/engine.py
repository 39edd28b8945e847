"""The engine `latent`: a trained fusion and all its members in one process."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.config import ExpertEntry
from motet.errors import ArtifactError, ConfigError, ExpertRejected, SourceError, did_you_mean
from motet.experts.transformers import CONTEXT_OF_PROMPT, GenerationOptions, TransformersExpert
from motet.fusion.card import FusionCard, check_members, read_card
from motet.generation.batching import Worker
from motet.generation.decoding import Choice, Vocabulary
from motet.generation.rows import Job
from motet.types import Request
from motet.weights import Setting

if TYPE_CHECKING:
    from torch import Tensor

    from motet.fusion.generate import FusedBatch
    from motet.fusion.layers import FusionLayers
    from motet.fusion.members import Member

FIELD = "fusion"
"""The field of a request that names who is fused: `{"primary": ..., "peers": [...]}`."""


class LatentOptions(GenerationOptions):
    """Options of the engine `latent`."""

    artifact: Path
    """Folder that `motet fuse train` has written. Its members are experts of this file."""


class LatentExpert(TransformersExpert):
    """A primary writes while it attends to what its peers have read.

    Who is fused comes with the request: the strategy names them, or the client of this expert in
    its field `fusion`. Without either the fusion's own router chooses by the prompt. A peer that
    fails while it reads is left out, and the answer is the one that is computed without it.
    """

    Config = LatentOptions
    own_fields = frozenset({FIELD})
    options: LatentOptions

    _fusion: FusionCard
    _layers: FusionLayers
    _members: list[Member]
    _batches: dict[int, FusedBatch]
    _vocabularies: dict[int, Vocabulary]

    @classmethod
    def models(cls, entry: ExpertEntry, setting: Setting) -> tuple[str, ...]:
        """Return the sources of all members' weights, one a member; see `Expert.models`."""
        card = read_card(setting.folder / Path(str(entry.options.get("artifact"))).expanduser())
        return tuple(member.model for member in card.members)

    def verify(self, experts: Mapping[str, ExpertEntry]) -> None:
        """Check that the artifact is there, and that its members are experts of this config.

        Raises
        ------
        ConfigError
            It is not, or they are not; both values are named.
        """
        try:
            check_members(read_card(self._artifact), experts)
        except ArtifactError as error:
            raise ConfigError(error.message, hint=error.hint, at=("artifact",)) from None

    @property
    def _artifact(self) -> Path:
        return self.setting.folder / self.options.artifact.expanduser()

    def _load(self) -> Worker:
        from motet.fusion.artifact import load_layers, load_trained_member
        from motet.fusion.generate import FusedBatch

        options = self.options
        try:
            card = self._fusion = read_card(self._artifact)
            self._layers = load_layers(self._artifact, card)
            self._members = []
            for each in card.members:
                member = load_trained_member(
                    card, each, self.setting, dtype=options.dtype, device=options.device
                )
                self._members.append(member)
                self._models.append(member.model)
        except ArtifactError as error:
            raise SourceError(
                f"Expert {self.entry.id!r}: {error.message}", hint=error.hint
            ) from error
        self._layers.to(self._members[0].device)
        indices = [card.ids.index(name) for name in card.primaries]
        self._vocabularies = {p: Vocabulary(self._members[p].tokenizer) for p in indices}
        self._batches = {
            p: FusedBatch(self._layers, p, self._members, card.draft_tokens) for p in indices
        }
        contexts = [m.context for m in self._members if m.context is not None]
        if self.entry.context is None and contexts:
            self.card = dataclasses.replace(self.card, context=min(contexts))
        return Worker(
            self.entry.id, list(self._batches.values()), self._max_batch, options.max_queue
        )

    def _job(self, request: Request, loop: asyncio.AbstractEventLoop) -> Job:
        from motet.fusion.generate import FusedJob

        logits_E = self._rate(request)
        primary, peers = self._choose(request, logits_E)
        writer = self._members[primary]
        reading = writer.encode(request, room=1)
        prompt = list(reading.tokens)
        sampling = self._sampling(request, len(prompt))
        choices = [
            Choice(
                self._vocabularies[primary],
                writer.ends,
                sampling,
                index,
                prompt[-CONTEXT_OF_PROMPT:],
            )
            for index in range(request.n)
        ]
        draft = self._fusion.draft_tokens
        return FusedJob(
            self._batches[primary],
            prompt,
            choices,
            request.stream,
            loop,
            reading=reading,
            peers={e: self._members[e].encode(request, room=draft) for e in peers},
            logits_E=logits_E,
        )

    def _rate(self, request: Request) -> Tensor:
        """Return the router's logits for a prompt."""
        import torch

        reader = self._members[self._fusion.ids.index(self._fusion.primaries[0])]
        with torch.no_grad():
            bag_F = reader.embed(reader.encode(request).tokens)
            logits_BE: Tensor = self._layers.router(bag_F[None])
            return logits_BE[0]

    def _choose(self, request: Request, logits_E: Tensor) -> tuple[int, list[int]]:
        """Return the primary and the peers: those the request names, or the router's choice.

        Raises
        ------
        ExpertRejected
            The request names no members, or as primary one that was not trained as one.
        """
        card = self._fusion
        named = request.extra.get(FIELD)
        if request.fused:
            named = {"primary": request.fused[0], "peers": request.fused[1:]}
        if named is None:
            best = logits_E.argsort(descending=True).tolist()
            primary = next(e for e in best if card.ids[e] in card.primaries)
            return primary, [e for e in best if e != primary][: card.peers]
        return named_members(self.entry.id, card, named)


def named_members(expert: str, card: FusionCard, named: Any) -> tuple[int, list[int]]:
    """Return the indices of the primary and the peers that a request names.

    Raises
    ------
    ExpertRejected
        They are not members, or the primary was not trained as one; allowed names are listed.
    """
    peers = named.get("peers", []) if isinstance(named, dict) else None
    if not isinstance(peers, list | tuple) or set(named) - {"primary", "peers"}:
        raise ExpertRejected(
            expert, f'{FIELD} is {{"primary": member, "peers": [member, ...]}}, got {named!r}.'
        )
    primary = named.get("primary", card.primaries[0])
    for name in (primary, *peers):
        if name not in card.ids:
            raise ExpertRejected(
                expert, f"{name!r} is no member of it.", hint=did_you_mean(name, card.ids)
            )
    if primary not in card.primaries:
        raise ExpertRejected(
            expert,
            f"{primary!r} was not trained as a primary.",
            hint=f"Primaries: {', '.join(card.primaries)}.",
        )
    if len(peers) > card.peers:
        raise ExpertRejected(
            expert, f"{len(peers)} peers are named, but it was trained with at most {card.peers}."
        )
    others = [card.ids.index(name) for name in dict.fromkeys(peers) if name != primary]
    return card.ids.index(primary), others
