"""What kinds trained by gradient descent share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def normal(shape: tuple[int, ...], scale: float, generator: torch.Generator) -> torch.Tensor:
    """Return a parameter drawn from a normal distribution with that standard deviation."""
    import torch

    return (torch.randn(shape, generator=generator) * scale).requires_grad_()


def descend(
    parameters: Iterable[torch.Tensor],
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    rows: int,
    batch: int,
    epochs: int,
    rate: float,
    decay: float = 0.0,
    generator: torch.Generator,
) -> None:
    """Minimise `loss`, which is given the row numbers of a batch, with Adam.

    Parameters
    ----------
    parameters
        Changed in place.
    rows, batch, epochs
        Rows are shuffled anew in every epoch.
    rate, decay
        Learning rate and weight decay.
    generator
        Decides every shuffle.
    """
    import torch

    adam = torch.optim.Adam(list(parameters), lr=rate, weight_decay=decay, fused=True)
    with _one_thread():
        for _ in range(epochs):
            for part in torch.randperm(rows, generator=generator).split(batch):
                adam.zero_grad(set_to_none=True)
                loss(part).backward()  # type: ignore[no-untyped-call,unused-ignore]
                adam.step()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: batches are small, and sums come out the same on any machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def generator(seed: int) -> torch.Generator:
    """Return a source of random numbers of its own."""
    import torch

    return torch.Generator().manual_seed(seed)


def as_quality(values: NDArray[Any], scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a line from a router's own values to scores, and the errors of the experts on it.

    One slope, not below zero, for all experts, so that the line changes no ranking.

    Returns
    -------
    line
        `[2]`: slope and intercept.
    error
        `[experts]`: the root mean square of what the line leaves, over the square root of the
        rows that one value was learned from on average.
    """
    import numpy as np

    centred = values - values.mean()
    slope = float((centred * scores).sum() / max(float((centred**2).sum()), 1e-9))
    slope = max(slope, 0.0)
    line = np.array([slope, float(scores.mean()) - slope * float(values.mean())])
    left = scores - (values * line[0] + line[1])
    return line, np.sqrt((left**2).mean(axis=0) / max(len(scores), 1) ** 0.5)
