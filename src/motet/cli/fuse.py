"""`motet fuse`: experts fused in latent space, trained and judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.bars import progress_bars
from motet.cli.console import ConfigOption, ConfigPath, Json, command, print_json
from motet.cli.fuse_output import show
from motet.errors import ConfigError

if TYPE_CHECKING:
    from motet.fusion.fuse import FuseOptions

app = typer.Typer(no_args_is_help=True)


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
    from motet.fusion.fuse import fuse

    training = {
        "steps": steps,
        "batch": batch,
        "accumulate": accumulate,
        "lr": lr,
        "gate_lr": 10 * lr,
        "drop_peer": drop_peer,
        "precision": precision,
        "seed": seed,
    }
    shape = {
        "mode": mode,
        "draft_tokens": draft_tokens,
        "levels": levels,
        "heads": heads,
        "bridge": bridge,
        "primaries": primaries.split(",") if primaries else (),
        "peers": peers,
    }
    values = {**shape, "training": training, "lora": lora, "device": device}
    ids = experts.split(",")
    options = _options(values)
    with progress_bars() as report:
        made = fuse(load(config), ids, data, out, options, cache=cache, progress=report)
    if made is None:
        return  # another process says it
    if json:
        about = {"artifact": str(out), "parameters": made.parameters}
        print_json({**about, "card": made.card.model_dump(mode="json")})
    else:
        typer.echo(f"Wrote {out}: {made.parameters:,} parameters between {', '.join(ids)}.")


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
    from motet.fusion.data import read_examples
    from motet.fusion.fuse import evaluation_of

    about: dict[str, Any] = {"max_tokens": max_tokens, "seed": seed, "device": device}
    evaluation = evaluation_of(load(config), artifact, primary=primary, **about)
    examples = read_examples(data, evaluation.ids)
    with progress_bars() as report:
        said = evaluation.answers(examples, report)
    judged = evaluation.judged(examples, said)
    if json:
        print_json(
            {
                **judged,
                "answers": {way: [a.text for a in own] for way, own in said.items()},
                "flops": {way: [a.flops for a in own] for way, own in said.items()},
            }
        )
    else:
        show(judged)


def _options(values: Mapping[str, Any]) -> FuseOptions:
    """Return the options; one that does not fit is named as on the command line."""
    from pydantic import ValidationError

    from motet.fusion.fuse import FuseOptions

    try:
        return FuseOptions.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = str(fault["loc"][-1]).replace("_", "-")
        raise ConfigError(f"--{field}: {fault['msg']}, got {fault['input']!r}.") from None
