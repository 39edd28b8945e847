"""A table as the laboratory takes it: with the embeddings of its queries, and what made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.encoders.encoder import DEFAULT_ENCODER, Encoder, encoder
from motet.encoders.tables import embed
from motet.lab.routers.kinds import reads_embeddings
from motet.progress import Progress, silent
from motet.routers.learned.artifact import Artifact
from motet.tables.routing import Table, read

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.integer]


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """A table with the embeddings of its queries, and what made them."""

    table: Table
    embeddings: Floats | None = None
    encoder: Encoder | None = None

    def take(self, rows: Ints) -> Data:
        """Return these rows."""
        vectors = None if self.embeddings is None else self.embeddings[rows]
        return Data(table=self.table.take(rows), embeddings=vectors, encoder=self.encoder)


def read_data(
    path: Path,
    kinds: Mapping[str, Mapping[str, Any]],
    encoder_name: str | None = None,
    progress: Progress = silent,
) -> Data:
    """Return the table in a file, embedded where one of `kinds` reads that.

    Parameters
    ----------
    kinds
        Kinds of routers with their options.
    encoder_name
        A hub id, a folder or `pypi:package`; the default encoder when None.

    Raises
    ------
    ConfigError
        A kind or an option is not known.
    TableError
        There is no such table, or it is damaged.
    SourceError
        The encoder cannot be loaded.
    """
    progress(f"reading {path.name}", 0, 0)
    table = read(path)
    if table.queries is None or not any(reads_embeddings(*kind) for kind in kinds.items()):
        return Data(table=table)
    model = encoder(encoder_name or DEFAULT_ENCODER, report=progress)
    return Data(table=table, embeddings=embed(path, table, model, progress), encoder=model)


def data_for(router: Artifact, path: Path, progress: Progress = silent) -> Data:
    """Return the table in a file as a trained router reads it, embedded by its own encoder.

    Raises
    ------
    ArtifactError
        The encoder of that name is not the one it was trained with.
    TableError, SourceError
        As in `read_data`.
    """
    learned_with = router.manifest.encoder
    if learned_with is None:
        return read_data(path, {}, progress=progress)
    kinds = {router.kind: router.manifest.options}
    data = read_data(path, kinds, learned_with.name, progress)
    if data.encoder is not None:
        router.check_encoder(data.encoder)
    return data


def encoder_for(router: Artifact, progress: Progress = silent) -> Encoder | None:
    """Return the encoder that a router was trained with; None when it reads no embeddings.

    Raises
    ------
    ArtifactError
        The encoder of that name is another one now.
    SourceError
        It cannot be loaded.
    """
    if router.manifest.encoder is None:
        return None
    model = encoder(router.manifest.encoder.name, report=progress)
    router.check_encoder(model)
    return model
