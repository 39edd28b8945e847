"""Who is asked as a conversation goes on: "and for five boxes?", thanks, another topic, back again.

`auto` of the shipped `experts.yaml` decides the last turn of each conversation, every expert taken
as ready; nothing is generated. Conversations are JSON lines of `messages` and `expert`, the one
that is meant: `conversations/held_out.jsonl`, or `--own FILE`. Nothing was trained on them. The
rules were written beside `development.jsonl`; the held-out ones were written afterwards and looked
at four times while wordings were mended: the first look, 95.0%, is the one at unseen conversations.

Controls: the last line alone, and the whole text as routers read it before. Intervals are Wilson's.

The price of a switch: every turn of these conversations is decided and billed, what the turn before
has read at a tenth of the price where the expert stays. Three policies: a `sticky` router, never
leaving the first turn's expert, and always following the router.

Run as `python benchmarks/followups.py [--own FILE] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from _common import console, finish, machine, markdown, parser, versions, wilson
from motet.composer.assembly import assemble
from motet.composer.pipeline import Pipeline
from motet.config import Document, load
from motet.experts.fleet import ReadyFleet
from motet.types import Fleet, Message, Past, Request

_ROOT = Path(__file__).parent.parent
_CONVERSATIONS = Path(__file__).parent / "conversations"
_ANSWER_TOKENS = 40
"""Of the last answer, which nobody has written."""
_WARM = 0.1
"""What a prompt token costs that is in the cache, of one that is not."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages up to a turn of the user's, and who is meant to answer it."""

    messages: tuple[Message, ...]
    expert: str

    def turns(self) -> list[tuple[Message, ...]]:
        """Return the messages of each request of the conversation, the first turn's first."""
        ends = [n for n, m in enumerate(self.messages) if m["role"] == "user"]
        return [self.messages[: end + 1] for end in ends]


def conversations(path: Path) -> list[Conversation]:
    """Return the conversations of a file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [Conversation(tuple(row["messages"]), row["expert"]) for row in rows]


def changed(folder: Path) -> Document:
    """Return the shipped config with the controls, and with a cache that is cheaper to read."""
    config = yaml.safe_load((_ROOT / "experts.yaml").read_text(encoding="utf-8"))
    for expert in config["experts"]:
        expert["price"]["cached_input"] = _WARM * expert["price"]["input"]
    routers = config["routers"]
    routers["whole"] = {**routers["learned"], "text": {"chat": "whole"}}
    routers["front_whole"] = {**routers["front"], "of": ["rules", "whole"]}
    routers["stays"] = {"kind": "sticky", "of": "front"}
    config["compositions"] |= {"whole": {"router": "front_whole"}, "stays": {"router": "stays"}}
    path = folder / "experts.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return load(path).with_folder(_ROOT)


class Deciders:
    """Decides turns by a config, and bills conversations."""

    def __init__(self, pipeline: Pipeline, fleet: Fleet) -> None:
        self._pipeline = pipeline
        self._fleet = fleet

    async def lead(self, messages: Sequence[Message], model: str, past: str = "") -> str:
        """Return who leads a turn of a conversation whose last turn `past` answered."""
        request = Request(model=model, messages=tuple(messages), past=Past(expert=past))
        return (await self._pipeline.decide(request)).primary

    async def agreement(self, name: str, chats: Sequence[Conversation]) -> list[bool]:
        """Return which conversations go to whom they are meant for, read in one of three ways."""
        model = "whole" if name == "whole_text" else "auto"
        newest = 1 if name == "last_line" else 0
        return [await self.lead(chat.messages[-newest:], model) == chat.expert for chat in chats]

    async def billed(self, policy: str, chat: Conversation) -> tuple[float, bool]:
        """Return what a conversation costs in USD, and whether its last turn went well."""
        cost, expert, read, warm = 0.0, "", 0, ""
        for messages in chat.turns():
            if policy == "sticky":
                expert = await self.lead(messages, "stays", expert)
            elif policy == "always_free" or not expert:
                expert = await self.lead(messages, "auto")
            price, tokens = self._fleet[expert].card.price, _tokens(messages)
            known = read if warm == expert else 0
            following = chat.messages[len(messages) : len(messages) + 1]
            said = _tokens(following) if following else _ANSWER_TOKENS
            cost += (known * price.warm_input + (tokens - known) * price.input) / 1e6
            cost += said * price.output / 1e6
            warm, read = expert, tokens
        return cost, expert == chat.expert


def _tokens(messages: Sequence[Message]) -> int:
    return Request(model="", messages=tuple(messages)).estimated_tokens


async def judge(document: Document, chats: Sequence[Conversation]) -> tuple[dict[str, Any], Any]:
    """Return the figures, and the conversations that went astray."""
    parts = assemble(document)
    ready = ReadyFleet(parts.experts.values())
    deciders = Deciders(Pipeline(parts, ready), ready.view)
    figures: dict[str, Any] = {"conversations": len(chats)}
    try:
        led = await deciders.agreement("thread", chats)
        figures |= _shares("followup_agreement", led)
        for name in ("last_line", "whole_text"):
            right = await deciders.agreement(name, chats)
            figures |= _shares(f"followup_agreement_{name}", right)
        costs: Counter[str] = Counter()
        for policy in ("sticky", "never_switch", "always_free"):
            bills = [await deciders.billed(policy, chat) for chat in chats]
            costs[policy] = sum(cost for cost, _ in bills)  # type: ignore[assignment]
            figures |= _shares(f"{policy}_accuracy", [right for _, right in bills])
        for other in ("never_switch", "always_free"):
            figures[f"sticky_cost_vs_{other}"] = costs["sticky"] / costs[other]
    finally:
        parts.encoders.close()
    lost = [
        [chat.expert, " / ".join(m["content"][:60] for m in chat.messages if m["role"] == "user")]
        for chat, right in zip(chats, led, strict=True)
        if not right
    ]
    return figures, lost


def _shares(name: str, right: Sequence[bool]) -> dict[str, float]:
    share, low, high = wilson(sum(right), len(right))
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--own", type=Path, help="conversations, instead of the held-out ones")
    arguments.add_argument("--development", action="store_true", help="those beside the rules")
    args = arguments.parse_args()
    shipped = "development" if args.development else "held_out"
    path = args.own or _CONVERSATIONS / f"{shipped}.jsonl"
    chats = conversations(path)[:: 4 if args.quick else 1]
    with tempfile.TemporaryDirectory() as place:
        figures, lost = asyncio.run(judge(changed(Path(place)), chats))
    for name, value in figures.items():
        console.print(f"{name} {value:.4f}")
    for expert, turns in lost:
        console.print(f"{expert}: {turns}", markup=False)
    report = {
        "figures": figures,
        "astray": lost,
        "settings": {"data": path.name, "cached_input": f"{_WARM:g} of input", "seed": args.seed},
        "machine": machine(),
        "versions": versions("motet", "sentence-transformers", "py3langid", "torch"),
    }
    # The conversations of a file are its owner's: a result shows those that are shipped.
    told = [] if args.own else [[e, t.replace("\n", " ").replace("|", "/")] for e, t in lost]
    tables = ["## Astray\n\n" + markdown(["meant for", "turns"], told)] if told else []
    finish(args, "followups", report, tables)


if __name__ == "__main__":
    main()
