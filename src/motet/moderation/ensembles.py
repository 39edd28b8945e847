"""The ensembles of a service: the weights that hold now, and where what members say is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from motet.moderation.hedge import Hedge
from motet.types import Verdict

Heard = Callable[[str, str, int, Mapping[str, Mapping[str, float]]], None]
"""Is told an answer's id, the ensemble, the text's number, and the scores by member and category,
so that a label can come later."""


class Ensembles:
    """Weights by ensemble, of one config.

    Parameters
    ----------
    before
        Those of the config before, which go on as they are: what was learned is taken from them.

    Attributes
    ----------
    heard
        Told of what members have said of each text.
    """

    def __init__(self, before: Ensembles | None = None) -> None:
        self.heard: Heard = _nobody if before is None else before.heard
        self._known = {} if before is None else dict(before._hedges)
        self._hedges: dict[str, Hedge] = {}

    def begin(self, name: str, hedge: Hedge) -> None:
        """Have an ensemble, which goes on from what it has learned where there is something."""
        before = self._known.get(name)
        self._hedges[name] = hedge if before is None else hedge.restored(before.json())

    def hedge(self, name: str) -> Hedge:
        """Return the weights of an ensemble."""
        return self._hedges[name]

    def take(self, name: str, kept: Mapping[str, Any]) -> None:
        """Take weights that were kept, such as by another replica."""
        if name in self._hedges:
            self._hedges[name] = self._hedges[name].restored(kept)


def _nobody(id: str, name: str, number: int, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Keep nothing."""


def combined(
    scores: Mapping[str, Mapping[str, float]], weights: Mapping[str, float], threshold: float
) -> Verdict:
    """Return the weighted mean of the members' scores, over those that have said something.

    Parameters
    ----------
    scores
        By member and category; at least one member.
    """
    heard = sum(weights[name] for name in scores)
    even = 1 / len(scores)
    share = {name: weights[name] / heard if heard > 0 else even for name in scores}
    categories = dict.fromkeys(each for said in scores.values() for each in said)
    return Verdict(
        {
            category: sum(share[name] * scores[name].get(category, 0.0) for name in scores)
            for category in categories
        },
        threshold,
    )


def losses(
    scores: Mapping[str, Mapping[str, float]], truth: Mapping[str, bool]
) -> dict[str, float]:
    """Return each member's loss on a label: how far its scores are from it, a category's mean."""
    return {
        name: sum(abs(said.get(c, 0.0) - is_so) for c, is_so in truth.items()) / len(truth)
        for name, said in scores.items()
    }
