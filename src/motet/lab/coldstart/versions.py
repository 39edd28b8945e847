"""What was learned, as a new version beside the old one: `auto`, then `auto@2`, `auto@3`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_VERSION = re.compile(r"(?P<name>.+?)(?:@(?P<number>\d+))?")


def next_version(path: Path) -> Path:
    """Return where the next version of a file or folder goes: nothing stands there."""
    name, number, ending = _parts(path)
    taken = {_parts(other)[1] for other in versions(path)}
    return path.with_name(f"{name}@{max(taken | {number}) + 1}{ending}")


def versions(path: Path) -> Iterator[Path]:
    """Yield all versions of a file or folder that are there, itself among them."""
    name, _, ending = _parts(path)
    for other in path.parent.iterdir() if path.parent.is_dir() else ():
        if (_parts(other)[0], _parts(other)[2]) == (name, ending):
            yield other


def _parts(path: Path) -> tuple[str, int, str]:
    """Return name, number and ending; a folder has no ending."""
    ending = path.suffix if path.suffix == ".json" else ""
    match = _VERSION.fullmatch(path.name.removesuffix(ending))
    if match is None:
        return path.name, 1, ending
    return match["name"], int(match["number"] or 1), ending
