"""A small classifier of texts: a logistic regression a category, on words, letters or vectors."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from motet.errors import ArtifactError
from motet.sealed import seal, sealed_arrays, sealed_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.encoders.encoder import Encoder

    Floats = NDArray[np.float32]

Reads = Literal["words", "letters", "meaning"]
"""Words and pairs of them; runs of three to five letters, from which misspelling hides less; or an
encoder's vectors, which know a thing said in other words."""

SHIPPED: tuple[Reads, ...] = ("words", "letters", "meaning")
"""What `engine: classifier` knows by name."""
_KIND = "classifier"
_AGAIN = "motet moderation train TEXTS --out DIR"
_HERE = Path(__file__).parent / "shipped"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_RUNS = range(3, 6)


def place_of(model: str, folder: Path) -> Path:
    """Return where a classifier stands: the shipped one of that name, or a folder."""
    return _HERE / model if model in SHIPPED else Path(folder, model).expanduser()


def classifier_facts(folder: Path) -> dict[str, Any]:
    """Return `categories`, `reads`, `encoder`, `card` and `sha256` of what `save` wrote.

    Raises
    ------
    ArtifactError
        It is absent, damaged or stale.
    """
    return sealed_facts(folder, _KIND, _AGAIN)


@dataclass(frozen=True, slots=True, eq=False)
class TextClassifier:
    """Scores texts by category.

    Attributes
    ----------
    weights, bias
        `[buckets, categories]`, or `[width, categories]` of vectors, and `[categories]`.
    encoder
        Name and digest of the encoder whose vectors it reads; None where it reads texts.
    card
        What it was trained on, and how well it does on what it was not.
    """

    categories: tuple[str, ...]
    reads: Reads
    weights: Floats
    bias: Floats
    card: dict[str, Any]
    encoder: dict[str, str] | None = None

    @classmethod
    def load(cls, folder: Path) -> TextClassifier:
        """Return what `save` wrote.

        Raises
        ------
        ArtifactError
            It is absent, damaged or stale.
        """
        import numpy as np

        facts = classifier_facts(folder)
        arrays = sealed_arrays(folder, facts)
        weights = arrays["weights"].astype(np.float32)
        return cls(
            tuple(facts["categories"]),
            facts["reads"],
            weights,
            arrays["bias"],
            facts["card"],
            facts["encoder"],
        )

    def save(self, folder: Path) -> str:
        """Write to a folder, whole or not at all, and return its digest."""
        import numpy as np

        facts = {
            "categories": list(self.categories),
            "reads": self.reads,
            "encoder": self.encoder,
            "card": self.card,
        }
        arrays: dict[str, NDArray[Any]] = {
            "weights": self.weights.astype(np.float16),
            "bias": self.bias,
        }
        return seal(folder, _KIND, facts, arrays)

    def check(self, encoder: Encoder) -> None:
        """Raise `ArtifactError` unless `encoder` is the one whose vectors were learned from."""
        if self.encoder is not None and self.encoder["digest"] != encoder.digest:
            raise ArtifactError(
                f"The classifier was trained on vectors of {self.encoder['name']!r} "
                f"({self.encoder['digest'][:12]}), and {encoder.name!r} ({encoder.digest[:12]}) is "
                "another encoder.",
                hint=f"Use the encoder it was trained with, or train again: {_AGAIN}.",
            )

    def scores(self, texts: Sequence[str]) -> Floats:
        """Return `[texts, categories]` chances; blocks for as long as the texts are."""
        import numpy as np

        return _chances(np.stack([self._logits(text) for text in texts]))

    def of_vectors(self, vectors: Floats) -> Floats:
        """Return `[texts, categories]` chances of texts by their encoder's vectors."""
        return _chances(vectors @ self.weights + self.bias)

    def _logits(self, text: str) -> NDArray[Any]:
        import numpy as np

        buckets, values = features(text, self.reads, len(self.weights))
        return self.bias + np.asarray(values, np.float32) @ self.weights[buckets]


def _chances(logits: NDArray[Any]) -> Floats:
    import numpy as np

    chances: Floats = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
    return chances


def features(text: str, reads: Reads, buckets: int) -> tuple[list[int], list[float]]:
    """Return the buckets that a text falls in, and how much in each: a vector of length one.

    A text of any length is read whole; what stands in it often counts by the root.
    """
    # Wide, styled and capital letters are the letters that they look like.
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if reads == "words":
        said = [*words, *map(" ".join, pairwise(words))]
    else:
        line = f" {' '.join(words)} "
        said = [line[at : at + n] for n in _RUNS for at in range(max(0, len(line) - n + 1))]
    counts = Counter(zlib.crc32(each.encode("utf-8", "replace")) % buckets for each in said)
    length = sum(counts.values()) ** 0.5 or 1.0
    return list(counts), [count**0.5 / length for count in counts.values()]
