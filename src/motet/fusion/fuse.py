"""From a config to a trained fusion, and from an artifact to its evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, PositiveInt

from motet.config import Document, Options
from motet.errors import ConfigError
from motet.fusion.artifact import load_layers, load_trained_member, parameters
from motet.fusion.card import FusionCard, MemberCard, Mode, check_members, read_card
from motet.fusion.data import read_examples
from motet.fusion.evaluate import Evaluation
from motet.fusion.lora import LoraOptions, adapt
from motet.fusion.members import FusionMember, card_of_member, load_member
from motet.fusion.train import Training, TrainOptions, accelerator_for, lazily
from motet.generation.loading import number_format
from motet.progress import Progress, silent
from motet.weights import Setting, default_cache
from motet.wording import did_you_mean

CONTROL = "lora"
"""Folder of the control's adapter, inside the artifact's."""
_HEAD_WIDTH = 64


class FuseOptions(Options):
    """What a fusion looks like, and how it is trained."""

    mode: Mode = "A"
    """A: peers read the prompt. B: and draft first."""
    draft_tokens: PositiveInt = 16
    """Most tokens of a draft, in mode B."""
    levels: PositiveInt = 4
    """Stacks of each member."""
    heads: PositiveInt = 8
    """Attention heads of 64 features."""
    bridge: bool = True
    """Whether the last level is tied to the members' vocabularies."""
    primaries: tuple[str, ...] = ()
    """Members that shall write; all when empty."""
    peers: PositiveInt | None = None
    """Most peers of an answer; two, or as many as there are."""
    training: TrainOptions = Field(default_factory=TrainOptions)
    """How it is trained."""
    lora: bool = False
    """Whether the control of equal size is trained too."""
    device: str = "auto"
    """`auto` takes a GPU where there is one; or `cpu`, `cuda`."""


@dataclass(frozen=True, slots=True)
class TrainedFusion:
    """What came of a training: the artifact's card, and how many numbers its layers have."""

    card: FusionCard
    parameters: int


def fuse(
    document: Document,
    experts: Sequence[str],
    data: Path,
    out: Path,
    options: FuseOptions | None = None,
    *,
    cache: Path | None = None,
    progress: Progress = silent,
) -> TrainedFusion | None:
    """Train interaction layers between frozen experts of a config, into the folder `out`.

    Goes on from where an interrupted training of the same options stopped; a finished one is not
    made again. Under `accelerate launch` or torchrun, processes share each batch.

    Parameters
    ----------
    experts
        Ids of the members.
    data
        JSON lines, as `read_examples` takes them.
    cache
        Folder of what peers have read; in the cache of weights when None.
    progress
        Told by the first process alone.

    Returns
    -------
    TrainedFusion or None
        What stands in `out`; None in every process but the first.

    Raises
    ------
    ConfigError
        An expert or the device is not there, or the members cannot be fused.
    SourceError
        Weights cannot be had.
    ArtifactError
        The checkpoint in `out` is damaged or of another training.
    """
    options = options or FuseOptions()
    setting = Setting(document.folder, default_cache())
    card = _card(document, setting, experts, options)
    examples = read_examples(data, card.ids)
    accelerator = accelerator_for(options.training, options.device)
    device = str(accelerator.device)
    cache = cache or setting.cache / "hidden"
    members = _members(card, setting, device)
    training = Training(card, options.training, examples, members, cache, accelerator)
    first = accelerator.is_main_process
    report = progress if first else silent
    anew = not training.finished(out)
    size = parameters(training.run(out, report))
    if first and options.lora and (anew or not (out / CONTROL).exists()):
        _train_control(training, out / CONTROL, size, setting, device, report)
    accelerator.end_training()
    return TrainedFusion(training.card, size) if first else None


def evaluation_of(
    document: Document,
    artifact: Path,
    *,
    primary: str | None = None,
    max_tokens: int = 16,
    seed: int = 0,
    device: str = "auto",
) -> Evaluation:
    """Return what judges the fusion in the folder `artifact`, its control where it was trained.

    Parameters
    ----------
    primary
        Who writes; the first of the artifact's when None.
    max_tokens
        Most tokens of an answer.

    Raises
    ------
    ArtifactError
        The artifact is absent or damaged, or its members are not those of the config.
    ConfigError
        `primary` was not trained as one.
    SourceError
        Weights cannot be had.
    """
    setting = Setting(document.folder, default_cache())
    card = read_card(artifact)
    check_members(card, {entry.id: entry for entry in document.config.experts})
    (writer,) = _known([primary or card.primaries[0]], card.primaries, str(artifact))
    adapted = None
    if writer == card.primaries[0] and (artifact / CONTROL).exists():  # it is the first's alone
        adapted = _member(card, writer, setting, device, control=artifact / CONTROL)
    return Evaluation(
        card,
        load_layers(artifact, card),
        _members(card, setting, device, checked=True),
        writer,
        adapted=adapted,
        max_tokens=max_tokens,
        seed=seed,
    )


def _card(
    document: Document, setting: Setting, experts: Sequence[str], options: FuseOptions
) -> FusionCard:
    """Return the card of a fusion that is to be trained."""
    entries = {entry.id: entry for entry in document.config.experts}
    ids = _known(experts, list(entries), document.name)
    primaries = _known(options.primaries, ids, "--experts") if options.primaries else ids
    return FusionCard.model_validate(
        {
            "mode": options.mode,
            "draft_tokens": options.draft_tokens if options.mode == "B" else 0,
            "levels": options.levels,
            "heads": options.heads,
            "head_width": _HEAD_WIDTH,
            "bridge": options.bridge,
            "dtype": number_format(options.device),
            "members": [card_of_member(name, entries, setting) for name in ids],
            "primaries": primaries,
            "peers": options.peers or min(2, max(1, len(ids) - 1)),
        }
    )


def _known(names: Sequence[str], known: Sequence[str], where: str) -> list[str]:
    for name in names:
        if name not in known:
            raise ConfigError(f"no expert {name!r} in {where}. {did_you_mean(name, known)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"{', '.join(names)}: an expert stands twice.")
    return list(names)


def _members(
    card: FusionCard, setting: Setting, device: str, *, checked: bool = False
) -> Callable[[str], FusionMember]:
    """Return what loads each member once; `checked` compares revisions with the card's."""

    def load(id: str) -> FusionMember:
        if not checked:
            return _member(card, id, setting, device)
        member = _of(card, id)
        return load_trained_member(card, member, setting, dtype=card.dtype, device=device)

    return lazily(load)


def _member(
    card: FusionCard, id: str, setting: Setting, device: str, control: Path | None = None
) -> FusionMember:
    return load_member(
        _of(card, id),
        setting,
        levels=card.levels,
        dtype=card.dtype,
        device=device,
        control=control,
    )


def _of(card: FusionCard, id: str) -> MemberCard:
    return next(member for member in card.members if member.id == id)


def _train_control(
    training: Training, out: Path, size: int, setting: Setting, device: str, report: Progress
) -> None:
    """Train the first primary's adapter of equal size, on as many questions."""
    card, options = training.card, training.options
    lora = LoraOptions(
        steps=options.steps,
        batch=options.batch,
        parameters=size,
        seed=options.seed,
        dtype=card.dtype,
        device=device,
    )
    primary = _of(card, card.primaries[0])
    adapt(primary, training.examples, out, lora, setting, report, stage="control")
