"""Domains of one encoder: what turns its vectors of queries, and centroids to choose by.

RouterRetriever (Lee et al., arXiv 2409.02685): expert encoders share a frozen base, and a query
goes to the one whose pilot embeddings are nearest on average. Here an expert is a map of low rank
on the base's vectors, and of queries alone: documents keep the base's vectors, so that one index
serves all experts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.encoders.encoder import Encoder
from motet.errors import ArtifactError
from motet.sealed import seal, sealed_arrays, sealed_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_KIND = "encoder-domains"
_SHARPNESS = 20.0
"""What nearness is multiplied by in the softmax: means of cosines lie close together."""
_AGAIN = "motet encoder fit QUESTIONS --out DIR"


def domain_facts(folder: Path) -> dict[str, Any]:
    """Return `encoder` (`name`, `digest`), `domains` and `sha256` of what `save` wrote.

    Raises
    ------
    ArtifactError
        It is absent, damaged or stale.
    """
    return sealed_facts(folder, _KIND, _AGAIN)


@dataclass(frozen=True, slots=True, eq=False)
class Domains:
    """Expert encoders on one base.

    Attributes
    ----------
    encoder, digest
        The base: its name, and the digest of its files.
    names
        Of the domains.
    centroids
        `[domains, centroids, width]` of each domain's training questions, of length one.
    down, up
        `[domains, width, rank]` and `[domains, rank, width]`: what is added to a vector of a
        query.
    about
        What it was made of: rows, seed, what training reached.
    """

    encoder: str
    digest: str
    names: tuple[str, ...]
    centroids: Floats
    down: Floats
    up: Floats
    about: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Domains:
        """Return what `save` wrote.

        Raises
        ------
        ArtifactError
            It is absent, damaged or stale.
        """
        facts = domain_facts(folder)
        arrays = sealed_arrays(folder, facts)
        base = facts["encoder"]
        return cls(
            base["name"],
            base["digest"],
            tuple(facts["domains"]),
            arrays["centroids"],
            arrays["down"],
            arrays["up"],
            facts["about"],
        )

    def save(self, folder: Path) -> str:
        """Write to a folder, whole or not at all, and return its digest."""
        facts = {
            "encoder": {"name": self.encoder, "digest": self.digest},
            "domains": list(self.names),
            "about": self.about,
        }
        arrays = {"centroids": self.centroids, "down": self.down, "up": self.up}
        return seal(folder, _KIND, facts, arrays)

    def check(self, encoder: Encoder) -> None:
        """Raise `ArtifactError` unless `encoder` is the base that was learned with."""
        if encoder.digest != self.digest:
            raise ArtifactError(
                f"The domains were made with {self.encoder!r} ({self.digest[:12]}), and "
                f"{encoder.name!r} ({encoder.digest[:12]}) is another encoder.",
                hint=f"Use the encoder they were made with, or make them again: {_AGAIN}.",
            )

    def nearness(self, vectors: Floats) -> Floats:
        """Return `[texts, domains]`: the mean cosine to a domain's centroids."""
        near: Floats = vectors @ self.centroids.mean(axis=1).T  # of a mean, the mean
        return near

    def chances(self, vectors: Floats) -> Floats:
        """Return `[texts, domains]`: how likely each domain is, by a softmax of nearness."""
        import numpy as np

        near = self.nearness(vectors)
        grown = np.exp(_SHARPNESS * (near - near.max(axis=1, keepdims=True)))
        chances: Floats = grown / grown.sum(axis=1, keepdims=True)
        return chances

    def turned(self, vectors: Floats, domain: int) -> Floats:
        """Return `[texts, width]` vectors of queries as a domain's expert has them."""
        import numpy as np

        moved = vectors + vectors @ self.down[domain] @ self.up[domain]
        length = np.linalg.norm(moved, axis=1, keepdims=True).clip(1e-12)
        turned: Floats = (moved / length).astype(np.float32)
        return turned
