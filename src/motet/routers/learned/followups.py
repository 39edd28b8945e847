"""What the newest turn of a chat goes on with, by what an artifact and its encoder say of turns.

Elliptic follow-ups are known to break routers that read the last line alone, and to drown in those
that read the whole chat once its topic has changed; neither needs training to mend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from motet.conversation.threads import MOST_TURNS, Newest, newest
from motet.encoders.text import clip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.encoders.live import Batcher
    from motet.routers.learned.artifact import Artifact

    Floats = NDArray[np.float32]

_CHARS = 500
"""Characters that are read of each turn."""
_CLEAR = 0.75
"""Estimated quality from which a turn is clearly for an expert."""
_AHEAD = 0.3
"""How far that expert is ahead of the next."""


async def goes_on_with(turns: Sequence[str], artifact: Artifact, batcher: Batcher | None) -> Newest:
    """Return what the newest of a user's turns goes on with; see `newest`.

    Parameters
    ----------
    turns
        What the user said, oldest first.
    batcher
        Embeds texts; None where the artifact reads no embeddings.
    """
    import numpy as np

    from motet.routers.learned.base import Queries

    # Those before are never read, and the same turns come again with each request: their
    # embeddings are kept.
    start = max(len(turns) - MOST_TURNS, 0)
    texts = tuple(clip(turn, _CHARS) for turn in turns[start:])
    vectors = None
    if batcher is not None:
        vectors = np.stack(await asyncio.gather(*(batcher.embed(text) for text in texts)))
    quality = np.sort(artifact.estimate(Queries(embeddings=vectors, texts=texts)).quality, axis=1)
    best = quality[:, -1]
    ahead = best - (quality[:, -2] if quality.shape[1] > 1 else 0.0)
    clear = [bool(each) for each in (best >= _CLEAR) & (ahead >= _AHEAD)]
    if vectors is None:
        return _later(newest(texts, None, clear), start)
    near = vectors @ vectors.T
    return _later(newest(texts, lambda one, other: float(near[one, other]), clear), start)


async def embedded(text: str, head: str | None, batcher: Batcher) -> Floats:
    """Return the embedding of a request's text form as `[1, width]`, L2-normalised.

    Parameters
    ----------
    head
        The question that the request goes on with, if it does. It counts half: a few words, such as
        "you sure?", move an embedding further than they change what is asked.
    """
    import numpy as np

    vector = await batcher.embed(text)
    if head is not None:
        vector = vector + await batcher.embed(clip(head, _CHARS))
        vector = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return vector[None]


def _later(of: Newest, start: int) -> Newest:
    return of if of.head is None else Newest(of.head + start, of.returns)
