"""Fitting expert encoders: for each domain a map of queries, and centroids of its questions.

The base encoder is frozen, and each map (low rank, added to the vector; LoRA's form, Hu et al.,
2021) is trained by InfoNCE with the other documents of a batch as negatives (van den Oord et al.,
2018). How much of a map is kept is chosen on questions that it was not trained on: where it does
not help, nothing, and the expert is the base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motet.encoders.domains import Domains
from motet.lab.retrieval.data import Question, check
from motet.lab.retrieval.judge import ndcg
from motet.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from motet.encoders.encoder import Encoder

    Floats = NDArray[np.float32]

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of a map among which one is chosen."""
_HELD_OUT = 5
"""Every so manieth question is held out to choose by."""
_TEMPERATURE = 0.05


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How expert encoders are fitted.

    Attributes
    ----------
    rank
        Of the maps.
    centroids
        Of each domain's questions; fewer where there are fewer questions.
    """

    rank: int = 32
    centroids: int = 8
    epochs: int = 60
    batch: int = 64
    rate: float = 2e-3
    seed: int = 0


def fit(
    pairs: Sequence[Question],
    encoder: Encoder,
    options: FitOptions | None = None,
    report: Progress = silent,
) -> Domains:
    """Return expert encoders of the domains of `pairs`.

    Raises
    ------
    TableError
        A domain has too few questions.
    """
    import numpy as np

    options = options or FitOptions()
    check(pairs, "the questions")
    names = sorted({pair.domain for pair in pairs})
    questions = encoder.encode([pair.question for pair in pairs], report)
    documents = encoder.encode([pair.document for pair in pairs], report)
    domain = np.array([names.index(pair.domain) for pair in pairs])
    most = min(options.centroids, *np.bincount(domain))
    downs, ups, centroids, told = [], [], [], {}
    for number, name in enumerate(names):
        report(f"fitting {name}", number, len(names))
        rows = np.flatnonzero(domain == number)
        answers = _numbered([pairs[row].document for row in rows])
        down, up, said = _map(questions[rows], documents[rows], answers, options)
        downs.append(down)
        ups.append(up)
        centroids.append(_centroids(questions[rows], int(most), options.seed))
        told[name] = {"rows": len(rows), **said}
    report("fitting", len(names), len(names))
    about = {"rank": options.rank, "seed": options.seed, "epochs": options.epochs, "of": told}
    return Domains(
        encoder.name,
        encoder.digest,
        tuple(names),
        np.stack(centroids),
        np.stack(downs),
        np.stack(ups),
        about,
    )


def _centroids(vectors: Floats, count: int, seed: int) -> Floats:
    import numpy as np

    from motet.routers.learned.kmeans import kmeans

    centres = kmeans(vectors, count, seed)[0]
    unit: Floats = centres / np.linalg.norm(centres, axis=1, keepdims=True).clip(1e-12)
    return unit


def _numbered(texts: Sequence[str]) -> NDArray[Any]:
    """Return a number for each text, the same for equal ones."""
    import numpy as np

    return np.unique(np.array(texts, dtype=object), return_inverse=True)[1]


def _map(
    questions: Floats, documents: Floats, answers: NDArray[Any], options: FitOptions
) -> tuple[Floats, Floats, dict[str, Any]]:
    """Return a map, down and up, and how well it finds what it was not trained on."""
    import numpy as np

    held = np.arange(len(questions)) % _HELD_OUT == 0
    down, up = _trained(questions[~held], documents[~held], answers[~held], options)
    _, first = np.unique(answers, return_index=True)
    reached = []
    for share in _SHARES:
        moved = questions[held] + questions[held] @ down @ (up * np.float32(share))
        moved /= np.linalg.norm(moved, axis=1, keepdims=True).clip(1e-12)
        reached.append(float(ndcg(moved, documents[first], answers[held]).mean()))
    best = int(np.argmax(reached))  # the least share of equals
    said = {"share": _SHARES[best], "ndcg_base": reached[0], "ndcg": reached[best]}
    return down, up * np.float32(_SHARES[best]), {n: round(v, 4) for n, v in said.items()}


def _trained(
    questions: Floats, documents: Floats, answers: NDArray[Any], options: FitOptions
) -> tuple[Floats, Floats]:
    import torch

    from motet.routers.learned.training import descend, generator, normal

    random = generator(options.seed)
    asked, known = torch.from_numpy(questions), torch.from_numpy(documents)
    same = torch.from_numpy(answers)
    width = asked.shape[1]
    down = normal((width, options.rank), width**-0.5, random)
    up = torch.zeros(options.rank, width, requires_grad=True)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        moved = torch.nn.functional.normalize(asked[rows] + asked[rows] @ down @ up, dim=1)
        scores = moved @ known[rows].T / _TEMPERATURE
        # The same document under another question of the batch is no negative.
        alike = same[rows][:, None] == same[rows]
        alike.fill_diagonal_(False)
        scores = scores.masked_fill(alike, -torch.inf)
        return torch.nn.functional.cross_entropy(scores, torch.arange(len(rows)))

    descend(
        [down, up],
        loss,
        rows=len(asked),
        batch=options.batch,
        epochs=options.epochs,
        rate=options.rate,
        decay=1e-4,
        generator=random,
    )
    return down.detach().numpy(), up.detach().numpy()
