"""What a fusion's training lowers: the loss of one batch, as a module over the layers.

A batch follows from the seed and its number alone. Where several processes train, each takes its
share of the questions of the same batch, and the mean of their losses is the loss of the whole.

Shape suffixes: B requests, T tokens, F a member's hidden size, V vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from motet.fusion.batches import drawn, padded
from motet.fusion.card import FusionCard
from motet.fusion.data import Example
from motet.fusion.hidden_cache import HiddenCache
from motet.fusion.layers import FusionLayers, peer_weights
from motet.fusion.losses import FACTORS, router_losses
from motet.fusion.members import FusionMember
from motet.fusion.memory import Pass


@dataclass(frozen=True)
class BatchSampler:
    """Which questions stand in which batch.

    Attributes
    ----------
    size
        Questions of a batch.
    drop_peer
        Chance that a peer is left out of a question.
    """

    examples: Sequence[Example]
    size: int
    seed: int
    drop_peer: float = 0.0


@dataclass(frozen=True)
class Share:
    """Which process of how many this is."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True, eq=False)
class TrainingRow:
    """One question of a batch.

    Attributes
    ----------
    tokens
        The prompt and the answer, of which the first `prompt` are the prompt's.
    asks
        Byte end of each token but the last, which is only learnt.
    peers
        Indices of the members that it asks.
    """

    tokens: list[int]
    prompt: int
    asks: Tensor
    example: Example
    peers: tuple[int, ...]


class Objective(nn.Module):
    """The loss of a batch by its number; only the layers' weights are its own.

    Parameters
    ----------
    members
        Loads a member by its id.
    cache
        What peers have read.
    share
        Of each batch's questions, those of this process.
    """

    def __init__(
        self,
        layers: FusionLayers,
        card: FusionCard,
        batches: BatchSampler,
        members: Callable[[str], FusionMember],
        cache: HiddenCache,
        share: Share | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers
        self._card = card
        self._batches = batches
        self._members = members
        self._cache = cache
        self._share = share or Share()

    def forward(self, number: int) -> Tensor:
        """Return the loss of batch `number`, all terms together."""
        primary, rows = self.batch(number)
        prompt_BF, right = self.router_sees(rows)
        # Of the whole batch in every process: balance is no sum over requests, so the mean of
        # shares would be another number.
        terms = router_losses(self.layers.router, prompt_BF, self.layers.router(prompt_BF), right)
        own = rows[self._share.index :: self._share.count]
        # Processes average their losses: each counts its tokens' as a part of the whole batch.
        tokens = sum(len(row.tokens) - row.prompt for row in rows)
        answers = self.answer_loss(primary, own) * self._share.count / tokens
        return answers + sum(FACTORS[name] * term for name, term in terms.items())

    def batch(self, number: int) -> tuple[int, list[TrainingRow]]:
        """Return the primary and the questions of a batch, which its number decides."""
        card, batches, rows = self._card, self._batches, []
        # One primary a batch: a pass belongs to one model.
        chosen = random.Random(f"{batches.seed} {number}")
        primary = chosen.choice([card.ids.index(name) for name in card.primaries])
        others = [e for e in range(len(card.ids)) if e != primary]
        for example in drawn(batches.examples, batches.size, number, batches.seed):
            peers = chosen.sample(others, min(card.peers, len(others)))
            peers = [e for e in peers if chosen.random() >= batches.drop_peer]
            rows.append(self._row(primary, example, tuple(peers)))
        return primary, rows

    def _row(self, primary: int, example: Example, peers: tuple[int, ...]) -> TrainingRow:
        member = self._members(self._card.ids[primary])
        answer = member.encode_answer(example.request, example.answer)
        reading = member.encode(example.request, room=len(answer))
        # A token asks with what has been read when it is written; the answer's, with all of it.
        asks = torch.cat([reading.asks, reading.ends[-1:].expand(len(answer) - 1)])
        return TrainingRow([*reading.tokens, *answer], len(reading.tokens), asks, example, peers)

    def answer_loss(self, primary: int, rows: Sequence[TrainingRow]) -> Tensor:
        """Return the cross-entropy of the answers' tokens, summed over them, by the fused pass.

        Its gradient reaches the router through the peers' weights.
        """
        member = self._members(self._card.ids[primary])
        tokens_BT, real_BT = padded([row.tokens[:-1] for row in rows], member.device)
        with member.visited(self._pass(primary, rows, real_BT)):
            hidden_BTF = member.decoder(
                input_ids=tokens_BT, attention_mask=real_BT.long(), use_cache=False
            ).last_hidden_state
        # The output layer is a large part of a small model: only the answer's tokens pass it.
        answers = [
            hidden_BTF[b, row.prompt - 1 : len(row.tokens) - 1] for b, row in enumerate(rows)
        ]
        wanted = torch.tensor([t for row in rows for t in row.tokens[row.prompt :]])
        logits = member.logits(torch.cat(answers))
        return cross_entropy(logits, wanted.to(member.device), reduction="sum")

    def _pass(self, primary: int, rows: Sequence[TrainingRow], real_BT: Tensor) -> Pass:
        logits_BE = self.layers.router(self.router_sees(rows)[0])
        known = [
            {e: self._cache.read(self._card.ids[e], row.example.request) for e in row.peers}
            for row in rows
        ]
        return Pass.training(
            self.layers,
            primary,
            [row.asks for row in rows],
            known,
            peer_weights(logits_BE, primary, [row.peers for row in rows]),
            real_BT,
        )

    def router_sees(self, rows: Sequence[TrainingRow]) -> tuple[Tensor, list[Mapping[int, bool]]]:
        """Return each prompt as the router reads it [B, F], and which members were right."""
        reader = self._members(self._card.primaries[0])
        prompts = [reader.embed(reader.encode(row.example.request).tokens) for row in rows]
        right: list[Mapping[int, bool]] = [
            {self._card.ids.index(name): was for name, was in row.example.right.items()}
            for row in rows
        ]
        return torch.stack(prompts), right
