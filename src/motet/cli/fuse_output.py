"""What `motet fuse eval` says: accuracies by way and task, and the differences that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from motet.fusion.answering import Answer
    from motet.fusion.data import Example


def judge(
    said: Mapping[str, Sequence[Answer]],
    examples: Sequence[Example],
    added_tokens: float,
    seed: int,
) -> dict[str, Any]:
    """Return accuracies in percent and compute by way and task, and the differences that matter."""
    from motet.fusion.evaluate import difference, grades

    right = {way: grades(examples, [a.text for a in own]) for way, own in said.items()}
    found: dict[str, Any] = {}
    tasks = list(dict.fromkeys(example.task for example in examples))
    for task in tasks:
        own = [n for n, example in enumerate(examples) if example.task == task]
        of = {way: [scores[n] for n in own] for way, scores in right.items()}
        others = {"P": "deranged", "G": "alone", "over_text": "text", "over_lora": "lora"}
        found[task or "all"] = {
            "questions": len(own),
            "accuracy": {way: 100 * sum(s) / len(s) for way, s in of.items()},
            "gflops": {
                way: sum(answers[n].flops for n in own) / len(own) / 1e9
                for way, answers in said.items()
            },
            "differences": {
                name: asdict(difference(of["fused"], of[other], seed=seed))
                for name, other in others.items()
                if other in of
            },
        }
    return {"tasks": found, "text_adds_tokens": added_tokens, "fused_adds_tokens": 0.0}


def show(found: Mapping[str, Any]) -> None:
    """Print a table a task, the differences below it, and what text adds to a prompt."""
    from rich.console import Console
    from rich.table import Table

    for task, about in found["tasks"].items():
        table = Table(
            box=None, header_style="bold", pad_edge=False, title=task, title_justify="left"
        )
        table.add_column("answered by")
        table.add_column("accuracy, %", justify="right")
        table.add_column("GFLOP", justify="right")
        for way, accuracy in about["accuracy"].items():
            cost = f"{about['gflops'][way]:.1f}"
            table.add_row(way, f"{accuracy:.1f}", cost, style="bold" if way == "fused" else "")
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
