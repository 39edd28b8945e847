"""Batches that a seed and a number decide, so that a training can be resumed and repeated."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def drawn(items: Sequence[T], batch: int, number: int, seed: int) -> list[T]:
    """Return batch `number` of the items, which come epoch by epoch, each in its own order."""
    chosen = []
    for place in range(number * batch, (number + 1) * batch):
        epoch, at = divmod(place, len(items))
        order = random.Random(f"{seed} epoch {epoch}").sample(range(len(items)), len(items))
        chosen.append(items[order[at]])
    return chosen


def rate(step: int, steps: int, warmup: int) -> float:
    """Return the share of the highest learning rate: it rises in a line, then falls as a cosine."""
    return min(1.0, (step + 1) / max(1, warmup)) * 0.5 * (1 + math.cos(math.pi * step / steps))


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return token rows as one tensor [B, T], padded on the right, and which of it is real."""
    longest = max(len(row) for row in rows)
    tokens_BT = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    lengths_B1 = torch.tensor([[len(row)] for row in rows], device=device)
    return tokens_BT, torch.arange(longest, device=device) < lengths_B1
