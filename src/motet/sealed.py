"""What was trained, in a folder: facts in JSON and arrays in safetensors, under one seal.

The JSON has the SHA-256 of the arrays' file and of itself, so damage and edits by hand are seen.
Nothing in it runs when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.errors import ArtifactError
from motet.files import replacing_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FACTS, _ARRAYS = "facts.json", "arrays.safetensors"
_FORMAT = 1


def seal(
    folder: Path, kind: str, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> str:
    """Write a folder whole or not at all, and return its digest; one of its kind is replaced.

    Raises
    ------
    ArtifactError
        Something else stands there, or it cannot be written.
    """
    from safetensors.numpy import save

    if folder.exists() and not (folder / _FACTS).is_file() and any(folder.iterdir()):
        raise ArtifactError(
            f"{folder} is not empty and holds no artifact, so nothing is written there.",
            hint="Name another folder.",
        )
    content = save(dict(arrays))
    said = {"format": _FORMAT, "kind": kind, **facts, "arrays_sha256": _sha256(content)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as temporary:
            (temporary / _ARRAYS).write_bytes(content)
            text = json.dumps({**said, "sha256": _digest(said)}, indent=1, allow_nan=False)
            (temporary / _FACTS).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ArtifactError(f"Artifact {folder} cannot be written: {error}.") from error
    return _digest(said)


def sealed_facts(folder: Path, kind: str, again: str) -> dict[str, Any]:
    """Return the facts of an artifact, `sha256` among them; reads no array.

    Parameters
    ----------
    again
        The command that makes such an artifact.

    Raises
    ------
    ArtifactError
        It is absent, damaged, edited, of another kind or of another format.
    """
    hint = f"Make it again: {again}."
    path = folder / _FACTS
    if not path.is_file():
        what = f"holds no {_FACTS}" if folder.is_dir() else "is no folder"
        raise ArtifactError(f"Artifact {folder}: it {what}.", hint=hint)
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stated, form, of = said.pop("sha256"), said["format"], said["kind"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"Artifact {folder} is damaged: {_FACTS} cannot be read ({error!r}).", hint=hint
        ) from error
    if form != _FORMAT:
        raise ArtifactError(
            f"Artifact {folder} is stale: it has format {form}, this Motet reads {_FORMAT}.",
            hint=hint,
        )
    if of != kind:
        raise ArtifactError(f"Artifact {folder} is of kind {of!r}, and {kind!r} is wanted.")
    if stated != _digest(said):
        raise ArtifactError(
            f"Artifact {folder} is damaged: {_FACTS} is not as it was written.", hint=hint
        )
    return {**said, "sha256": stated}


def sealed_arrays(folder: Path, facts: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an artifact whose facts were read.

    Raises
    ------
    ArtifactError
        They are not what was sealed.
    """
    from safetensors.numpy import load

    try:
        content = (folder / _ARRAYS).read_bytes()
    except OSError as error:
        raise ArtifactError(f"Artifact {folder} is damaged: {error}.") from error
    if _sha256(content) != facts["arrays_sha256"]:
        raise ArtifactError(f"Artifact {folder} is damaged: {_ARRAYS} has changed.")
    arrays: dict[str, NDArray[Any]] = load(content)
    return arrays


def _digest(facts: Mapping[str, Any]) -> str:
    return _sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
