"""Training the small classifier, and judging it on texts that others wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.errors import TableError
from motet.files import read_lines
from motet.moderation.classifier import Reads, TextClassifier, features
from motet.progress import Progress, silent
from motet.wording import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.encoders.encoder import Encoder

    Floats = NDArray[np.float32]

_DECAY = 1e-4
_RATE = 0.5
_LEAST = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, and the categories it falls in; none where it is harmless."""

    text: str
    categories: frozenset[str]


def read_samples(path: Path) -> list[Sample]:
    """Return the samples of a JSONL file, whose lines have `text` and a list `categories`.

    Raises
    ------
    TableError
        It cannot be read, or a line is something else.
    """
    try:
        lines = read_lines(path)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror or error}.") from None
    return [_sample(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line]


def _sample(line: str, where: str) -> Sample:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise TableError(f"{where}: not valid JSON: {error}.") from None
    text = values.get("text") if isinstance(values, dict) else None
    of = values.get("categories") if isinstance(values, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise TableError(f"{where}: 'text' must be a text. Got {shown(text)}.")
    if not isinstance(of, list) or not all(isinstance(each, str) for each in of):
        raise TableError(f"{where}: 'categories' must be a list of texts. Got {shown(of)}.")
    return Sample(text, frozenset(of))


def train(
    samples: Sequence[Sample],
    reads: Reads,
    *,
    encoder: Encoder | None = None,
    buckets: int = 8192,
    rounds: int = 200,
    card: Mapping[str, Any] | None = None,
    report: Progress = silent,
) -> TextClassifier:
    """Return a logistic regression for each category, by gradient descent from zero.

    Parameters
    ----------
    encoder
        Whose vectors are read, where `reads` says `meaning`.
    buckets
        Of words or letters.

    Raises
    ------
    TableError
        A category has too few texts, or there are too few without any.
    """
    import numpy as np

    categories = tuple(sorted({each for sample in samples for each in sample.categories}))
    _check(samples, categories)
    rows = _read([sample.text for sample in samples], reads, buckets, encoder, report)
    used = np.flatnonzero(rows.any(axis=0))  # the rest stays at zero
    seen = rows[:, used]
    truth = _truth(samples, categories)
    weights, bias = (
        np.zeros((len(used), len(categories)), np.float32),
        np.zeros(len(categories), np.float32),
    )
    # Each side of a category weighs the same, however few texts it has.
    share = truth.mean(axis=0)
    worth = np.where(truth == 1, 0.5 / share, 0.5 / (1 - share))
    step_w, step_b = np.full_like(weights, 1e-8), np.full_like(bias, 1e-8)
    for number in range(rounds):
        if number % 50 == 0:
            report(f"training on {reads}", number, rounds)
        off = (
            worth * (np.float32(1) / (1 + np.exp(-(seen @ weights + bias))) - truth) / len(samples)
        )
        of_weights, of_bias = seen.T @ off + _DECAY * weights, off.sum(axis=0)
        step_w += of_weights**2  # Adagrad (Duchi et al., 2011)
        step_b += of_bias**2
        weights -= _RATE * of_weights / np.sqrt(step_w)
        bias -= _RATE * of_bias / np.sqrt(step_b)
    whole = np.zeros((rows.shape[1], len(categories)), np.float32)
    whole[used] = weights
    about = {"texts": len(samples), "rounds": rounds, **(card or {})}
    base = None if encoder is None else {"name": encoder.name, "digest": encoder.digest}
    return TextClassifier(categories, reads, whole, bias.astype(np.float32), about, base)


def _read(
    texts: Sequence[str], reads: Reads, buckets: int, encoder: Encoder | None, report: Progress
) -> Floats:
    """Return what is learned from, a row a text."""
    import numpy as np

    if reads == "meaning":
        assert encoder is not None, "meaning is read in vectors"
        return encoder.encode(texts, report)
    rows = np.zeros((len(texts), buckets), np.float32)
    for number, text in enumerate(texts):
        at, values = features(text, reads, buckets)
        rows[number, at] = values
    return rows


def _check(samples: Sequence[Sample], categories: Sequence[str]) -> None:
    clean = sum(not sample.categories for sample in samples)
    counts = {each: sum(each in s.categories for s in samples) for each in categories}
    for what, count in {"no category at all": clean, **counts}.items():
        if count < _LEAST:
            raise TableError(f"{count} texts are of {what!r}, and {_LEAST} are needed.")


def _truth(samples: Sequence[Sample], categories: Sequence[str]) -> Floats:
    import numpy as np

    return np.array([[c in s.categories for c in categories] for s in samples], np.float32)


def judge(
    classifier: TextClassifier,
    samples: Sequence[Sample],
    encoder: Encoder | None = None,
    threshold: float = 0.5,
) -> dict[str, float]:
    """Return accuracy, precision and recall of flagged or not, and the accuracy of categories.

    `categories` is the share of pairs of a text and a category that are told right.
    """
    import numpy as np

    texts = [sample.text for sample in samples]
    if encoder is None:
        said = classifier.scores(texts) >= threshold
    else:
        said = classifier.of_vectors(encoder.encode(texts)) >= threshold
    truth = _truth(samples, classifier.categories) == 1
    flagged, right = said.any(axis=1), np.array([bool(s.categories) for s in samples])
    hits = float((flagged & right).sum())
    told = {
        "accuracy": float((flagged == right).mean()),
        "precision": hits / max(float(flagged.sum()), 1.0),
        "recall": hits / max(float(right.sum()), 1.0),
        "categories": float((said == truth).mean()),
    }
    return {name: round(value, 4) for name, value in told.items()}
