"""What every engine that generates in this process lets choose, and a request's sampling by it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from motet.config import Options
from motet.errors import ContextLengthExceeded
from motet.generation.decoding import Sampling
from motet.types import Request


class GenerationOptions(Options):
    """What every engine that generates in this process lets choose."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format; `auto` takes the weights' own on a GPU, and on a CPU the faster. In 16 bits
    near-ties between tokens may fall otherwise in a batch than alone; `float32` avoids that."""
    device: str = "auto"
    """Torch device such as `cpu` or `cuda:0`; `auto` takes a GPU where there is one."""
    max_batch: PositiveInt = 8
    """Most answers generated at once."""
    max_queue: NonNegativeInt = 64
    """Most requests that wait for a place; more are refused as overload."""
    max_tokens: PositiveInt = 512
    """Bound on generated tokens for requests that set none."""
    temperature: NonNegativeFloat = 1.0
    """Temperature for requests that set none; 0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus for requests that set none."""
    stop: tuple[str, ...] = ()
    """Stop strings for chat, besides the request's own; for base models that talk on."""

    def sampling(self, request: Request, prompt: int, limit: int | None, expert: str) -> Sampling:
        """Return how to draw, with a bound on tokens that fits behind `prompt` tokens.

        Parameters
        ----------
        limit
            Most tokens that the expert reads and writes; None where nobody knows.

        Raises
        ------
        ContextLengthExceeded
            What is wanted does not fit.
        """
        bound = request.max_tokens or self.max_tokens
        if limit is not None:
            wanted = prompt + (request.max_tokens or 1)
            if wanted > limit:
                raise ContextLengthExceeded(limit=limit, wanted=wanted, expert=expert)
            bound = min(bound, limit - prompt)
        return Sampling(
            max_tokens=bound,
            temperature=_or(request.temperature, self.temperature),
            top_p=_or(request.top_p, self.top_p),
            seed=request.seed,
            stop=request.stop if request.prompt is not None else (*request.stop, *self.stop),
            top_logprobs=request.top_logprobs,
        )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
