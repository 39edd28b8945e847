"""A fitted composition on disk: `composition.json` and `state.safetensors`.

The JSON names the arrays' file with its digest, and carries a digest of itself, so damage and edits
by hand are seen. No pickle: what is read cannot run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from motet.config import Options
from motet.errors import ArtifactError
from motet.files import replacing_folder
from motet.weights.store import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

FORMAT = 1
COVER = "composition.json"
_STATE = "state.safetensors"

FittedKind = Literal["vote", "cascade", "rank"]


class Cover(Options):
    """What `composition.json` says.

    Attributes
    ----------
    facts
        What the kind needs beside its arrays.
    fitted
        How it was fitted: the table, its digest and rows, the seed, the target, what it came to.
    """

    format: int = FORMAT
    motet: str
    kind: FittedKind
    experts: list[str]
    facts: dict[str, Any]
    fitted: dict[str, Any] = Field(default_factory=dict)
    state_sha256: str = ""

    @property
    def version(self) -> str:
        """What tells it from every other: the beginning of a SHA-256 of all of it."""
        return _sha256(self.model_dump(mode="json"))[:12]


def write(folder: Path, cover: Cover, arrays: Arrays) -> Cover:
    """Write a fitted composition, whole or not at all; one that is there is replaced.

    Raises
    ------
    ArtifactError
        Something else stands there, or it cannot be written.
    """
    import numpy as np
    from safetensors.numpy import save_file

    if folder.exists() and not (folder / COVER).is_file() and any(folder.iterdir()):
        raise ArtifactError(
            f"{folder} is not empty and holds no fitted composition, so nothing is written there.",
            hint="Name another folder.",
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as made:
            whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            save_file(whole, made / _STATE)
            sealed = cover.model_copy(update={"state_sha256": digest(made / _STATE)})
            values = sealed.model_dump(mode="json")
            text = json.dumps({**values, "sha256": _sha256(values)}, indent=1, allow_nan=False)
            (made / COVER).write_text(text + "\n", encoding="utf-8")
            return sealed
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written: {error}.") from error


def read(folder: Path, kind: FittedKind) -> tuple[Cover, dict[str, NDArray[Any]]]:
    """Return a fitted composition, checked against its digests; raises what `read_cover` does."""
    from safetensors.numpy import load_file

    return read_cover(folder, kind), load_file(folder / _STATE)


def read_cover(folder: Path, kind: FittedKind) -> Cover:
    """Return what a fitted composition says of itself; needs no numerical library.

    Raises
    ------
    ArtifactError
        It is absent, damaged, edited, of another format or of another kind.
    """
    again = f"Fit it again: motet {kind} fit TABLE --pool FILE:NAME --out {folder}."
    path = folder / COVER
    if not path.is_file():
        what = "is no folder" if not folder.is_dir() else f"holds no {COVER}"
        raise ArtifactError(f"Fitted composition {folder}: it {what}.", hint=again)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        stated, form = values.pop("sha256"), values["format"]
        if form != FORMAT:
            raise ArtifactError(
                f"{folder} is stale: it has format {form}, this Motet reads {FORMAT}.", hint=again
            )
        cover = Cover.model_validate(values)
        intact = stated == _sha256(values) and digest(folder / _STATE) == cover.state_sha256
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise ArtifactError(f"{folder} is damaged: {error!r}.", hint=again) from error
    if not intact:
        raise ArtifactError(f"{folder} is damaged: it is not as it was written.", hint=again)
    if cover.kind != kind:
        raise ArtifactError(f"{folder} holds a fitted {cover.kind}, not a {kind}.", hint=again)
    return cover


def _sha256(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
