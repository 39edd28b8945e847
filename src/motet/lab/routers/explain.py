"""Why a trained router decides as it does, for one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motet.encoders.text import text_form
from motet.routers.learned.artifact import Artifact
from motet.routers.learned.base import Queries
from motet.types import Request

if TYPE_CHECKING:
    import numpy as np

    from motet.encoders.encoder import Encoder


def explanation(router: Artifact, prompt: str, encoder: Encoder | None) -> dict[str, Any]:
    """Return a decision and what led to it, as plain JSON values.

    Parameters
    ----------
    encoder
        The one that the router was trained with; None when it reads no embeddings.

    Returns
    -------
    dict
        `expert` is the choice and `runner_up` the next one; `experts` holds everyone's estimate,
        best first; `evidence` is what the kind itself has to show: neighbours, clusters, the
        category, ability and difficulty.
    """
    text = text_form(Request(model="", messages=({"role": "user", "content": prompt},)))
    vectors = None if encoder is None else encoder.encode([text])
    queries = Queries(embeddings=vectors, texts=(text,))
    estimate = router.estimate(queries)
    ranking = router.decide(estimate)
    rows = [
        {
            "expert": router.experts[column],
            "quality": _number(estimate.quality[0, column]),
            "error": _number(estimate.error[0, column]),
            "cost_usd": None if estimate.cost is None else _number(estimate.cost[0, column]),
            "utility": _number(ranking.utility[0, column]),
        }
        for column in ranking.order[0]
    ]
    evidence = router.explain(queries)
    return {
        "expert": rows[0]["expert"],
        "runner_up": rows[1]["expert"] if len(rows) > 1 else None,
        "confidence": float(ranking.confidence[0]),
        "kind": evidence.pop("kind"),
        "reason": evidence.pop("reason", None),
        "lambda": router.terms.lam,
        "experts": rows,
        "evidence": evidence,
    }


def _number(value: np.floating) -> float | None:
    import numpy as np

    return float(value) if np.isfinite(value) else None
