"""Training of a fusion: only interaction layers, gates and the router learn; members stay frozen.

What peers read is cached on disk, so a step costs one forward and one backward pass of the
primary. A batch follows from the seed and the step alone, and a checkpoint holds all that a step
depends on, so a resumed training ends where an uninterrupted one does. accelerate chooses the
device and the number format, and lets several processes share each batch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from motet.config import Options
from motet.errors import ArtifactError, ConfigError
from motet.fusion.artifact import load_layers, new_layers, save
from motet.fusion.batches import rate
from motet.fusion.bridge import build_bridge
from motet.fusion.card import FusionCard, read_card
from motet.fusion.checkpoint import Checkpoint
from motet.fusion.data import Example, data_hash
from motet.fusion.hidden_cache import HiddenCache
from motet.fusion.layers import FusionLayers
from motet.fusion.losses import FACTORS
from motet.fusion.members import FusionMember
from motet.fusion.objective import BatchSampler, Objective, Share
from motet.progress import Progress

_FITTED = 256
"""Prompts that standards are fitted on."""


class TrainOptions(Options):
    """How a fusion is trained."""

    steps: PositiveInt = 400
    """Updates of the weights."""
    batch: PositiveInt = 16
    """Questions that one pass of a primary holds, over all processes."""
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
    precision: Literal["no", "bf16"] = "no"
    """`bf16` computes in half precision what loses nothing by it (autocast)."""
    seed: int = 0
    """Of every random choice."""
    save_every: PositiveInt = 50
    """Steps between checkpoints."""


def accelerator_for(options: TrainOptions, device: str = "auto") -> Accelerator:
    """Return what places, averages and rounds: this process's device, and all processes' gradients.

    Parameters
    ----------
    device
        `cpu`, `cuda`, or `auto`, which takes a GPU where there is one. Under `accelerate launch`
        or torchrun each process has a device of its own.

    Raises
    ------
    ConfigError
        There is no such device, or more processes than a batch has questions.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(
            f"--device is {device!r}: a training takes auto, cpu or cuda.",
            hint="CUDA_VISIBLE_DEVICES chooses among GPUs.",
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device is cuda, but torch sees no GPU here.")
    accelerator = Accelerator(
        cpu=device == "cpu" or not torch.cuda.is_available(),
        mixed_precision=options.precision,
        gradient_accumulation_steps=options.accumulate,
        kwargs_handlers=[
            # A batch has one primary, and perhaps not every peer.
            DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
        ],
    )
    if accelerator.num_processes > options.batch:
        raise ConfigError(
            f"{accelerator.num_processes} processes cannot share a batch of {options.batch}.",
            hint="Raise --batch, or start fewer processes.",
        )
    return accelerator


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
    accelerator
        This process's; one on the CPU when None.
    """

    def __init__(
        self,
        card: FusionCard,
        options: TrainOptions,
        examples: Sequence[Example],
        members: Callable[[str], FusionMember],
        cache: Path,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.options = options
        self.examples = examples
        self._members = members
        about = {**options.model_dump(), "factors": FACTORS, "data": data_hash(examples)}
        self.card = card.model_copy(update={"training": {**card.training, **about}})
        self._cache = HiddenCache(cache, self.card, members)
        self._primaries = [card.ids.index(name) for name in card.primaries]
        self._accelerator = accelerator or accelerator_for(options, "cpu")
        self._share = Share(self._accelerator.process_index, self._accelerator.num_processes)

    def finished(self, out: Path) -> bool:
        """Return whether `out` holds the artifact that this training makes."""
        try:
            return read_card(out) == self.card
        except ArtifactError:
            return False

    def run(self, out: Path, report: Progress) -> FusionLayers:
        """Train into the artifact folder `out`; goes on from a checkpoint of the same training.

        A training that is finished is not made again.

        Raises
        ------
        ArtifactError
            The checkpoint in `out` is damaged or of another training.
        ConfigError
            The members' vocabularies have too little in common for a bridge.
        ExpertRejected, ContextLengthExceeded
            A member cannot read a question.
        """
        if self.finished(out):
            return load_layers(out, self.card)
        self._read_all(report)
        torch.manual_seed(self.options.seed)
        layers = new_layers(self.card)
        self._fit(layers)
        checkpoint = Checkpoint(out / "checkpoint", self.card)
        self._learn(layers, checkpoint, report)
        if self._accelerator.is_main_process:
            save(out, self.card, layers)
            checkpoint.remove()
        self._accelerator.wait_for_everyone()
        return layers

    def _read_all(self, report: Progress) -> None:
        """Let whoever may be a peer read every question, as far as the cache lacks it."""
        own = self.examples[self._share.index :: self._share.count]
        for e, member in enumerate(self.card.ids):
            if self._primaries == [e]:
                continue  # the only one that asks is never asked
            for number, example in enumerate(own):
                report(f"{member} reads", number, len(own))
                self._cache.read(member, example.request)
            report(f"{member} reads", len(own), len(own))
        self._accelerator.wait_for_everyone()

    def _fit(self, layers: FusionLayers) -> None:
        """Fit every standard on some of the questions, and build the bridge."""
        chosen = random.Random(self.options.seed).sample(
            range(len(self.examples)), min(_FITTED, len(self.examples))
        )
        requests = [self.examples[n].request for n in chosen]
        for e, member in enumerate(self.card.ids):
            known = [self._cache.read(member, request) for request in requests]
            for level, interaction in enumerate(layers.levels):
                interaction.fit(e, torch.cat([latents.hidden[level] for latents in known]))
        reader = self._members(self.card.primaries[0])
        bags = [reader.embed(reader.encode(request).tokens) for request in requests]
        layers.router.standard.fit(torch.stack(bags).cpu())
        if self.card.bridge:
            build_bridge(layers, [self._members(id) for id in self.card.ids])

    def _learn(self, layers: FusionLayers, checkpoint: Checkpoint, report: Progress) -> None:
        """Make all updates that the checkpoint has not seen."""
        options, accelerator = self.options, self._accelerator
        layers.to(accelerator.device)
        optimizer = self._optimizer(layers)
        first = checkpoint.restore(layers, optimizer)
        batches = BatchSampler(self.examples, options.batch, options.seed, options.drop_peer)
        whole = Objective(layers, self.card, batches, self._members, self._cache, self._share)
        objective, shared = accelerator.prepare(whole, optimizer)
        for step in range(first, options.steps):
            share = rate(step, options.steps, options.warmup)
            for group, highest in zip(
                optimizer.param_groups, (options.lr, options.gate_lr), strict=True
            ):
                group["lr"] = highest * share
            loss = self._update(objective, shared, step)
            report(f"training, loss {loss:.3f}", step + 1, options.steps)
            due = (step + 1) % options.save_every == 0 and step + 1 < options.steps
            if due and accelerator.is_main_process:
                checkpoint.save(layers, optimizer, step + 1)

    def _optimizer(self, layers: FusionLayers) -> torch.optim.Optimizer:
        """Return AdamW over what learns, its rates not set; gates are the second group."""
        gates = layers.gates()
        rest = [
            p
            for p in layers.parameters()
            if p.requires_grad and all(p is not gate for gate in gates)
        ]
        return torch.optim.AdamW(
            [{"params": rest}, {"params": gates, "weight_decay": 0.0}],
            lr=0.0,
            weight_decay=self.options.decay,
        )

    def _update(
        self, objective: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int
    ) -> float:
        """Make one update; return the loss of its passes, over all processes."""
        options, accelerator = self.options, self._accelerator
        torch.manual_seed(options.seed * 1_000_003 + step)
        losses = []
        for part in range(options.accumulate):
            with accelerator.accumulate(objective):
                loss = objective(step * options.accumulate + part)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(objective.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.detach())
        return float(accelerator.reduce(torch.stack(losses).mean(), "mean"))


def lazily(load: Callable[[str], FusionMember]) -> Callable[[str], FusionMember]:
    """Return a loader that loads each member once, when it is first asked for."""
    known: dict[str, FusionMember] = {}

    def member(id: str) -> FusionMember:
        if id not in known:
            known[id] = load(id)
        return known[id]

    return member
