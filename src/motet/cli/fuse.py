"""`motet fuse`: experts fused in latent space, trained and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import ConfigOption, ConfigPath, Json, command, print_json
from motet.errors import ConfigError, SourceError, did_you_mean

if TYPE_CHECKING:
    from motet.config import Document
    from motet.fusion.card import FusionCard
    from motet.weights import Setting

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
    heads: Annotated[int, typer.Option(min=1, help="Attention heads of 64 features.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Updates of the weights.")] = 400,
    batch: Annotated[int, typer.Option(min=1, help="Questions of one pass.")] = 16,
    accumulate: Annotated[int, typer.Option(min=1, help="Passes of one update.")] = 1,
    lr: Annotated[float, typer.Option(min=0, help="Highest learning rate.")] = 1e-3,
    drop_peer: Annotated[float, typer.Option(min=0, max=0.9, help="Chance to miss a peer.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    lora: Annotated[
        bool, typer.Option("--lora", help="Train the control of equal size too.")
    ] = False,
    device: Annotated[str, typer.Option(help="Torch device; auto takes a GPU.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder of what peers have read.")] = None,
    json: Json = False,
) -> None:
    """Train interaction layers between frozen experts of a config.

    The same command goes on where an interrupted one stopped. What peers read is cached, so a
    step costs one pass of the primary.
    """
    from motet.config import load
    from motet.fusion.artifact import parameters
    from motet.fusion.data import read_examples
    from motet.fusion.train import Training, TrainOptions
    from motet.weights import Setting, default_cache

    document = load(config)
    setting = Setting(document.folder, default_cache())
    ids = _known(experts.split(","), [e.id for e in document.config.experts], config)
    shape = {
        "mode": mode,
        "draft_tokens": draft_tokens if mode == "B" else 0,
        "levels": levels,
        "heads": heads,
        "primaries": _known(primaries.split(","), ids, "--experts") if primaries else ids,
        "peers": peers or min(2, max(1, len(ids) - 1)),
    }
    card = _card(document, setting, ids, shape, device)
    examples = read_examples(data, ids)
    options = TrainOptions(
        steps=steps,
        batch=batch,
        accumulate=accumulate,
        lr=lr,
        gate_lr=10 * lr,
        drop_peer=drop_peer,
        seed=seed,
    )
    with progress_bars() as report:
        training = Training(
            card,
            options,
            examples,
            _loader(card, setting, device),
            cache or setting.cache / "hidden",
        )
        anew = not training.finished(out)
        size = parameters(training.run(out, report))
        if lora and (anew or not (out / _LORA / "adapter_config.json").exists()):
            _train_control(training.card, examples, out / _LORA, size, options, setting, report)
    found = {
        "artifact": str(out),
        "parameters": size,
        "card": training.card.model_dump(mode="json"),
    }
    if json:
        print_json(found)
    else:
        typer.echo(f"Wrote {out}: {size:,} parameters between {', '.join(ids)}.")


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
    found = _judge(said, examples, evaluation.added_tokens(examples, said), seed)
    if json:
        print_json({**found, "answers": said})
    else:
        _show(found)


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
    from pydantic import ValidationError

    from motet.experts._loading import number_format
    from motet.fusion.card import FusionCard
    from motet.fusion.members import card_of_member

    entries = {entry.id: entry for entry in document.config.experts}
    members = [card_of_member(name, entries, setting) for name in ids]
    values = {"head_width": 64, "members": members, "dtype": number_format(device), **shape}
    try:
        return FusionCard.model_validate(values)
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
    card: FusionCard,
    examples: Any,
    out: Path,
    size: int,
    options: Any,
    setting: Setting,
    report: Any,
) -> None:
    """Train the first primary's adapter of equal size, on as many questions."""
    from motet.fusion.lora import LoraOptions, adapt

    chosen = LoraOptions(
        steps=options.steps, batch=options.batch, parameters=size, seed=options.seed
    )
    primary = next(member for member in card.members if member.id == card.primaries[0])
    adapt(primary, examples, out, chosen, setting, report, dtype=card.dtype, stage="control")


def _control(card: FusionCard, writer: str, folder: Path, setting: Setting, device: str) -> Any:
    """Return the primary with the control's adapter, or None where it is another's."""
    from motet.fusion.members import load_member

    if writer != card.primaries[0]:
        return None
    member = next(member for member in card.members if member.id == writer)
    if member.adapter is not None:
        raise SourceError("The control of a primary that is an adapter itself cannot be loaded.")
    adapted = member.model_copy(update={"adapter": str(folder.resolve())})
    return load_member(adapted, setting, levels=card.levels, dtype=card.dtype, device=device)


def _judge(
    said: Mapping[str, Sequence[str]], examples: Any, added_tokens: float, seed: int
) -> dict[str, Any]:
    """Return accuracies in percent by way and task, and the differences that matter."""
    from motet.fusion.evaluate import difference, grades

    right = {way: grades(examples, texts) for way, texts in said.items()}
    found: dict[str, Any] = {}
    tasks = list(dict.fromkeys(example.task for example in examples))
    for task in tasks:
        own = [n for n, example in enumerate(examples) if example.task == task]
        of = {way: [scores[n] for n in own] for way, scores in right.items()}
        others = {"P": "deranged", "G": "alone", "over_text": "text", "over_lora": "lora"}
        found[task or "all"] = {
            "questions": len(own),
            "accuracy": {way: 100 * sum(s) / len(s) for way, s in of.items()},
            "differences": {
                name: asdict(difference(of["fused"], of[other], seed=seed))
                for name, other in others.items()
                if other in of
            },
        }
    return {"tasks": found, "text_adds_tokens": added_tokens, "fused_adds_tokens": 0.0}


def _show(found: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    for task, about in found["tasks"].items():
        table = Table(
            box=None, header_style="bold", pad_edge=False, title=task, title_justify="left"
        )
        table.add_column("answered by")
        table.add_column("accuracy, %", justify="right")
        for way, accuracy in about["accuracy"].items():
            table.add_row(way, f"{accuracy:.1f}", style="bold" if way == "fused" else "")
        Console().print(table)
        for name, apart in about["differences"].items():
            typer.echo(_in_words(name, apart))
    typer.secho(
        f"Text adds {found['text_adds_tokens']:.1f} tokens to a prompt; fusion adds none.", dim=True
    )


def _in_words(name: str, apart: Mapping[str, float]) -> str:
    said = {
        "P": "P, less deranged peers",
        "G": "G, less the primary alone",
        "over_text": "less text",
        "over_lora": "less LoRA",
    }
    return (
        f"fused {said[name]}: {apart['points']:+.1f} points "
        f"({apart['low']:+.1f} to {apart['high']:+.1f}, p {apart['p']:.4f})"
    )
