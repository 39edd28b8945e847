"""A fusion that is loaded: all its members, and what a request means to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motet.config import Setting
from motet.errors import ExpertRejected
from motet.fusion.artifact import load_layers, load_trained_member
from motet.fusion.card import FIELD, FusionCard, read_card
from motet.fusion.generate import FusedBatch, FusedJob
from motet.fusion.layers import FusionLayers
from motet.fusion.members import FusionMember
from motet.generation.decoding import Vocabulary, candidates
from motet.generation.options import GenerationOptions
from motet.types import Request
from motet.wording import did_you_mean


class LoadedFusion:
    """The layers and members of one fusion, and a batch for each that may write.

    Parameters
    ----------
    expert
        The expert's id, for errors.
    members
        All of the card's, in its order.
    """

    def __init__(
        self, expert: str, card: FusionCard, layers: FusionLayers, members: Sequence[FusionMember]
    ) -> None:
        self.card = card
        self.layers = layers
        self.members = members
        self._expert = expert
        primaries = [card.ids.index(name) for name in card.primaries]
        self._vocabularies = {p: Vocabulary(members[p].tokenizer) for p in primaries}
        self.batches = {p: FusedBatch(layers, p, members, card.draft_tokens) for p in primaries}

    @property
    def context(self) -> int | None:
        """Most tokens that every member reads and writes; None where no member says."""
        return min((m.context for m in self.members if m.context is not None), default=None)

    def job(
        self,
        request: Request,
        loop: asyncio.AbstractEventLoop,
        options: GenerationOptions,
        limit: int | None,
    ) -> FusedJob:
        """Return the work that a request is, of at most `limit` tokens with its answer.

        Raises
        ------
        ExpertRejected, ContextLengthExceeded
            A member cannot read it, or it names members that are not to be fused so.
        """
        logits_E = self._rate(request)
        primary, peers = self._choose(request, logits_E)
        writer = self.members[primary]
        reading = writer.encode(request, room=1)
        sampling = options.sampling(request, len(reading.tokens), limit, self._expert)
        vocabulary, draft = self._vocabularies[primary], self.card.draft_tokens
        return FusedJob(
            self.batches[primary],
            list(reading.tokens),
            candidates(vocabulary, writer.ends, sampling, reading.tokens, request.n),
            request.stream,
            loop,
            reading=reading,
            peers={e: self.members[e].encode(request, room=draft) for e in peers},
            logits_E=logits_E,
        )

    def _rate(self, request: Request) -> Tensor:
        """Return the router's logits for a prompt."""
        reader = self.members[self.card.ids.index(self.card.primaries[0])]
        with torch.no_grad():
            bag_F = reader.embed(reader.encode(request).tokens)
            logits_BE: Tensor = self.layers.router(bag_F[None])
            return logits_BE[0]

    def _choose(self, request: Request, logits_E: Tensor) -> tuple[int, list[int]]:
        """Return the primary and the peers: those the request names, or the router's choice."""
        card = self.card
        named = request.extra.get(FIELD)
        if request.fused:
            named = {"primary": request.fused[0], "peers": request.fused[1:]}
        if named is None:
            best = logits_E.argsort(descending=True).tolist()
            primary = next(e for e in best if card.ids[e] in card.primaries)
            return primary, [e for e in best if e != primary][: card.peers]
        return _named(self._expert, card, named)


def load_fusion(
    expert: str,
    artifact: Path,
    setting: Setting,
    *,
    dtype: str,
    device: str,
    keep: Callable[[Any], None],
) -> LoadedFusion:
    """Load the artifact in a folder and its members, each handed to `keep` once it is there.

    Raises
    ------
    ArtifactError
        It is absent or damaged, or a member is not the one it was trained with.
    SourceError
        Weights cannot be had.
    """
    card = read_card(artifact)
    layers = load_layers(artifact, card)
    members = []
    for each in card.members:
        members.append(load_trained_member(card, each, setting, dtype=dtype, device=device))
        keep(members[-1].model)
    layers.to(members[0].device)
    return LoadedFusion(expert, card, layers, members)


def _named(expert: str, card: FusionCard, named: Any) -> tuple[int, list[int]]:
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
