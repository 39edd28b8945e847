"""What a member reads of a request, and where each token ends in the text that all members share.

Every member writes a request in its own way: other templates, other tokens. The shared text is what
all of them write alike, the texts of the messages one after the other. A token's byte end says how
many bytes of it the member has read with that token; a template's own words add none.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from motet.errors import ConfigError, ExpertRejected
from motet.generation.loading import write_chat
from motet.types import Request, message_texts


@dataclass(frozen=True, eq=False)
class Reading:
    """The prompt of one request as one member reads it.

    Attributes
    ----------
    tokens
        Token ids, at least one.
    ends
        Bytes of the shared text that have been read with each token, int64 [T], never falling. A
        token that ends within a character counts the whole of it, so that nothing of it shows
        early when the token is a key.
    asks
        The same with that character not counted: how far a query may look.
    """

    tokens: tuple[int, ...]
    ends: Tensor
    asks: Tensor

    @property
    def size(self) -> int:
        """Bytes of the shared text."""
        return int(self.ends[-1])


def read_request(tokenizer: Any, template: str | None, request: Request, expert: str) -> Reading:
    """Return what a member reads of `request`.

    Parameters
    ----------
    template
        The chat template; None for the tokenizer's own.

    Raises
    ------
    ExpertRejected
        The prompt is empty, or the template refuses the messages or changes their text.
    """
    if request.prompt_ids:
        raise ExpertRejected(expert, "experts of several tokenizers read text, not token ids.")
    if request.prompt is not None:
        text, pieces = request.prompt, [request.prompt]
    else:
        text = write_chat(tokenizer, template, request, expert)
        pieces = ["\n".join(message_texts(m)).strip() for m in request.messages]
    encoded = tokenizer(
        text, add_special_tokens=request.prompt is not None, return_offsets_mapping=True
    )
    if not encoded.input_ids:
        raise ExpertRejected(expert, "the prompt is empty.")
    counted = _count_bytes(text, pieces, expert)
    spans = encoded.offset_mapping
    ends = torch.tensor([counted[end] for _, end in spans]).cummax(0).values
    # Tokens that share a character end alike; only the last of them has read it all.
    halves = [first[1] == second[1] and first[1] > first[0] for first, second in pairwise(spans)]
    asks = [
        counted[start if half else end]
        for (start, end), half in zip(spans, [*halves, False], strict=True)
    ]
    ends[-1] = counted[-1]
    return Reading(
        tuple(encoded.input_ids), ends, torch.minimum(ends, torch.tensor(asks).cummax(0).values)
    )


def check_offsets(tokenizer: Any, expert: str) -> None:
    """Raise ConfigError unless the tokenizer can say where its tokens stand in the text."""
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError(
            f"Member {expert!r}: its tokenizer, {type(tokenizer).__name__}, does not tell where "
            "tokens stand in the text.",
            hint="Fusion aligns members by these offsets: use a model with a fast tokenizer.",
        )


def _count_bytes(text: str, pieces: list[str], expert: str) -> list[int]:
    """Return, for every position in `text`, the bytes of the pieces that come before it."""
    counted, start = [0], 0
    for piece in pieces:
        at = text.find(piece, start)
        if at < 0:
            raise ExpertRejected(
                expert,
                "its chat template changes the text of the messages, so its tokens cannot be "
                "aligned with those of others.",
            )
        counted += [counted[-1]] * (at - start)
        for character in piece:
            counted.append(counted[-1] + len(character.encode("utf-8", "surrogatepass")))
        start = at + len(piece)
    return counted + [counted[-1]] * (len(text) - start)
