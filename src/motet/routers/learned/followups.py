"""What the newest turn of a chat goes on with, by what an artifact and its encoder say of turns.

Elliptic follow-ups are known to break routers that read the last line alone, and to drown in those
that read the whole chat once its topic has changed; neither needs training to mend.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
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
_KEPT = 4096
"""Texts of which it is kept whether they are clear."""


class FollowUps:
    """Finds what turns go on with, for one artifact.

    A chat comes again with each of its turns: what is known of those before is kept, as the
    batcher keeps their embeddings.

    Parameters
    ----------
    batcher
        Embeds texts; None where the artifact reads no embeddings.
    """

    def __init__(self, artifact: Artifact, batcher: Batcher | None) -> None:
        self._artifact = artifact
        self._batcher = batcher
        self._clear: OrderedDict[str, bool] = OrderedDict()

    async def newest(self, turns: Sequence[str]) -> Newest:
        """Return what the newest of a user's turns, oldest first, goes on with."""
        import numpy as np

        start = max(len(turns) - MOST_TURNS, 0)
        texts = [clip(turn, _CHARS) for turn in turns[start:]]
        if self._batcher is None:
            return _later(newest(texts, None, self._are_clear(texts, None)), start)
        vectors = np.stack(await asyncio.gather(*map(self._batcher.embed, texts)))
        near, clear = vectors @ vectors.T, self._are_clear(texts, vectors)
        return _later(newest(texts, lambda one, other: float(near[one, other]), clear), start)

    def _are_clear(self, texts: Sequence[str], vectors: Floats | None) -> list[bool]:
        """Return of each text whether it is clear by itself whom it is for."""
        clear = []
        for row, text in enumerate(texts):
            if text not in self._clear:
                own = None if vectors is None else vectors[row : row + 1]
                self._clear[text] = self._is_clear(text, own)
            self._clear.move_to_end(text)
            clear.append(self._clear[text])
        while len(self._clear) > _KEPT:
            self._clear.popitem(last=False)
        return clear

    def _is_clear(self, text: str, vector: Floats | None) -> bool:
        import numpy as np

        from motet.routers.learned.base import Queries

        estimate = self._artifact.estimate(Queries(embeddings=vector, texts=(text,)))
        ranked = np.sort(np.nan_to_num(estimate.quality[0]))[::-1]
        runner_up = ranked[1] if len(ranked) > 1 else 0.0
        return bool(ranked[0] >= _CLEAR and ranked[0] - runner_up >= _AHEAD)


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
