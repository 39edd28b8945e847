"""An artifact on disk: `router.json`, `state.safetensors`, and a faiss index where there is one.

The JSON names every file with its size and SHA-256, and carries a digest of itself, so damage and
edits by hand are seen. Reading it needs no numerical library.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from motet.config import Options
from motet.errors import ArtifactError
from motet.files import replacing_folder
from motet.weights.store import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    State = Mapping[str, NDArray[Any]]

FORMAT = 1
MANIFEST = "router.json"
_STATE = "state.safetensors"
_INDEX = ".faiss"
_AGAIN = "Train again: motet router train."


class EncoderRecord(Options):
    """The encoder whose vectors were learned from."""

    name: str
    digest: str
    width: int


class TableRecord(Options):
    """A table that was learned from."""

    name: str
    digest: str
    rows: int


class ExpertRecord(Options):
    """One expert of an artifact.

    `column` is its place in the estimator's own order, None without data; `like` are the experts
    whose estimates stand for it until it has data.
    """

    name: str
    column: int | None
    like: dict[str, float] = Field(default_factory=dict)
    latency_s: float | None = None
    added: TableRecord | None = None


class FileRecord(Options):
    """A file of an artifact."""

    bytes: int
    sha256: str


class Manifest(Options):
    """What `router.json` says."""

    format: int = FORMAT
    motet: str
    kind: str
    version: int
    options: dict[str, Any]
    seed: int
    experts: list[ExpertRecord]
    encoder: EncoderRecord | None
    table: TableRecord
    scale: float | None
    lam: float = 0.0
    charged: str | None = None
    files: dict[str, FileRecord] = Field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the experts, in order."""
        return tuple(expert.name for expert in self.experts)

    @property
    def digest(self) -> str:
        """What tells it from every other artifact: SHA-256 of all of it."""
        return _sha256(self.model_dump(mode="json"))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an artifact whose files are there with the stated sizes.

    Raises
    ------
    ArtifactError
        It is absent, damaged, edited, or of another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        what = "is no folder" if not folder.is_dir() else f"holds no {MANIFEST}"
        raise ArtifactError(
            f"Artifact {folder}: it {what}.",
            hint="Make one: motet router train TABLE --kind KIND --out DIR.",
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        stated = values.pop("config_sha256")
        form = values["format"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, f"{MANIFEST} cannot be read ({error!r})") from error
    if form != FORMAT:
        raise ArtifactError(
            f"Artifact {folder} is stale: it has format {form}, this Motet reads {FORMAT}.",
            hint=_AGAIN,
        )
    if stated != _sha256(values):
        raise _damaged(folder, f"{MANIFEST} is not as it was written")
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise _damaged(folder, f"{MANIFEST}: {error.errors()[0]['msg']}") from error
    for name, file in manifest.files.items():
        place = folder / name
        if "/" in name or not place.is_file():
            raise _damaged(folder, f"{name} is missing")
        if place.stat().st_size != file.bytes:
            raise _damaged(folder, f"{name} has {place.stat().st_size} bytes, not {file.bytes}")
    return manifest


def read_state(folder: Path, manifest: Manifest) -> dict[str, NDArray[Any]]:
    """Return the arrays of an artifact, its files checked against their digests.

    Raises
    ------
    ArtifactError
        A file has changed.
    """
    import numpy as np
    from safetensors.numpy import load_file

    state: dict[str, NDArray[Any]] = {}
    for name, file in manifest.files.items():
        if digest(folder / name) != file.sha256:
            raise _damaged(folder, f"{name} has changed")
        if name.endswith(_INDEX):
            state[name] = np.fromfile(folder / name, np.uint8)
        else:
            state |= load_file(folder / name)
    return state


def write(folder: Path, manifest: Manifest, state: State) -> Manifest:
    """Write an artifact, whole or not at all; one that is there is replaced.

    Raises
    ------
    ArtifactError
        Something that is no artifact stands there, or it cannot be written.
    """
    if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
        raise ArtifactError(
            f"{folder} is not empty and holds no artifact, so nothing is written there.",
            hint="Name another folder.",
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as temporary:
            return _fill(temporary, manifest, state)
    except OSError as error:
        raise ArtifactError(f"Artifact {folder} cannot be written: {error}.") from error


def _fill(folder: Path, manifest: Manifest, state: State) -> Manifest:
    import numpy as np
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(a) for name, a in state.items() if not _is_index(name)}
    save_file(arrays, folder / _STATE)
    for name in filter(_is_index, state):
        (folder / name).write_bytes(state[name].tobytes())
    files = {
        path.name: FileRecord(bytes=path.stat().st_size, sha256=digest(path))
        for path in sorted(folder.iterdir())
    }
    manifest = manifest.model_copy(update={"files": files})
    values = manifest.model_dump(mode="json")
    text = json.dumps({**values, "config_sha256": _sha256(values)}, indent=1, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def _is_index(name: str) -> bool:
    return name.endswith(_INDEX)


def _sha256(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(folder: Path, what: str) -> ArtifactError:
    return ArtifactError(f"Artifact {folder} is damaged: {what}.", hint=_AGAIN)
