"""Who leads when people type first what no specialist is for: "hello", "Summarize this text: ...".

`auto` of the shipped `experts.yaml` decides, every expert taken as ready; nothing is generated.

- First prompts: those of `--data`, a JSON-lines file of `prompt` and `may`, the experts that may
  lead; without it the held-out prompts of `examples/fleet/everyday.txt`.
- Follow-ups: the short ones of that file behind an exchange in English, which must not go to the
  expert for other languages. No rule is learned, so all of them count.
- The specialists' own unseen prompts, which must not be lost for it: `benchmarks/fleet_quality.py`
  grades the answers.

Controls: the router before, a ridge on the answers alone, behind the same rules; and for follow-ups
the language of the last message alone. Intervals are Wilson's.

Run as `python benchmarks/first_prompts.py [--data FILE] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from _common import console, finish, machine, markdown, parser, versions, wilson
from motet.composer.assembly import assemble
from motet.composer.pipeline import Pipeline
from motet.config import Document, load
from motet.experts.fleet import ReadyFleet
from motet.types import Message, Request

_ROOT = Path(__file__).parent.parent
_FLEET = _ROOT / "examples" / "fleet"
sys.path.insert(0, str(_FLEET))
from everyday import prompts  # noqa: E402
from tasks import TASKS, Split, examples  # noqa: E402

_BASE = "smollm"
_EXCHANGE: tuple[Message, ...] = (
    {"role": "user", "content": "Which animals sleep through the whole winter?"},
    {"role": "assistant", "content": "Hedgehogs, dormice and bats sleep through the winter."},
)
_FOREIGN = "gemma"
_SPLITS: tuple[Split, ...] = ("train", "test")
_FOLLOW_UPS = ("follow-ups", "thanks and short answers")
_SPOKEN = {"other languages": [_BASE, _FOREIGN]}
"""Who may lead prompts of a heading, where that is not the base alone."""


def before(folder: Path) -> Document:
    """Return the shipped config with the router that learned from answers alone."""
    config = yaml.safe_load((_ROOT / "experts.yaml").read_text(encoding="utf-8"))
    config["routers"]["learned"] = {"kind": "ridge", "artifact": str(_FLEET / "router")}
    path = folder / "experts.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return load(path).with_folder(_ROOT)


async def leads(document: Document, chats: Sequence[Sequence[Message]]) -> list[str]:
    """Return who leads each chat."""
    parts = assemble(document)
    pipeline = Pipeline(parts, ReadyFleet(parts.experts.values()))
    try:
        decided = [
            await pipeline.decide(Request(model="auto", messages=tuple(chat))) for chat in chats
        ]
    finally:
        parts.encoders.close()
    return [decision.primary for decision in decided]


def first_prompts(data: Path | None) -> list[dict[str, Any]]:
    """Return prompts with who may lead them."""
    if data is None:
        held_out = prompts("test")
        return [{"prompt": text, "may": _SPOKEN.get(head, [_BASE])} for head, text in held_out]
    return [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]


def english_alone(said: str) -> bool:
    """Return whether a message is taken for English without what came before."""
    import py3langid

    return bool(py3langid.classify(said)[0] == "en")


def judge(args: Any, documents: Mapping[str, Document]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return the figures, and the first prompts that went astray."""
    firsts = first_prompts(args.data)
    follow_ups = [t for s in _SPLITS for head, t in prompts(s) if head in _FOLLOW_UPS]
    own = [
        (task, example.prompt)
        for task in TASKS
        for example in examples(task, "test", 40 if args.quick else 200, args.seed + 1)
    ]
    chats = [
        *([_user(row["prompt"])] for row in firsts),
        *([*_EXCHANGE, _user(text)] for text in follow_ups),
        *([_user(prompt)] for _, prompt in own),
    ]
    figures: dict[str, Any] = {}
    astray: list[list[Any]] = []
    for name, document in documents.items():
        with console.status(f"{name}: {len(chats)} decisions ..."):
            led = iter(asyncio.run(leads(document, chats)))
        took = [(row, next(led)) for row in firsts]
        figures |= _shares(f"{name}_first", [lead in row["may"] for row, lead in took])
        figures |= _shares(f"{name}_follow_ups", [next(led) != _FOREIGN for _ in follow_ups])
        right = Counter(task for task, _ in own if next(led) == (_BASE if task == "chat" else task))
        figures |= {f"{name}_{task}": right[task] * len(TASKS) / len(own) for task in TASKS}
        astray += [
            [name, lead, row["prompt"][:100]] for row, lead in took if lead not in row["may"]
        ]
    figures |= _shares("last_message_follow_ups", [english_alone(t) for t in follow_ups])
    return figures, astray


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _shares(name: str, right: Sequence[bool]) -> dict[str, float]:
    share, low, high = wilson(sum(right), len(right))
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, help="first prompts, with who may lead them")
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        shipped = load(_ROOT / "experts.yaml")
        figures, astray = judge(args, {"auto": shipped, "before": before(Path(place))})
    for name, value in figures.items():
        console.print(f"{name} {value:.4f}")
    for name, lead, prompt in astray:
        if name == "auto":
            console.print(f"{lead}: {prompt}", markup=False)
    report = {
        "figures": figures,
        "astray": astray,
        "settings": {"data": args.data.name if args.data else "everyday.txt", "seed": args.seed},
        "machine": machine(),
        "versions": versions("motet", "sentence-transformers", "py3langid", "torch"),
    }
    # The prompts of a file are its owner's: a result shows those that are shipped.
    told = [] if args.data else [row for row in astray if row[0] == "auto"]
    tables = ["## Astray\n\n" + markdown(["router", "led", "prompt"], told)] if told else []
    finish(args, "first-prompts", report, tables)


if __name__ == "__main__":
    main()
