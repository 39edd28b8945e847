"""A router trained, and calibrated to what it may spend."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from motet.lab.routers.compare import cross_validate
from motet.lab.routers.data import Data
from motet.lab.routers.kinds import canonical
from motet.progress import Progress, silent
from motet.routers.learned import fit
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.decide import calibrate


@dataclass(frozen=True, slots=True)
class Target:
    """What a router's decisions shall keep to; nothing when both are None.

    Attributes
    ----------
    cost
        Mean USD of an answer.
    share
        An expert, and its share of the calls in [0, 1].
    """

    cost: float | None = None
    share: tuple[str, float] | None = None


def train(
    data: Data,
    kind: str,
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    target: Target | None = None,
    progress: Progress = silent,
) -> tuple[Artifact, float]:
    """Return a router fitted on a table to a target, and the seconds that the fit took.

    Lambda is read off cross-validated estimates: on its own training rows a router is too sure, and
    would spend otherwise on those to come.

    Parameters
    ----------
    kind
        A name in `ESTIMATORS`, or what papers call it.

    Raises
    ------
    ConfigError
        The kind or an option is not known.
    TableError
        The table lacks what the kind or the target needs, or no lambda reaches the target.
    """
    kind, options, target = canonical(kind), options or {}, target or Target()
    progress(f"fitting {kind}", 0, 0)
    began = time.perf_counter()
    router = fit.train(data.table, data.embeddings, kind, options, data.encoder, seed=seed)
    seconds = time.perf_counter() - began
    if target == Target():
        return router, seconds
    estimate, _ = cross_validate(data, kind, options, seed=seed, progress=progress)
    terms = calibrate(
        estimate,
        data.table,
        scale=router.terms.scale,
        target_cost=target.cost,
        target_share=target.share,
    )
    return router.with_terms(terms), seconds
