"""Training of a fusion: only interaction layers, gates and the router learn; members stay frozen.

What peers read is cached on disk, so a step costs one forward and one backward pass of the
primary. A batch follows from the seed and the step alone, and a checkpoint holds all that a step
depends on, so a resumed training ends where an uninterrupted one does.

Shape suffixes: B requests, T tokens, F a member's hidden size, V vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import cross_entropy

from motet.config import Options
from motet.errors import ArtifactError
from motet.fusion.artifact import load_layers, new_layers, save
from motet.fusion.batches import drawn, padded, rate
from motet.fusion.card import FusionCard, read_card
from motet.fusion.checkpoint import Checkpoint
from motet.fusion.data import Example, data_hash
from motet.fusion.hidden_cache import HiddenCache
from motet.fusion.layers import FusionLayers, peer_weights
from motet.fusion.losses import FACTORS, router_losses
from motet.fusion.members import Member
from motet.fusion.memory import Pass
from motet.weights.store import Report

_FITTED = 256
"""Prompts that standards are fitted on."""


class TrainOptions(Options):
    """How a fusion is trained."""

    steps: PositiveInt = 400
    """Updates of the weights."""
    batch: PositiveInt = 16
    """Questions that one pass of a primary holds."""
    accumulate: PositiveInt = 1
    """Passes whose gradients make one update."""
    lr: PositiveFloat = 1e-3
    """Highest learning rate; it rises over the first steps and falls to 0 as a cosine."""
    gate_lr: PositiveFloat = 1e-2
    """The same for gates, which start at 0."""
    warmup: NonNegativeInt = 20
    """Steps over which the rate rises."""
    decay: NonNegativeFloat = 0.01
    """Weight decay (AdamW)."""
    drop_peer: float = Field(default=0.0, ge=0, lt=1)
    """Chance that a peer is left out of a question, so that answers stand without it."""
    seed: int = 0
    """Of every random choice."""
    save_every: PositiveInt = 50
    """Steps between checkpoints."""


@dataclass(frozen=True, eq=False)
class Row:
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


class Training:
    """One training, from its beginning or its last checkpoint to the artifact.

    Parameters
    ----------
    card
        Members with widths and revisions, mode and shape.
    members
        Loads a member by its id; peers are only asked for what the cache lacks.
    cache
        Folder of hidden states.
    """

    def __init__(
        self,
        card: FusionCard,
        options: TrainOptions,
        examples: Sequence[Example],
        members: Callable[[str], Member],
        cache: Path,
    ) -> None:
        self._options = options
        self._examples = examples
        self._members = members
        about = {**options.model_dump(), "factors": FACTORS, "data": data_hash(examples)}
        self.card = card.model_copy(update={"training": {**card.training, **about}})
        self._cache = HiddenCache(cache, self.card, members)
        self._primaries = [card.ids.index(name) for name in card.primaries]

    def finished(self, out: Path) -> bool:
        """Return whether `out` holds the artifact that this training makes."""
        try:
            return read_card(out) == self.card
        except ArtifactError:
            return False

    def run(self, out: Path, report: Report) -> FusionLayers:
        """Train into the artifact folder `out`; goes on from a checkpoint of the same training.

        A training that is finished is not made again.

        Raises
        ------
        ArtifactError
            The checkpoint in `out` is damaged or of another training.
        ExpertRejected, ContextLengthExceeded
            A member cannot read a question.
        """
        if self.finished(out):
            return load_layers(out, self.card)
        options = self._options
        self._read_all(report)
        torch.manual_seed(options.seed)
        layers = new_layers(self.card)
        self._fit(layers)
        gates = layers.gates()
        rest = [p for p in layers.parameters() if all(p is not gate for gate in gates)]
        optimizer = torch.optim.AdamW(
            [{"params": rest}, {"params": gates, "weight_decay": 0.0}],
            lr=0.0,
            weight_decay=options.decay,
        )
        highest_rates = options.lr, options.gate_lr
        checkpoint = Checkpoint(out / "checkpoint", self.card)
        for step in range(checkpoint.restore(layers, optimizer), options.steps):
            share = rate(step, options.steps, options.warmup)
            for group, highest in zip(optimizer.param_groups, highest_rates, strict=True):
                group["lr"] = highest * share
            loss = self._update(layers, optimizer, step)
            report(f"training, loss {loss:.3f}", step + 1, options.steps)
            if (step + 1) % options.save_every == 0 and step + 1 < options.steps:
                checkpoint.save(layers, optimizer, step + 1)
        save(out, self.card, layers)
        checkpoint.remove()
        return layers

    def _read_all(self, report: Report) -> None:
        """Let whoever may be a peer read every question, as far as the cache lacks it."""
        for e, member in enumerate(self.card.ids):
            if self._primaries == [e]:
                continue  # the only one that asks is never asked
            for number, example in enumerate(self._examples):
                report(f"{member} reads", number, len(self._examples))
                self._cache.read(member, example.request)
            report(f"{member} reads", len(self._examples), len(self._examples))

    def _fit(self, layers: FusionLayers) -> None:
        """Fit every standard on some of the questions, and move layers to where members are."""
        chosen = random.Random(self._options.seed).sample(
            range(len(self._examples)), min(_FITTED, len(self._examples))
        )
        requests = [self._examples[n].request for n in chosen]
        for e, member in enumerate(self.card.ids):
            known = [self._cache.read(member, request) for request in requests]
            for level, interaction in enumerate(layers.levels):
                interaction.fit(e, torch.cat([latents.hidden[level] for latents in known]))
        reader = self._members(self.card.primaries[0])
        bags = [reader.embed(reader.encode(request).tokens) for request in requests]
        layers.router.standard.fit(torch.stack(bags).cpu())
        layers.to(reader.device)

    def _update(self, layers: FusionLayers, optimizer: torch.optim.Optimizer, step: int) -> float:
        options = self._options
        torch.manual_seed(options.seed * 1_000_003 + step)
        optimizer.zero_grad()
        total = 0.0
        for part in range(options.accumulate):
            primary, rows = self.batch(step * options.accumulate + part)
            loss = self.loss(layers, primary, rows)
            (loss / options.accumulate).backward()
            total += float(loss.detach()) / options.accumulate
        torch.nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
        optimizer.step()
        return total

    def batch(self, number: int) -> tuple[int, list[Row]]:
        """Return the primary and the questions of a batch, which its number decides."""
        options, rows = self._options, []
        chosen = random.Random(f"{options.seed} {number}")
        primary = chosen.choice(self._primaries)
        others = [e for e in range(len(self.card.ids)) if e != primary]
        for example in drawn(self._examples, options.batch, number, options.seed):
            peers = chosen.sample(others, min(self.card.peers, len(others)))
            peers = [e for e in peers if chosen.random() >= options.drop_peer]
            rows.append(self._row(primary, example, tuple(peers)))
        return primary, rows

    def _row(self, primary: int, example: Example, peers: tuple[int, ...]) -> Row:
        member = self._members(self.card.ids[primary])
        answer = member.encode_answer(example.request, example.answer)
        reading = member.encode(example.request, room=len(answer))
        asks = torch.cat([reading.asks, reading.ends[-1:].expand(len(answer) - 1)])
        return Row([*reading.tokens, *answer], len(reading.tokens), asks, example, peers)

    def loss(self, layers: FusionLayers, primary: int, rows: Sequence[Row]) -> Tensor:
        """Return the loss of one batch, all terms together."""
        prompt_BF, right = self.router_sees(rows)
        terms = router_losses(layers.router, prompt_BF, layers.router(prompt_BF), right)
        answers = self.answer_loss(layers, primary, rows)
        return answers + sum(FACTORS[name] * term for name, term in terms.items())

    def answer_loss(self, layers: FusionLayers, primary: int, rows: Sequence[Row]) -> Tensor:
        """Return the cross-entropy of the answers' tokens, each as likely as the fused pass says.

        Its gradient reaches the router through the peers' weights.
        """
        member = self._members(self.card.ids[primary])
        logits_BE = layers.router(self.router_sees(rows)[0])
        known = [
            {e: self._cache.read(self.card.ids[e], row.example.request) for e in row.peers}
            for row in rows
        ]
        tokens_BT, real_BT = padded([row.tokens[:-1] for row in rows], member.device)
        fused = Pass.training(
            layers,
            primary,
            [row.asks for row in rows],
            known,
            peer_weights(logits_BE, [row.peers for row in rows]),
            real_BT,
        )
        with member.visited(fused):
            hidden_BTF = member.decoder(
                input_ids=tokens_BT, attention_mask=real_BT.long(), use_cache=False
            ).last_hidden_state
        # The output layer is a large part of a small model: only the answer's tokens pass it.
        answers = [
            hidden_BTF[b, row.prompt - 1 : len(row.tokens) - 1] for b, row in enumerate(rows)
        ]
        wanted = torch.tensor([t for row in rows for t in row.tokens[row.prompt :]])
        return cross_entropy(member.logits(torch.cat(answers)), wanted.to(member.device))

    def router_sees(self, rows: Sequence[Row]) -> tuple[Tensor, list[Mapping[int, bool]]]:
        """Return each prompt as the router reads it [B, F], and which members were right."""
        reader = self._members(self.card.primaries[0])
        prompts = [reader.embed(reader.encode(row.example.request).tokens) for row in rows]
        right: list[Mapping[int, bool]] = [
            {self.card.ids.index(name): was for name, was in row.example.right.items()}
            for row in rows
        ]
        return torch.stack(prompts), right


def lazily(load: Callable[[str], Member]) -> Callable[[str], Member]:
    """Return a loader that loads each member once, when it is first asked for."""
    known: dict[str, Member] = {}

    def member(id: str) -> Member:
        if id not in known:
            known[id] = load(id)
        return known[id]

    return member
