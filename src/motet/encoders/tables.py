"""The embeddings of a table's queries: computed once, checked when they come from a file."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from motet.errors import TableError
from motet.progress import Progress, silent
from motet.tables.routing import Table
from motet.weights import default_cache
from motet.weights.store import build_once

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motet.encoders.encoder import Encoder

    Floats = NDArray[np.float32]

_SAMPLES = 8
_SAME = 0.99
"""Cosine above which a stored row is the encoder's own, half precision allowed for."""


def embed(
    path: str | Path | None,
    table: Table,
    encoder: Encoder,
    report: Progress = silent,
    *,
    cache: Path | None = None,
) -> Floats:
    """Return `[rows, width]` float32 embeddings of length one, of each row's query.

    Taken from `<stem>.<encoder's short name>.npy` beside the table where sampled rows of it are
    what this encoder says; else from the cache; else encoded and kept there.

    Parameters
    ----------
    path
        The table's file; None when the table has none.
    cache
        Where embeddings are kept; `motet.weights.default_cache()` when None.

    Raises
    ------
    TableError
        The table has no queries.
    SourceError
        The encoder cannot be loaded.
    """
    import numpy as np

    if table.queries is None:
        raise TableError(f"{table.name} has no 'query' column, so there is nothing to encode.")
    if path is not None:
        beside = Path(path).with_suffix(f".{encoder.short_name}.npy")
        stored = _sidecar(beside, table.queries, encoder, report)
        if stored is not None:
            return stored
    source = f"{encoder.digest} {table.digest}"
    folder = (
        (cache or default_cache()) / "embeddings" / f"{table.digest[:16]}-{encoder.digest[:16]}"
    )
    build = partial(_encode, queries=table.queries, encoder=encoder, report=report)
    build_once(folder, source, build, silent)
    vectors: Floats = np.load(folder / "embeddings.npy", allow_pickle=False)
    return vectors


def _encode(folder: Path, *, queries: tuple[str, ...], encoder: Encoder, report: Progress) -> None:
    import numpy as np

    np.save(folder / "embeddings.npy", encoder.encode(queries, report), allow_pickle=False)


def _sidecar(
    path: Path, queries: tuple[str, ...], encoder: Encoder, report: Progress
) -> Floats | None:
    """Return the embeddings stored beside a table; None when they are not this encoder's."""
    import numpy as np

    try:
        stored = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        report(f"{path.name} is passed over: {error}", 0, 0)
        return None
    if stored.shape != (len(queries), encoder.width) or not np.isfinite(stored).all():
        report(f"{path.name} is passed over: its shape {stored.shape} does not fit", 0, 0)
        return None
    vectors: Floats = stored.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)
    rows = np.unique(np.linspace(0, len(queries) - 1, _SAMPLES).astype(int))
    sample = encoder.encode([queries[row] for row in rows])
    if ((sample * vectors[rows]).sum(axis=1) < _SAME).any():
        report(f"{path.name} is passed over: another encoder or table wrote it", 0, 0)
        return None
    return vectors
