"""What `motet fuse eval` says: accuracies by way and task, and the differences that matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from motet.cli.console import new_table


def show(judged: Mapping[str, Any]) -> None:
    """Print a table a task, the differences below it, and what text adds to a prompt."""
    from rich.console import Console

    for task, about in judged["tasks"].items():
        table = new_table(title=task, title_justify="left")
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
        f"Text adds {judged['text_adds_tokens']:.1f} tokens to a prompt; fusion adds none.",
        dim=True,
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
