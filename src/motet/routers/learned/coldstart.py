"""What to expect of an expert without answers: what is known of experts described alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motet.encoders.encoder import Encoder

_TEMPERATURE = 0.05


def likeness(description: str, others: Mapping[str, str], encoder: Encoder) -> dict[str, float]:
    """Return weights, summing to 1, of the experts whose descriptions are like `description`.

    A softmax of the cosines of the descriptions' embeddings; what weighs under a hundredth is
    left out. The result is for `Artifact.add(expert, like=...)`.

    Parameters
    ----------
    others
        Descriptions of experts that the artifact has data of, by name; at least one.
    """
    import numpy as np
    from scipy.special import softmax

    vectors = encoder.encode([description, *others.values()])
    weights = softmax(vectors[1:] @ vectors[0] / _TEMPERATURE)
    weights = np.where(weights < 0.01, 0, weights)
    weights /= weights.sum()
    return {
        name: round(float(weight), 4)
        for name, weight in zip(others, weights, strict=True)
        if weight > 0
    }
