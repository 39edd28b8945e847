"""`motet fuse`: experts fused in latent space, trained and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import ConfigOption, ConfigPath, Json, command, print_json
from motet.cli.fuse_output import judge, show
from motet.errors import ConfigError, did_you_mean
from motet.progress import Progress, silent

if TYPE_CHECKING:
    from motet.config import Document
    from motet.fusion.card import FusionCard
    from motet.fusion.train import Training, TrainOptions
    from motet.weights import Setting

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True)

_LORA = "lora"
"""Folder of the control's adapter, inside the artifact's."""


@app.command()
@command
def train(
    config: ConfigPath,
    experts: Annotated[str, typer.Option(help="Members, by comma.", metavar="ID,ID,...")],
    data: Annotated[Path, typer.Option(help="JSON lines: query or prompt, and answer.")],
    out: Annotated[Path, typer.Option(help="Folder for the artifact, and for checkpoints.")],
    primaries: Annotated[
        str | None, typer.Option(help="Members that shall write; all when absent.")
    ] = None,
    mode: Annotated[str, typer.Option(help="A: peers read the prompt. B: and draft first.")] = "A",
    draft_tokens: Annotated[int, typer.Option(min=1, help="Of a draft, in mode B.")] = 16,
    peers: Annotated[int | None, typer.Option(min=1, help="Most peers of an answer.")] = None,
    levels: Annotated[int, typer.Option(min=1, help="Stacks of each member.")] = 4,
    heads: Annotated[int, typer.Option(min=1, help="Attention heads of 64 features.")] = 8,
    bridge: Annotated[
        bool, typer.Option(help="Tie the last level to the members' vocabularies.")
    ] = True,
    steps: Annotated[int, typer.Option(min=1, help="Updates of the weights.")] = 400,
    batch: Annotated[int, typer.Option(min=1, help="Questions of one pass.")] = 16,
    accumulate: Annotated[int, typer.Option(min=1, help="Passes of one update.")] = 1,
    lr: Annotated[float, typer.Option(min=0, help="Highest learning rate.")] = 1e-3,
    drop_peer: Annotated[float, typer.Option(min=0, max=0.9, help="Chance to miss a peer.")] = 0.0,
    precision: Annotated[str, typer.Option(help="no or bf16, of the passes.")] = "no",
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    lora: Annotated[
        bool, typer.Option("--lora", help="Train the control of equal size too.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto takes a GPU; or cpu, cuda.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder of what peers have read.")] = None,
    json: Json = False,
) -> None:
    """Train interaction layers between frozen experts of a config.

    The same command goes on where an interrupted one stopped. What peers read is cached, so a
    step costs one pass of the primary. Under `accelerate launch` or torchrun, processes share
    each batch.
    """
    from motet.config import load
    from motet.fusion.train import TrainOptions
    from motet.weights import Setting, default_cache

    document = load(config)
    setting = Setting(document.folder, default_cache())
    ids = _known(experts.split(","), [e.id for e in document.config.experts], config)
    shape = {
        "mode": mode,
        "draft_tokens": draft_tokens if mode == "B" else 0,
        "levels": levels,
        "heads": heads,
        "bridge": bridge,
        "primaries": _known(primaries.split(","), ids, "--experts") if primaries else ids,
        "peers": peers or min(2, max(1, len(ids) - 1)),
    }
    card = _checked(lambda: _card(document, setting, ids, shape, device))
    options = _checked(
        lambda: TrainOptions.model_validate(
            {
                "steps": steps,
                "batch": batch,
                "accumulate": accumulate,
                "lr": lr,
                "gate_lr": 10 * lr,
                "drop_peer": drop_peer,
                "precision": precision,
                "seed": seed,
            }
        )
    )
    cache = cache or setting.cache / "hidden"
    found = _train(card, options, data, out, setting, cache=cache, lora=lora, device=device)
    if found is None:
        return  # another process says it
    if json:
        print_json(found)
    else:
        typer.echo(f"Wrote {out}: {found['parameters']:,} parameters between {', '.join(ids)}.")


def _train(
    card: FusionCard,
    options: TrainOptions,
    data: Path,
    out: Path,
    setting: Setting,
    *,
    cache: Path,
    lora: bool,
    device: str,
) -> dict[str, Any] | None:
    """Train, with the control where it is wanted; only the first process returns what it made."""
    from motet.fusion.artifact import parameters
    from motet.fusion.data import read_examples
    from motet.fusion.train import Training, accelerator_for

    examples = read_examples(data, card.ids)
    accelerator = accelerator_for(options, device)
    members = _loader(card, setting, str(accelerator.device))
    training = Training(card, options, examples, members, cache, accelerator)
    with progress_bars() if accelerator.is_main_process else nullcontext(silent) as report:
        anew = not training.finished(out)
        size = parameters(training.run(out, report))
        first = accelerator.is_main_process
        if first and lora and (anew or not (out / _LORA / "adapter_config.json").exists()):
            where = str(accelerator.device)
            _train_control(training, out / _LORA, size, setting, where, report)
    accelerator.end_training()
    about = {"artifact": str(out), "parameters": size}
    return {**about, "card": training.card.model_dump(mode="json")} if first else None


@app.command("eval")
@command
def evaluate(
    artifact: Annotated[Path, typer.Argument(help="Folder that motet fuse train has written.")],
    data: Annotated[Path, typer.Option(help="JSON lines, as for training, unseen there.")],
    config: ConfigOption = "experts.yaml",
    primary: Annotated[str | None, typer.Option(help="Who writes; the first when absent.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer.")] = 16,
    seed: Annotated[int, typer.Option(help="Of derangement and resamples.")] = 0,
    device: Annotated[str, typer.Option(help="Torch device; auto takes a GPU.")] = "auto",
    json: Json = False,
) -> None:
    """Judge a fusion beside its controls, with paired intervals.

    P, fused less deranged, is what only the peers' knowledge explains; G, fused less the primary
    alone, any adapter may gain.
    """
    from motet.config import load
    from motet.fusion.artifact import load_layers
    from motet.fusion.card import check_members, read_card
    from motet.fusion.data import read_examples
    from motet.fusion.evaluate import Evaluation
    from motet.weights import Setting, default_cache

    document = load(config)
    setting = Setting(document.folder, default_cache())
    card = read_card(artifact)
    check_members(card, {entry.id: entry for entry in document.config.experts})
    writer = _known([primary or card.primaries[0]], card.primaries, str(artifact))[0]
    examples = read_examples(data, card.ids)
    member = _loader(card, setting, device, checked=True)
    control = artifact / _LORA
    evaluation = Evaluation(
        card,
        load_layers(artifact, card),
        member,
        writer,
        adapted=_control(card, writer, control, setting, device) if control.exists() else None,
        max_tokens=max_tokens,
        seed=seed,
    )
    with progress_bars() as report:
        said = evaluation.answers(examples, report)
    found = judge(said, examples, evaluation.added_tokens(examples, said), seed)
    if json:
        print_json(
            {
                **found,
                "answers": {way: [a.text for a in own] for way, own in said.items()},
                "flops": {way: [a.flops for a in own] for way, own in said.items()},
            }
        )
    else:
        show(found)


def _known(names: Sequence[str], known: Sequence[str], where: str) -> list[str]:
    for name in names:
        if name not in known:
            raise ConfigError(f"no expert {name!r} in {where}. {did_you_mean(name, known)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"{', '.join(names)}: an expert stands twice.")
    return list(names)


def _card(
    document: Document, setting: Setting, ids: Sequence[str], shape: Mapping[str, Any], device: str
) -> FusionCard:
    """Return the card of a fusion that is to be trained."""
    from motet.fusion.card import FusionCard
    from motet.fusion.members import card_of_member
    from motet.generation.loading import number_format

    entries = {entry.id: entry for entry in document.config.experts}
    members = [card_of_member(name, entries, setting) for name in ids]
    values = {"head_width": 64, "members": members, "dtype": number_format(device), **shape}
    return FusionCard.model_validate(values)


def _checked(make: Callable[[], T]) -> T:
    """Return what is made of options; one that does not fit is named as on the command line."""
    from pydantic import ValidationError

    try:
        return make()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(map(str, fault["loc"])).replace("_", "-")
        raise ConfigError(f"--{field}: {fault['msg']}, got {fault['input']!r}.") from None


def _loader(card: FusionCard, setting: Setting, device: str, *, checked: bool = False) -> Any:
    """Return what loads each member once; `checked` compares revisions with the card's."""
    from motet.fusion.artifact import load_trained_member
    from motet.fusion.members import load_member
    from motet.fusion.train import lazily

    by_id = {member.id: member for member in card.members}

    def load(id: str) -> Any:
        if checked:
            return load_trained_member(card, by_id[id], setting, dtype=card.dtype, device=device)
        return load_member(by_id[id], setting, levels=card.levels, dtype=card.dtype, device=device)

    return lazily(load)


def _train_control(
    training: Training, out: Path, size: int, setting: Setting, device: str, report: Progress
) -> None:
    """Train the first primary's adapter of equal size, on as many questions."""
    from motet.fusion.lora import LoraOptions, adapt

    card, options = training.card, training.options
    chosen = LoraOptions(
        steps=options.steps, batch=options.batch, parameters=size, seed=options.seed
    )
    primary = next(member for member in card.members if member.id == card.primaries[0])
    about = {"dtype": card.dtype, "device": device, "stage": "control"}
    adapt(primary, training.examples, out, chosen, setting, report, **about)


def _control(card: FusionCard, writer: str, folder: Path, setting: Setting, device: str) -> Any:
    """Return the primary with the control's adapter, or None where it is another's."""
    from motet.fusion.members import load_member

    if writer != card.primaries[0]:
        return None
    member = next(member for member in card.members if member.id == writer)
    return load_member(
        member, setting, levels=card.levels, dtype=card.dtype, device=device, control=folder
    )
